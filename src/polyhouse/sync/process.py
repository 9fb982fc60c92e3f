"""Works the priority queue: ledger, reported positions, value and holders of each wallet that is due, then models and
scores; the scores decide who comes first next time.

Claims are leases with a heartbeat: a process that dies gives its wallets back by their expiry. What a run
that was killed or stopped did not build is built by the next one (``unbuilt``). An outage of the upstream ends a run
early and counts against no wallet (``process_wallets.Verdicts``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from polyhouse.domain.ids import format_address
from polyhouse.domain.times import format_time
from polyhouse.sync.context import RunContext
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.pool import Job, run_jobs
from polyhouse.sync.process_holders import INTERVAL_SECONDS, HolderReader
from polyhouse.sync.process_models import build_models, map_tokens
from polyhouse.sync.process_wallets import Verdicts, WalletWork
from polyhouse.sync.reorg import wallets_to_rebuild
from polyhouse.sync.report import RunReport
from polyhouse.sync.served import record_served

COMMAND = "process"
_CLAIM = 200
_PROMOTE = 5_000


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What one pass over the queue may do.

    Attributes:
        max_wallets: at most so many wallets; the rest waits and is reported.
        until: Unix seconds after which no more wallets are taken (a pass of continuous mode); None = no bound.
        holders_seconds: how long the holders of a market count as fresh.
        group: wallets after which holders, models and scores follow.
        metrics: build models and scores.
    """

    max_wallets: int | None = None
    until: float | None = None
    holders_seconds: int = INTERVAL_SECONDS
    group: int = 1_000
    metrics: bool = True


@dataclass(slots=True)
class QueueState:
    """How a pass left the queue. ``next_due``: Unix seconds at which the next wallet is due, None = nobody waits."""

    is_empty: bool = False
    next_due: int | None = None

    def in_words(self) -> str:
        """One sentence for people."""
        if not self.is_empty:
            return "wallets are waiting in the queue"
        if self.next_due is None:
            return "queue empty; no wallet is due later"
        return f"queue empty; the next wallet is due at {format_time(self.next_due)}"

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {"empty": self.is_empty, "next_due_at": None if self.next_due is None else format_time(self.next_due)}


@dataclass(frozen=True, slots=True)
class Pass:
    """The outcome of one pass."""

    report: RunReport
    queue: QueueState


async def process(engine: SyncEngine, options: ProcessOptions | None = None) -> Pass:
    """Work the queue once, until nobody in it is due, the bound is reached, the upstream is down, or a stop."""
    chosen = options or ProcessOptions()
    queue = QueueState()
    args = {} if chosen.max_wallets is None else {"max_wallets": chosen.max_wallets}

    async def work(ctx: RunContext) -> None:
        await _Round(ctx, chosen, queue).execute()

    return Pass(await engine.perform(COMMAND, args, work, builds=chosen.metrics), queue)


@dataclass(slots=True)
class _Group:
    """Wallets that wait for what follows: ``done`` for holders, ``touched`` for models."""

    done: list[bytes] = field(default_factory=list)
    touched: list[bytes] = field(default_factory=list)


