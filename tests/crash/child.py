"""A process that runs the main job against an upstream and may be killed anywhere. Started by the crash tests.

Arguments: home folder, upstream base URL. Environment: ``POLYHOUSE_FAILPOINT`` (see ``polyhouse.failpoints``),
``KILL_AT_COMMIT`` (n: die inside the n-th state transaction), ``KILL_AFTER_MS`` (die after so many milliseconds).
First it looks at what the life before left: exit code 99 if a checkpoint claims more than the warehouse holds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyhouse.state import StateStore
    from polyhouse.warehouse import ClickHouseWarehouse


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    nth = int(os.environ.get("KILL_AT_COMMIT", "0"))
    if nth:
        from sqlalchemy import Engine, event

        seen = 0

        @event.listens_for(Engine, "commit")
        def count(_connection: object) -> None:
            nonlocal seen
            seen += 1
            if seen == nth:
                die()

    milliseconds = int(os.environ.get("KILL_AFTER_MS", "0"))
    if milliseconds:

        def later() -> None:
            time.sleep(milliseconds / 1000)
            die()

        threading.Thread(target=later, daemon=True).start()


def claims_without_data(warehouse: ClickHouseWarehouse, state: StateStore) -> list[str]:
    """Checkpoints whose page is not in the manifest, and wallets that are called complete without a row."""
    from polyhouse.sync.manifest import position_text

    pages = warehouse.query("SELECT stream, partition, position_to FROM sync_pages_current").rows
    manifest = {(str(row[0]), str(row[1]), str(row[2])) for row in pages}
    found = [
        f"{one.stream} [{one.partition}] at {dict(one.position)}"
        for one in state.checkpoints()
        if one.position and (one.stream, one.partition, position_text(one.position)) not in manifest
    ]
    ledgers = {row[0] for row in warehouse.query("SELECT DISTINCT wallet FROM observations_current").rows}
    return found + [
        f"complete without rows: {w.hex()}" for w in state.wallet_addresses("completed") if w not in ledgers
    ]


async def main(home: str, base: str) -> int:
    from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
    from polyhouse.state import open_state
    from polyhouse.sync.context import EngineLimits
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.writer import BatchLimits
    from polyhouse.warehouse import open_warehouse
    from polyhouse.wiring import build_sources

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        clients = {}
        for limits in (GAMMA, CLOB, DATA):
            client = HttpClient(f"{base}/{limits.name}", limits, clock=clock, rate_scale=1_000.0)
            clients[limits.name] = await stack.enter_async_context(client)
        warehouse = stack.enter_context(open_warehouse(f"chdb://{home}/warehouse"))
        state = stack.enter_context(open_state(f"sqlite:///{home}/state.db"))
        if found := claims_without_data(warehouse, state):
            print(found[:3])
            return 99
        arm()
        # Small batches: many places to die.
        limits = EngineLimits(concurrency=30, batch=BatchLimits(rows=300, seconds=0.2, waiting_rows=600))
        engine = SyncEngine(warehouse, state, build_sources(clients), None, clock, limits=limits)
        report = await engine.run(metrics=False, positions=False)
        print(report.status, report.errors[:3])
        return report.exit_code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2])))
