"""A simulated Polymarket per test, a store beside it, and what its universe really shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from polyhouse.sim.data_boards import standings
from polyhouse.sim.indexer import TRADE
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sim.world import Quirks
from polyhouse.sources import data_api
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.sources.user_tables import UserTables
from polyhouse.state import StateStore, open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.discovery_report import DiscoverOptions, DiscoverReport
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.report import RunReport
from polyhouse.sync.sources import Sources
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import build_sources

PATIENCE = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)


class UniverseClock(SystemClock):
    """The simulated world's calendar; durations stay real."""

    def __init__(self, server: SimServer) -> None:
        self._server = server
        self.later = 0

    def time(self) -> float:
        return float(self._server.world.now + self.later)


class Notes:
    """A reporter that remembers what it was told, and calls back at each step."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.phases: list[str] = []
        self.on_advance: Callable[[], None] = lambda: None

    def phase(self, name: str, total: int | None, unit: str) -> None:
        self.phases.append(name)

    def advance(self, n: int = 1, **counts: int) -> None:
        self.on_advance()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        pass


@dataclass
class Session:
    engine: SyncEngine
    warehouse: ClickHouseWarehouse
    state: StateStore
    reporter: Notes
    clock: UniverseClock

    async def discover(self, *sources: str, file: Path | None = None, dry_run: bool = False):
        outcome: tuple[RunReport, DiscoverReport] = await self.engine.discover(
            DiscoverOptions(tuple(sources), file, dry_run=dry_run)
        )
        return outcome

    def registry(self) -> dict[str, tuple[str, ...]]:
        """Address → provenance."""
        found = {}
        for address in self.state.wallet_addresses():
            record = self.state.wallet(address)
            assert record is not None
            found["0x" + address.hex()] = record.provenance
        return found


@dataclass
class Lab:
    """One simulated upstream, and sessions (= process lives) on stores in folders."""

    folder: Path
    server: SimServer

    @asynccontextmanager
    async def session(
        self, name: str = "home", *, page_limit: int = 1_000, users_url: str = "", **limits: Any
    ) -> AsyncIterator[Session]:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        clock = UniverseClock(self.server)
        hosts = ((self.server.gamma_url, GAMMA), (self.server.clob_url, CLOB), (self.server.data_url, DATA))
        async with AsyncExitStack() as stack:
            clients = {}
            for url, host in hosts:
                client = HttpClient(url, host, clock=clock, rate_scale=1_000.0, policy=PATIENCE)
                clients[host.name] = await stack.enter_async_context(client)
            warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
            state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=clock.time))
            sources = self._sources(clients, page_limit, users_url)
            reporter = Notes()
            bounds = EngineLimits(**({"give_up_after": 1_000} | limits))
            engine = SyncEngine(warehouse, state, sources, reporter, clock, stop=asyncio.Event(), limits=bounds)
            yield Session(engine, warehouse, state, reporter, clock)

    @staticmethod
    def _sources(clients: dict[str, HttpClient], page_limit: int, users_url: str) -> Sources:
        data = clients["data"]
        boards = (data_api.Leaderboard(data, page_limit=page_limit), data_api.BiggestWinners(data))
        return replace(
            build_sources(clients),
            holders=data_api.Holders(data, page_limit=page_limit),
            leaderboards=boards,
            users=UserTables(users_url) if users_url else None,
        )

    @property
    def requests(self) -> dict[str, int]:
        return dict(self.server.requests)

    def holders(self) -> set[str]:
        """Everyone with shares of an outcome of a market that is open."""
        world = self.server.world
        return {
            world.views.wallet_name(wallet)
            for market in world.visible_markets()
            if market.resolution is None
            for outcome in (0, 1)
            for wallet, _ in world.views.holders(market.number, outcome, 1)
        }

    def traders(self) -> set[str]:
        """Everyone with a fill."""
        world = self.server.world
        return {world.views.wallet_name(row[2]) for row in world.views.histories() if row[5] == TRADE}

    def ranked(self) -> set[str]:
        """Everyone on a leaderboard."""
        world = self.server.world
        return {
            world.views.wallet_name(row[0])
            for period in ("day", "week", "month", "all")
            for row in standings(world, period, None)
        }


@pytest.fixture
def make_lab(tmp_path: Path):
    """A lab with quirks of its choice. Its universe has seven open markets, with up to six holders an outcome."""

    @asynccontextmanager
    async def make(quirks: Quirks | None = None, **universe: Any) -> AsyncIterator[Lab]:
        chosen = {"seed": 11, "wallets": 60, "fills": 900, "span_days": 60, "now_fraction": 0.3} | universe
        async with SimServer(Universe(**chosen), enforce_limits=False, quirks=quirks) as server:
            yield Lab(tmp_path, server)

    return make


@pytest.fixture
async def lab(make_lab) -> AsyncIterator[Lab]:
    async with make_lab() as one:
        yield one
