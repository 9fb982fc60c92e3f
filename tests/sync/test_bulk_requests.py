"""A bulk sync under the published limits, both sides' windows shortened alike: no request too many, none refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polyhouse.domain.ids import parse_address
from polyhouse.settings import Settings
from polyhouse.sim import data_api
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import WalletSelection
from polyhouse.wiring import engine_session, open_stores

WALLETS = 400
WINDOW = 0.4
SCALE = 0.1  # 40 requests per window
ROUTE = "data/v2/activity"


@pytest.fixture
def server() -> Iterator[SimServer]:
    universe = Universe(seed=5, wallets=WALLETS, fills=12_000)
    with ServerThread(SimServer(universe, scale=SCALE, limit_window=WINDOW)) as thread:
        yield thread.server


def settings_for(server: SimServer, home: Path) -> Settings:
    return Settings(
        home=home, rate_scale=SCALE, gamma_url=server.gamma_url, clob_url=server.clob_url, data_url=server.data_url
    )


def pages_needed(server: SimServer, wallet: str) -> int:
    """Asked of the simulator itself, page after page, without a client."""
    query = {"user": [wallet], "sort_direction": ["ASC"], "start": ["1"], "limit": ["1000"]}
    query["exclude_deposits_withdrawals"] = ["false"]
    pages = 0
    while True:
        pages += 1
        cursor = data_api.activity(server.world, query).doc["pagination"]["next_cursor"]
        if cursor is None:
            return pages
        query["cursor"] = [cursor]


def busiest(arrivals: list[float]) -> int:
    return max(sum(at - WINDOW < other <= at for other in arrivals[max(0, n - 60) : n + 1]) for n, at in
               enumerate(arrivals))  # fmt: skip


async def test_no_request_too_many_and_none_refused(server: SimServer, tmp_path: Path) -> None:
    arrivals: list[float] = []
    limiter: Any = server.limiter
    check = limiter.check

    def watched(path: str) -> Any:
        if path == ROUTE:
            arrivals.append(time.monotonic())
        return check(path)

    limiter.check = watched
    wallets = server.world.universe.wallets
    minimum = sum(pages_needed(server, wallet) for wallet in wallets)
    assert minimum > WALLETS  # some need several pages
    settings = settings_for(server, tmp_path)
    with open_stores(settings) as stores:
        stores.state.register_wallets(map(parse_address, wallets), "file")
        async with engine_session(settings, stores, NullReporter(), window=WINDOW) as engine:
            report = await engine.sync_wallets(WalletSelection(all=True))
        counts = stores.state.wallet_counts()
    assert (report.status, report.errors) == ("ok", [])
    assert counts["completed"] + counts["empty"] == WALLETS
    assert server.requests[ROUTE] == len(arrivals) <= minimum * 1.02
    assert sum(server.throttled.values()) == 0
    assert busiest(arrivals) <= limiter.limit_of(ROUTE) == 40
