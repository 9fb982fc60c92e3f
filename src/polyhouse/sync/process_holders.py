"""Holders of the markets in which processed wallets hold something: each market once per interval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from polyhouse.ports import Checkpoint, Warehouse
from polyhouse.sync.context import RunContext
from polyhouse.sync.markets import lookup_key
from polyhouse.sync.pool import Job, WalkJob, run_jobs
from polyhouse.sync.walk import WalkResult
from polyhouse.tables import Columns

STREAM = "process.holders"
"""Checkpoints of this name say when the holders of a condition were last read to the end."""

INTERVAL_SECONDS = 6 * 3600
_BATCH = 20
_AT_ONCE = 8


class HolderReader:
    """Reads holders of conditions that are due, and remembers when.

    Args:
        ctx: the run.
        interval: seconds after which a market's holders are read again.
    """

    def __init__(self, ctx: RunContext, interval: int = INTERVAL_SECONDS) -> None:
        self._ctx = ctx
        self._interval = interval
        self._read_at: dict[str, int] | None = None
        self._number = 0

    async def read(self, wallets: Sequence[bytes]) -> None:
        """Read the holders of the open markets of these wallets that are due.

        A list that could not be read to its end changes nothing but what it showed, and is asked for again next time.
        """
        stream = self._ctx.sources.holders
        if stream is None or not wallets:
            return
        if self._read_at is None:
            known = await asyncio.to_thread(self._ctx.state.checkpoints, STREAM)
            self._read_at = {one.partition: one.updated_at for one in known}
        read_at = self._read_at
        conditions = await asyncio.to_thread(open_conditions, self._ctx.warehouse, wallets)
        before = int(self._ctx.clock.time()) - self._interval
        due = [one for one in conditions if read_at.get(one, -1) <= before]
        self._ctx.tally.counts["markets_still_fresh"] += len(conditions) - len(due)
        jobs: list[Job] = []
        for start in range(0, len(due), _BATCH):
            batch = due[start : start + _BATCH]
            walk = self._ctx.walk(stream, lookup_key(self._number), {"conditions": batch}, fresh=True)
            self._number += 1
            jobs.append(WalkJob(self._ctx, walk, self._then(batch, int(self._ctx.clock.time())), units=0))
        await run_jobs(self._ctx, jobs, min(_AT_ONCE, self._ctx.limits.concurrency))

    def _then(self, conditions: Sequence[str], since: int) -> Callable[[WalkResult], Awaitable[None]]:
        async def then(result: WalkResult) -> None:
            if result.status in {"ok", "empty"}:
                await self._ctx.writer.call(self._close, conditions, since)
                self._ctx.tally.counts["markets_with_holders_read"] += len(conditions)

        return then

    def _close(self, conditions: Sequence[str], since: int) -> None:
        """Runs in the writer's thread: who is no longer listed holds nothing, and the markets are fresh."""
        ctx = self._ctx
        now = int(ctx.clock.time())
        gone = former_holders(ctx.warehouse, conditions, run=ctx.run, since=since)
        if gone:
            columns: Columns = {
                "token": [row[0] for row in gone],
                "wallet": [row[1] for row in gone],
                "shares": [0] * len(gone),
                "outcome": [row[2] for row in gone],
                "seen_at": [now] * len(gone),
            }
            ctx.warehouse.write("reported_holders", columns, run=ctx.run, token=f"gone:{ctx.run}:{conditions[0]}")
        ctx.state.restore_checkpoints(Checkpoint(STREAM, one, {}, "ok", updated_at=now) for one in conditions)
        if self._read_at is not None:
            self._read_at.update(dict.fromkeys(conditions, now))


def open_conditions(warehouse: Warehouse, wallets: Sequence[bytes]) -> list[str]:
    """Conditions without a final payout in which these wallets hold shares, as Polymarket reports it; in order."""
    rows = warehouse.query(
        """
        SELECT DISTINCT condition FROM reported_positions_current
        WHERE wallet IN (
            SELECT toFixedString(unhex(substring({ids:String}, number * 40 + 1, 40)), 20)
            FROM numbers({count:UInt64}))
          AND shares > 0 AND status = 'OPEN' AND condition != ''
          AND condition NOT IN (SELECT condition FROM resolutions_current WHERE NOT provisional)
        ORDER BY condition SETTINGS max_threads = 1
        """,
        {"ids": "".join(wallet.hex() for wallet in wallets), "count": len(wallets)},
    ).rows
    return ["0x" + bytes(row[0]).hex() for row in rows]


def former_holders(
    warehouse: Warehouse, conditions: Sequence[str], *, run: int, since: int
) -> list[tuple[bytes, bytes, int]]:
    """(token, wallet, outcome) of holders of these conditions' tokens whom the reading that began at ``since`` did not
    list.
    """
    rows = warehouse.query(
        """
        SELECT token, wallet, outcome FROM reported_holders_current
        WHERE token IN (
            SELECT arrayJoin(tokens) FROM markets_current
            WHERE condition IN (SELECT unhex(arrayJoin({conditions:Array(String)}))))
          AND shares > 0 AND (run != {run:UInt64} OR toUnixTimestamp(seen_at) < {since:UInt32})
        ORDER BY token, wallet SETTINGS max_threads = 1
        """,
        {"conditions": [one.removeprefix("0x") for one in conditions], "run": run, "since": since},
    ).rows
    return [(bytes(row[0]), bytes(row[1]), int(row[2])) for row in rows]
