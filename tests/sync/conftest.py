"""One simulated Polymarket on loopback per test, and engines on real stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.state import StateStore, open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.sources import Sources
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import build_sources

PATIENCE = RetryPolicy(attempts=3, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)

CONTENT = {
    "observations": "* EXCEPT (run, version)",
    "events": "* EXCEPT version",
    "markets": "* EXCEPT version",
    "tokens": "token, condition, outcome, verified",  # two sources tell the same; who came last is chance
    "resolutions": "* EXCEPT version",
    "neg_risk_markets": "* EXCEPT version",
}


def content(warehouse: ClickHouseWarehouse) -> dict[str, tuple[int, int]]:
    """Rows and a digest of everything a reader can see, whatever run wrote it and in which order."""
    return {
        table: tuple(
            int(value)
            for value in warehouse.query(
                f"SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {table}_current)"
            ).rows[0]
        )
        for table, columns in CONTENT.items()
    }


class UniverseClock(SystemClock):
    """The simulated world's calendar; durations stay real."""

    def __init__(self, server: SimServer) -> None:
        self._server = server

    def time(self) -> float:
        return float(self._server.world.now)


class Notes:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0
        self.on_advance: Callable[[], None] = lambda: None

    def phase(self, name: str, total: int | None, unit: str) -> None:
        self.notes.append(f"phase {name}")

    def advance(self, n: int = 1, **counts: int) -> None:
        self.done += n
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
    sources: Sources


@dataclass
class Lab:
    """A simulated upstream, and sessions (= process lives) on stores in folders."""

    folder: Path
    server: SimServer
    options: dict[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def session(self, name: str = "home", **limits: Any) -> AsyncIterator[Session]:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        clock = UniverseClock(self.server)
        async with AsyncExitStack() as stack:
            clients = {}
            for url, host in (
                (self.server.gamma_url, GAMMA),
                (self.server.clob_url, CLOB),
                (self.server.data_url, DATA),
            ):
                client = HttpClient(url, host, clock=clock, rate_scale=1_000.0, policy=PATIENCE)
                clients[host.name] = await stack.enter_async_context(client)
            warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
            state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=clock.time))
            reporter = Notes()
            sources = build_sources(clients)
            engine = SyncEngine(
                warehouse, state, sources, reporter, clock, stop=asyncio.Event(), limits=EngineLimits(**limits)
            )
            yield Session(engine, warehouse, state, reporter, sources)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    universe = Universe(seed=3, wallets=30, fills=500)
    async with SimServer(universe, enforce_limits=False) as server:
        yield Lab(tmp_path, server)