class _Round:
    """One pass over the queue inside one run."""

    def __init__(self, ctx: RunContext, options: ProcessOptions, queue: QueueState) -> None:
        self._ctx = ctx
        self._options = options
        self._queue = queue
        self._taken = 0
        self._reading = True
        self._group = _Group()
        self._full = asyncio.Event()
        self._verdicts = Verdicts(ctx, self._settled)
        self._holders = HolderReader(ctx, options.holders_seconds)

    async def execute(self) -> None:
        """Claim, read, follow up; whatever is claimed and not read goes back at the end."""
        ctx = self._ctx
        await self._catch_up()
        await self._promote()
        waiting = await self._waiting()
        limit = self._options.max_wallets
        ctx.reporter.phase("queue", waiting if limit is None else min(waiting, limit), "wallets")
        try:
            async with asyncio.TaskGroup() as group:
                follower = group.create_task(self._follow(), name="process-follow-up")
                await run_jobs(ctx, self._jobs())
                while await self._verdicts.finish() and not ctx.should_end:
                    await run_jobs(ctx, self._jobs())  # wallets that an outage put back, now that it is over
                self._reading = False
                self._full.set()
                await follower
                await self._follow_up()
        finally:
            ctx.reporter.finish()
            await asyncio.to_thread(ctx.state.release_worker)
        if self._taken:
            await record_served(ctx)
        self._queue.is_empty = self._queue.is_empty and not ctx.should_end
        self._queue.next_due = await asyncio.to_thread(ctx.state.next_due_at)

    async def _catch_up(self) -> None:
        """Build what a run that was killed or stopped left unbuilt."""
        if not self._options.metrics:
            return
        left = await asyncio.to_thread(wallets_to_rebuild, self._ctx.state)
        if left is None or left:
            self._ctx.tally.counts["wallets_caught_up"] += len(left or ())
            await build_models(self._ctx, None if left is None else [])

    async def _promote(self) -> None:
        """Queue everything that is due, so that the first claims see all of it."""
        promoted = 1
        while promoted and not self._ctx.should_end:
            promoted = await asyncio.to_thread(self._ctx.state.promote_due, _PROMOTE)

    async def _waiting(self) -> int:
        return int((await asyncio.to_thread(self._ctx.state.wallet_counts))["pending"])

    async def _jobs(self) -> AsyncIterator[Job]:
        async for wallet in self._claimed():
            yield WalletWork(self._ctx, wallet, self._verdicts)

    async def _claimed(self) -> AsyncIterator[bytes]:
        ctx, options = self._ctx, self._options
        while not ctx.should_end and (options.until is None or ctx.clock.time() < options.until):
            size = _CLAIM if options.max_wallets is None else min(_CLAIM, options.max_wallets - self._taken)
            if size <= 0:
                waiting = await self._waiting()
                if waiting:
                    ctx.tally.limit(f"{waiting:,} more wallets wait: --max-wallets {options.max_wallets} was reached")
                return
            group = await asyncio.to_thread(self._claim, size)
            if not group:
                self._queue.is_empty = True
                return
            self._taken += len(group)
            ctx.tally.counts["wallets_taken"] += len(group)
            for wallet in group:
                yield wallet

    def _claim(self, size: int) -> list[bytes]:
        if self._ctx.state.is_shared:
            self._ctx.state.renew_leases()  # those that ran out in an outage must not be given to us again
        self._ctx.state.promote_due()
        claimed = list(self._ctx.state.claim_wallets(size))
        if claimed:
            sources = self._ctx.sources
            streams = [sources.activity.name, sources.positions.name, sources.values.name]
            self._ctx.state.read_ahead(streams, [format_address(wallet) for wallet in claimed])
        return claimed

    def _settled(self, wallet: bytes, has_rows: bool, is_done: bool) -> None:
        if has_rows:
            self._group.touched.append(wallet)
        if is_done:
            self._group.done.append(wallet)
        if max(len(self._group.touched), len(self._group.done)) >= self._options.group:
            self._full.set()

    async def _follow(self) -> None:
        """Beside the reading: whenever a group is full, its holders, models and scores."""
        while self._reading:
            await self._full.wait()
            self._full.clear()
            if self._reading:
                await self._follow_up()

    async def _follow_up(self) -> None:
        ctx, metrics = self._ctx, self._options.metrics
        group, self._group = self._group, _Group()
        await self._verdicts.flush()
        if not ctx.should_end:
            await self._holders.read(group.done)
        if metrics and group.touched and not ctx.should_end:
            await map_tokens(ctx, group.touched)
        if metrics and group.touched and not ctx.stop.is_set():  # after a stop the next run builds what is left
            ctx.tally.counts["wallets_scored"] += await build_models(ctx, group.touched)
