"""One simulated Polymarket on loopback per test, and engines on real stores with a calendar that can be moved on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from polyhouse.sim.faults import Fault
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.state import StateStore, open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.process import ProcessOptions, process
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.sources import Sources
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import build_sources

PATIENCE = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)


class Calendar(SystemClock):
    """The simulated world's calendar, and what a test adds to it; durations stay real."""

    def __init__(self, server: SimServer) -> None:
        self._server = server
        self.extra = 0.0

    def time(self) -> float:
        return float(self._server.world.now) + self.extra


class Progress(NullReporter):
    """Counts wallets that are done, and stops the engine after some."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.done = 0
        self.stop_after = 0

    def advance(self, n: int = 1, **counts: int) -> None:
        self.done += n
        if self.done == self.stop_after:
            self.stop.set()


@dataclass
class Session:
    engine: SyncEngine
    warehouse: ClickHouseWarehouse
    state: StateStore
    calendar: Calendar
    progress: Progress
    sources: Sources

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.warehouse.query(sql).rows

    def value(self, sql: str) -> Any:
        return self.rows(sql)[0][0]


@dataclass
class Lab:
    """A simulated upstream, and sessions (= process lives) on stores in a folder."""

    folder: Path
    server: SimServer
    calendar: Calendar
    store: Path

    @asynccontextmanager
    async def session(self, name: str = "home", **limits: Any) -> AsyncIterator[Session]:
        home = self.folder / name
        if not home.exists():
            self._copy_empty(home)
        async with AsyncExitStack() as stack:
            clients = {}
            for url, host in (
                (self.server.gamma_url, GAMMA),
                (self.server.clob_url, CLOB),
                (self.server.data_url, DATA),
            ):
                client = HttpClient(url, host, clock=self.calendar, rate_scale=1_000.0, policy=PATIENCE)
                clients[host.name] = await stack.enter_async_context(client)
            warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
            state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=self.calendar.time))
            progress, sources = Progress(), build_sources(clients)
            engine = SyncEngine(
                warehouse, state, sources, progress, self.calendar, stop=progress.stop,
                limits=EngineLimits(**limits),
            )  # fmt: skip
            yield Session(engine, warehouse, state, self.calendar, progress, sources)

    @asynccontextmanager
    async def filled(self, name: str = "home", **limits: Any) -> AsyncIterator[Session]:
        """A session on a store that knows the markets and, from their trades, the wallets."""
        if not (self.store / "filled").exists():
            async with self._making().session("filled") as s:
                assert (await s.engine.sync_markets()).status == "ok"
                assert (await s.engine.sync_trades()).status == "ok"
            self.server.requests.clear()
        self.copy("filled", name)
        async with self.session(name, **limits) as s:
            yield s

    @asynccontextmanager
    async def worked(self) -> AsyncIterator[Session]:
        """The same after the queue was worked with models: one wallet fails, one is empty, one was not reached."""
        if not (self.store / "worked").exists():
            async with self.filled("before"):
                pass
            shutil.copytree(self.folder / "before", self.store / "worked", symlinks=True)
            async with self._making().session("worked") as s:
                known = s.state.wallet_addresses()
                s.state.register_wallets([b"\xee" * 20], "users")
                query = f"*{known[0].hex()}*"
                self.server.faults.set([Fault("data/v2/value", "status", status=500, query=query)])
                await process(s.engine, ProcessOptions(max_wallets=len(known)))
        self.server.faults.set(())
        self.copy("worked", "home")
        async with self.session("home") as s:
            yield s

    def _copy_empty(self, home: Path) -> None:
        """A store whose schema is there already: making it takes longer than most tests."""
        empty = self.store / "empty"
        if not empty.exists():
            empty.mkdir()
            open_warehouse(f"chdb://{empty}/warehouse").close()
            open_state(f"sqlite:///{empty}/state.db").close()
        shutil.copytree(empty, home, symlinks=True)

    def copy(self, kept: str, name: str) -> None:
        """A store of our own from one that is kept."""
        shutil.copytree(self.store / kept, self.folder / name, symlinks=True)

    def _making(self) -> Lab:
        return Lab(self.store, self.server, Calendar(self.server), self.store)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of stores that are made once and copied for each test."""
    return tmp_path_factory.mktemp("filled")


@pytest.fixture
async def lab(tmp_path: Path, store: Path) -> AsyncIterator[Lab]:
    async with SimServer(Universe(seed=3, wallets=10, fills=160), enforce_limits=False) as server:
        yield Lab(tmp_path, server, Calendar(server), store)
