"""A simulated Polymarket whose clock can be moved, behind a cache, and process lives on stores in folders."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from polyhouse.sim.model import Transaction
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.state import StateStore, open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.open_markets import walk_open_markets
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.sources import Sources
from polyhouse.sync.writer import BatchLimits
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import build_sources

DAY = 86_400
PATIENCE = RetryPolicy(attempts=3, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)
NEWS = WalletSelection(active_only=True, incremental=True)
EVERYONE = WalletSelection(all=True, incremental=True)


class SharedSecond:
    """A universe in which two transactions share a second, and the second of them shows only when it is over."""

    def __init__(self, universe: Universe, after: int) -> None:
        self._universe = universe
        coming = [tx for tx in universe.transactions(start_ts=after, until=universe.end) if _has_fill(tx)]
        first, second = next((one, two) for one, two in itertools.pairwise(coming) if one.ts < two.ts)
        self.second = first.ts
        self._moved = {(tx.block, tx.tx_index) for tx in self._all() if first.ts < tx.ts <= second.ts}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._universe, name)

    def _all(self) -> Iterator[Transaction]:
        return self._universe.transactions(until=self._universe.end)

    def transactions(self, start_ts: int | None = None, until: int | None = None) -> Iterator[Transaction]:
        now = self._universe.now
        last = now if until is None else until
        for tx in self._all():
            seen = tx
            if (tx.block, tx.tx_index) in self._moved:
                if now <= self.second:
                    continue
                seen = replace(tx, ts=self.second)
            if (start_ts is None or seen.ts >= start_ts) and seen.ts <= last:
                yield seen


def _has_fill(tx: Transaction) -> bool:
    return any(log.t == "OrderFilled" for log in tx.logs)


class UniverseClock(SystemClock):
    """The simulated world's calendar; durations stay real."""

    def __init__(self, server: SimServer) -> None:
        self._server = server

    def time(self) -> float:
        return float(self._server.world.now)


@dataclass
class Life:
    """One process life."""

    engine: SyncEngine
    warehouse: ClickHouseWarehouse
    state: StateStore
    sources: Sources
    server: SimServer

    async def load(self) -> RunReport:
        """A full load: universe, trades, wallets with news, then every wallet."""
        report = await self.engine.run(metrics=False, positions=False)
        assert (report.status, report.errors) == ("ok", [])
        return await self.sync(EVERYONE)

    async def sync(self, selection: WalletSelection) -> RunReport:
        report = await self.engine.sync_wallets(selection)
        assert (report.status, report.errors) == ("ok", [])
        return report

    async def open_markets(self, **options: Any) -> RunReport:
        return await self.engine.perform("sync open-markets", {}, lambda ctx: walk_open_markets(ctx, **options))

    def column(self, sql: str, **params: Any) -> list[Any]:
        return [row[0] for row in self.warehouse.query(sql, params).rows]

    def has_every_fill(self) -> bool:
        """Both sources have exactly the fills that the upstream shows."""
        shown = self.server.world.views.counts[0]
        return [shown] * 2 == [
            self.column(
                f"SELECT count() FROM observations_current WHERE source = '{source}' AND kind IN ('BUY', 'SELL')"
            )[0]
            for source in ("activity", "trades")
        ]

    def ledgers(self, wallets: set[bytes] | None = None) -> dict[bytes, tuple[int, int]]:
        """Wallet → number and digest of everything its own ledger says."""
        rows = self.warehouse.query(
            "SELECT wallet, count(), sum(cityHash64(*)) FROM (SELECT * EXCEPT (run, version) FROM observations_current"
            " WHERE source = 'activity') GROUP BY wallet"
        ).rows
        return {bytes(w): (int(n), int(d)) for w, n, d in rows if wallets is None or bytes(w) in wallets}


@dataclass
class Lab:
    folder: Path
    server: SimServer

    @asynccontextmanager
    async def life(self, name: str = "home", **limits: Any) -> AsyncIterator[Life]:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        clock = UniverseClock(self.server)
        async with AsyncExitStack() as stack:
            clients = {}
            for limit in (GAMMA, CLOB, DATA):
                url = f"{self.server.base_url}/{limit.name}"
                client = HttpClient(url, limit, clock=clock, rate_scale=1_000.0, policy=PATIENCE)
                clients[limit.name] = await stack.enter_async_context(client)
            warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
            state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=clock.time))
            sources = build_sources(clients)
            # Nothing waits for a fuller batch: these runs are small.
            bounds = EngineLimits(**({"batch": BatchLimits(seconds=0.02)} | limits))
            engine = SyncEngine(warehouse, state, sources, None, clock, stop=asyncio.Event(), limits=bounds)
            yield Life(engine, warehouse, state, sources, self.server)

    async def start_from(self, loaded: Path) -> None:
        """Make the home a copy of one that was loaded at this moment, and load that one if it is not there yet."""
        if not loaded.exists():  # noqa: ASYNC240 - nothing else runs
            async with self.life("loading") as life:
                await life.load()
            shutil.copytree(self.folder / "loading", loaded, symlinks=True)
        shutil.copytree(loaded, self.folder / "home", symlinks=True)

    @asynccontextmanager
    async def counted(self) -> AsyncIterator[Counter[str]]:
        """Requests per route of what happens inside."""
        before = Counter(self.server.requests)
        used: Counter[str] = Counter()
        yield used
        used.update(Counter(self.server.requests) - before)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home of ``loaded_lab`` is kept from test to test: the same universe is the same upstream."""
    return tmp_path_factory.mktemp("loaded") / "home"


@pytest.fixture
async def loaded_lab(make_lab: Callable[..., Any], loaded: Path) -> Lab:
    """A lab whose home was loaded completely; something is traded in each of the next days."""
    lab: Lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.8))
    await lab.start_from(loaded)
    return lab


@pytest.fixture
async def make_lab(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Start a lab: ``await make_lab(universe, cache=True)``."""
    async with AsyncExitStack() as stack:

        async def make(universe: Any, **options: Any) -> Lab:
            server = await stack.enter_async_context(SimServer(universe, enforce_limits=False, **options))
            return Lab(tmp_path, server)

        yield make
