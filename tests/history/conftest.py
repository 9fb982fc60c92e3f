"""A simulated Polymarket with all its side doors, and engines on real stores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polyhouse.sim import dome_api
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.dome import DOME, DomeOrders, auth_headers
from polyhouse.sources.goldsky import SUBGRAPH, GoldskyFills
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.state import StateStore, open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import build_sources

PATIENT = RetryPolicy(attempts=4, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)


class UniverseClock(SystemClock):
    """The simulated world's calendar; durations stay real."""

    def __init__(self, server: SimServer) -> None:
        self._server = server

    def time(self) -> float:
        return float(self._server.world.now)


@dataclass
class Session:
    """One process life: an engine and its stores, and the clients of the side doors."""

    engine: SyncEngine
    warehouse: ClickHouseWarehouse
    state: StateStore
    clients: dict[str, HttpClient]

    def observations(self, columns: str, where: str = "1") -> list[tuple[Any, ...]]:
        return sorted(self.warehouse.query(f"SELECT {columns} FROM observations_current WHERE {where}").rows)


@asynccontextmanager
async def session(server: SimServer, home: Path) -> AsyncIterator[Session]:
    clock = UniverseClock(server)
    roads = {
        "gamma": (server.gamma_url, GAMMA, None),
        "clob": (server.clob_url, CLOB, None),
        "data": (server.data_url, DATA, None),
        "subgraph": (server.subgraph_url, SUBGRAPH, None),
        "dome": (server.dome_url, DOME, auth_headers(dome_api.KEY)),
    }
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                HttpClient(url, limits, clock=clock, rate_scale=1_000.0, policy=PATIENT, headers=headers)
            )
            for name, (url, limits, headers) in roads.items()
        }
        warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
        state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=clock.time))
        engine = SyncEngine(
            warehouse, state, build_sources(clients), None, clock, stop=asyncio.Event(), limits=EngineLimits()
        )
        yield Session(engine, warehouse, state, clients)


async def walk_whole(stream: Any, partition: Any, position: Any = None) -> list[Any]:
    """All pages of one walk."""
    return [page async for page in stream.pages(partition, position or {})]


async def walk_in_pieces(make: Any, partition: Any) -> list[Any]:
    """The same walk, stopped after every page and taken up again from the stored position by a new stream."""
    position: dict[str, Any] = {}
    pages = []
    while True:
        walk = make().pages(partition, json.loads(json.dumps(position)))
        page = await anext(walk)
        await walk.aclose()
        pages.append(page)
        position = dict(page.position)
        if page.is_last:
            return pages


def rows_of(pages: list[Any], table: str = "observations") -> list[dict[str, Any]]:
    rows = []
    for page in pages:
        filled = page.tables.get(table)
        if filled:
            assert len({len(values) for values in filled.values()}) == 1
            rows += [dict(zip(filled, values, strict=True)) for values in zip(*filled.values(), strict=True)]
    return rows


@pytest.fixture
def tools() -> SimpleNamespace:
    """The helpers above, for tests that cannot import this file."""
    return SimpleNamespace(
        session=session, whole=walk_whole, pieces=walk_in_pieces, rows=rows_of, Goldsky=GoldskyFills, Dome=DomeOrders,
        clock=UniverseClock, patient=PATIENT,
        data_client=lambda server: HttpClient(
            server.data_url, DATA, rate_scale=1_000.0, policy=PATIENT, clock=UniverseClock(server)
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def universe() -> Universe:
    """A year with both generations of exchanges; orders that fill twice in one transaction occur."""
    return Universe(seed=7, wallets=30, fills=1_500)


@pytest.fixture
async def server(universe: Universe) -> AsyncIterator[SimServer]:
    async with SimServer(universe, enforce_limits=False) as running:
        yield running
