"""A process that runs one job of an installation and may be killed anywhere. Started by the kill tests.

Arguments: home folder, upstream base URL, job (``load``, ``news``, ``markets``), the upstream's time. Environment:
``POLYHOUSE_FAILPOINT`` (see ``polyhouse.failpoints``).
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.state import open_state
from polyhouse.sync.context import EngineLimits
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.open_markets import walk_open_markets
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.writer import BatchLimits
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import build_sources


class FixedClock(SystemClock):
    """The simulated world's calendar; durations stay real."""

    def __init__(self, now: int) -> None:
        self._now = now

    def time(self) -> float:
        return float(self._now)


async def work(engine: SyncEngine, job: str) -> RunReport:
    if job == "load":
        return await engine.run(metrics=False, positions=False)
    if job == "news":
        return await engine.sync_wallets(WalletSelection(active_only=True, incremental=True))
    return await engine.perform("sync open-markets", {}, lambda ctx: walk_open_markets(ctx, everything=True))


async def main(home: str, base: str, job: str, now: int) -> int:
    clock = FixedClock(now)
    async with AsyncExitStack() as stack:
        clients = {}
        for limits in (GAMMA, CLOB, DATA):
            client = HttpClient(f"{base}/{limits.name}", limits, clock=clock, rate_scale=1_000.0)
            clients[limits.name] = await stack.enter_async_context(client)
        warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
        state = stack.enter_context(open_state(f"sqlite:///{home}/state.db", now=clock.time))
        # Small batches: many places to die.
        bounds = EngineLimits(batch=BatchLimits(rows=60, seconds=0.02, waiting_rows=120))
        engine = SyncEngine(warehouse, state, build_sources(clients), None, clock, limits=bounds)
        report = await work(engine, job)
        print(report.status, report.errors[:3], dict(report.counts))
        return report.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
