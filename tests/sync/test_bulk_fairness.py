"""One wallet that always fails, one that hangs, one with very many pages, 500 empty ones: the rest gets its share."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from polyhouse.domain.ids import parse_address
from polyhouse.sim import data_api
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.data_api import Activity
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, RetryPolicy
from polyhouse.state import open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.report import WalletSelection
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import build_sources

SLOTS = 4
ATTEMPTS = 2
PAGE = 10
HANG_SECONDS = 1.5
EMPTY = [hashlib.sha256(b"empty %d" % number).digest()[:20] for number in range(500)]


class Watched(FaultPlan):
    """Remembers whose activity was asked for, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def decide(self, path: str, query: str = "") -> Fault | None:
        if path == "data/v2/activity":
            self.asked.append(parse_qs(query)["user"][0])
        return super().decide(path, query)


@pytest.fixture
def server() -> Iterator[SimServer]:
    # The largest wallet has hundreds of rows; read a few at a time they are 30 pages, as 30,000 rows are at 1,000.
    universe = Universe(seed=3, wallets=30, fills=2_000)
    with ServerThread(SimServer(universe, enforce_limits=False, faults=Watched())) as thread:
        yield thread.server


async def sync_everybody(server: SimServer, home: Path, wallets: list[bytes]) -> tuple[Any, dict[bytes, Any]]:
    policy = RetryPolicy(attempts=ATTEMPTS, base_seconds=0.01, cap_seconds=0.02, breaker_failures=100, budget=1_000)
    async with AsyncExitStack() as stack:
        clients = {}
        for limits in (GAMMA, CLOB, DATA):
            client = HttpClient(
                f"{server.base_url}/{limits.name}", limits, rate_scale=1_000.0, policy=policy,
                timeouts=(5.0, HANG_SECONDS, 30.0),
            )  # fmt: skip
            clients[limits.name] = await stack.enter_async_context(client)
        warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
        state = stack.enter_context(open_state(f"sqlite:///{home}/state.db"))
        sources = replace(build_sources(clients), activity=Activity(clients["data"], page_limit=PAGE))
        engine = SyncEngine(
            warehouse, state, sources, None, clients["data"].clock, stop=asyncio.Event(),
            limits=EngineLimits(concurrency=SLOTS),
        )  # fmt: skip
        state.register_wallets(wallets, "test")
        report = await engine.sync_wallets(WalletSelection(all=True))
        return report, {wallet: state.wallet(wallet) for wallet in wallets}


def rows_of(server: SimServer, wallet: str) -> int:
    query = {"user": [wallet], "start": ["1"], "limit": ["1000"], "exclude_deposits_withdrawals": ["false"]}
    return len(data_api.activity(server.world, query).doc["data"])


async def test_bad_wallets_take_one_slot_and_come_last(server: SimServer, tmp_path: Path) -> None:
    watched: Any = server.faults
    named = server.world.universe.wallets
    by_size = sorted(named, key=lambda wallet: rows_of(server, wallet))
    big, failing, hanging = by_size[-1], by_size[0], by_size[1]
    watched.set(
        [
            Fault("data/v2/activity", "status", status=500, query=f"*user={failing}*"),
            Fault("data/v2/activity", "hang", seconds=600, query=f"*user={hanging}*"),
        ]
    )
    wallets = [parse_address(wallet) for wallet in named] + EMPTY
    report, records = await sync_everybody(server, tmp_path, wallets)

    bad = {parse_address(failing), parse_address(hanging)}
    assert {wallet for wallet, record in records.items() if record.status == "failed"} == bad
    assert all(record.status in {"completed", "empty"} for wallet, record in records.items() if wallet not in bad)
    assert all(records[wallet].status == "empty" for wallet in EMPTY)
    assert (report.status, report.counts["wallets_failed"]) == ("partial", 2)
    # Tried once more at the end, queued after it, and named.
    assert all(records[wallet].attempts == 2 and records[wallet].next_attempt for wallet in bad)
    assert sum(failing in error or hanging in error for error in report.errors) == 2

    asked = watched.asked
    times = Counter(asked)
    assert times[failing] == times[hanging] == 2 * ATTEMPTS
    others_end = max(place for place, wallet in enumerate(asked) if wallet not in {failing, hanging})
    for wallet in (failing, hanging):
        second_round = [place for place, one in enumerate(asked) if one == wallet][ATTEMPTS]
        assert second_round > others_end
    # While one request hangs, everybody else is served.
    first, second = [place for place, wallet in enumerate(asked) if wallet == hanging][:2]
    assert second - first > 3 * SLOTS
    # Many pages are read one after the other, in one slot of the three that do not hang. Others need time between two
    # wallets, so the share of the requests is more than a third, but far from all.
    assert times[big] >= 30
    pages = [place for place, wallet in enumerate(asked) if wallet == big]
    assert len(pages) / (pages[-1] - pages[0] + 1) <= 0.7
