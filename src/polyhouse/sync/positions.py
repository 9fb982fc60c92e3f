"""Positions and values as Polymarket reports them: measurements that our numbers are compared with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from polyhouse.domain.ids import format_address
from polyhouse.ports import Warehouse
from polyhouse.sync.context import RunContext
from polyhouse.sync.pool import Job, run_jobs
from polyhouse.sync.walk import Walk
from polyhouse.tables import Columns

_GROUP = 200
GONE = "GONE"
"""Status of a position that an earlier run saw and the newest does not."""


async def walk_positions(
    ctx: RunContext, wallets: Sequence[bytes] | bytearray, *, left: Sequence[bytes] = (), since: int = 0
) -> None:
    """Read reported positions and portfolio value of each wallet.

    A wallet's positions are replaced as a whole: what the newest complete answer does not list any more becomes a row
    with zero shares and status ``GONE``.

    Args:
        ctx: the run.
        wallets: addresses, as a list or joined in one bytearray (2.9 million of them fit in 58 MB).
        left: wallets of a run that was stopped: asked, unless it came to asking them.
        since: when that run began, Unix seconds.
    """
    total = len(left) + (len(wallets) // 20 if isinstance(wallets, bytearray) else len(wallets))
    if not total:
        return
    replaced = Replacement(ctx)
    ctx.reporter.phase("reported positions", total, "wallets")
    try:
        await run_jobs(ctx, _jobs(ctx, wallets, replaced))
        if not ctx.should_end:
            await run_jobs(ctx, _jobs(ctx, left, replaced, since))
        await replaced.flush()
    finally:
        ctx.reporter.finish()


async def _jobs(
    ctx: RunContext, wallets: Sequence[bytes] | bytearray, replaced: Replacement, since: int | None = None
) -> AsyncIterator[Job]:
    for wallet in _each(wallets):
        key = format_address(wallet)
        positions = ctx.walk(ctx.sources.positions, key, fresh=True, since=since)
        value = ctx.walk(ctx.sources.values, key, fresh=True, since=since)
        yield PositionsJob(ctx, wallet, positions, value, replaced)


def _each(wallets: Sequence[bytes] | bytearray) -> Iterator[bytes]:
    if isinstance(wallets, bytearray):
        for start in range(0, len(wallets), 20):
            yield bytes(wallets[start : start + 20])
    else:
        yield from wallets


class PositionsJob:
    """Positions, then value, of one wallet."""

    def __init__(self, ctx: RunContext, wallet: bytes, positions: Walk, value: Walk, replaced: Replacement) -> None:
        self._ctx = ctx
        self._wallet = wallet
        self._positions = positions
        self._value = value
        self._replaced = replaced
        self._asked_value = False
        self._since = 0

    async def fetch(self) -> None:
        """Ask for both."""
        self._since = int(self._ctx.clock.time())
        await self._positions.fetch()
        self._ctx.fetched(self._positions)
        if self._positions.error is None and not self._ctx.stop.is_set():
            self._asked_value = True
            await self._value.fetch()
            self._ctx.fetched(self._value)

    async def settle(self) -> None:
        """Wait for the last commit of both."""
        result = await self._positions.settle()
        self._ctx.record(result)
        if self._asked_value:
            self._ctx.record(await self._value.settle())
        if result.status in {"ok", "empty"}:
            if self._positions.was_read_before is None:
                await self._replaced.add(self._wallet, self._since)
            else:
                await self._replaced.add_read_before(self._wallet, self._positions.was_read_before)
        self._ctx.reporter.advance(1, rows=result.rows, failed=int(result.status == "failed"))


class Replacement:
    """Closes the positions that wallets no longer have, in groups of wallets."""

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._since: dict[bytes, int] = {}
        self._before: dict[bytes, int] = {}

    async def add_read_before(self, wallet: bytes, since: int) -> None:
        """The wallet's positions were read to the end by a run that began at ``since`` and was stopped."""
        self._before[wallet] = since
        if len(self._before) >= _GROUP:
            await self.flush()

    async def add(self, wallet: bytes, since: int) -> None:
        """The wallet's positions were read to the end; the reading began at ``since`` (Unix seconds)."""
        self._since[wallet] = since
        if len(self._since) >= _GROUP:
            await self.flush()

    async def flush(self) -> None:
        """Write the rows of positions that are gone."""
        group, self._since = self._since, {}
        before, self._before = self._before, {}
        if group:
            await self._ctx.writer.call(self._close, group, self._ctx.run)
        if before:
            await self._ctx.writer.call(self._close, before, None)

    def _close(self, group: Mapping[bytes, int], run: int | None) -> None:
        rows = positions_left_behind(self._ctx.warehouse, group, run)
        if not rows:
            return
        columns: Columns = {
            "wallet": [row[0] for row in rows],
            "token": [row[1] for row in rows],
            "condition": [row[2] for row in rows],
            "status": [GONE] * len(rows),
            "seen_at": [int(self._ctx.clock.time())] * len(rows),
        }
        token = f"gone:{self._ctx.run}:{next(iter(group)).hex()}"
        self._ctx.warehouse.write("reported_positions", columns, run=self._ctx.run, token=token)


def positions_left_behind(
    warehouse: Warehouse, since: Mapping[bytes, int], run: int | None
) -> list[tuple[bytes, bytes, bytes]]:
    """(wallet, token, condition) of reported positions that the newest reading of their wallet did not list.

    Args:
        warehouse: the open warehouse.
        since: wallet → when its newest complete reading began (Unix seconds).
        run: the run that read them; an earlier, failed reading of the same run is told by its time. None: another one,
            and so are all others.
    """
    of_others = "0" if run is None else "run != {run:UInt64}"
    rows = warehouse.query(
        f"""
        WITH indexOf({{wallets:Array(String)}}, hex(wallet)) AS place
        SELECT wallet, token, condition FROM reported_positions_current
        WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({{wallets:Array(String)}})), 20))
          AND status != {{gone:String}}
          AND ({of_others} OR toUnixTimestamp(seen_at) < {{since:Array(UInt32)}}[place])
        ORDER BY wallet, token SETTINGS max_threads = 1
        """,
        {
            "wallets": [wallet.hex().upper() for wallet in since], "since": list(since.values()),
            "run": run or 0, "gone": GONE,
        },
    ).rows  # fmt: skip
    return [(bytes(row[0]), bytes(row[1]), bytes(row[2])) for row in rows]


async def all_wallets(ctx: RunContext) -> bytearray:
    """Every registered wallet, joined."""
    return bytearray(b"".join(await asyncio.to_thread(ctx.state.wallet_addresses)))
