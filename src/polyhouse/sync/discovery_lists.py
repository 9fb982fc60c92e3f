"""Discovery from lists of the upstream: holders of all active markets, and every leaderboard.

A pass over the lists that was interrupted goes on: what it read is left out, what it began is continued. A complete
pass is followed by a new one, which reads everything again: lists change everywhere, and carry no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from polyhouse.domain.ids import format_condition, format_token, parse_condition, parse_token
from polyhouse.ports import Checkpoint, Partition, Position, Stream
from polyhouse.sources.data_api.boards import FULL, WALL
from polyhouse.sync import discovery_catalog as catalog
from polyhouse.sync.batches import Batcher, MarketBatch
from polyhouse.sync.context import RunContext
from polyhouse.sync.discovery_report import Clamp, DiscoverReport
from polyhouse.sync.markets import in_thread
from polyhouse.sync.pool import Job, WalkJob, run_jobs
from polyhouse.sync.store import RunState
from polyhouse.sync.walk import Walk, WalkResult

_PASS_SECONDS = 6 * 3600
_AT_ONCE = 12
_Then = Callable[[WalkResult], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the lists of a source.

    Attributes:
        name: its note in the state store.
        since: when it began, Unix seconds.
        resumes: it goes on with one that was interrupted, at most six hours ago.
    """

    name: str
    since: int
    resumes: bool

    @classmethod
    def begin(cls, state: RunState, source: str, now: int) -> Pass:
        """Go on with an unfinished pass, or begin a new one."""
        name = f"discover.{source}"
        started = int(state.get_note(name) or 0)
        if started and now - started < _PASS_SECONDS:
            return cls(name, started, resumes=True)
        state.set_note(name, now)
        return cls(name, now, resumes=False)

    def end(self, state: RunState) -> None:
        """Everything was asked for once."""
        state.set_note(self.name, 0)

    def has(self, checkpoint: Checkpoint | None) -> bool:
        """Whether this pass brought the partition to where it stands."""
        return self.resumes and checkpoint is not None and checkpoint.updated_at >= self.since

    def is_done(self, checkpoint: Checkpoint | None) -> bool:
        """Whether this pass read the partition to its end."""
        return self.has(checkpoint) and checkpoint is not None and checkpoint.status in {"ok", "empty"}


@dataclass(slots=True)
class _Suspects:
    """Lists of holders that may have been cut: tokens with the length of their list, batches with a wall."""

    tokens: dict[bytes, int] = field(default_factory=dict)
    walls: list[tuple[MarketBatch, int]] = field(default_factory=list)

    def look(self, batch: MarketBatch, position: Position) -> None:
        for token, rows in dict(position.get(FULL, {})).items():
            self.tokens[parse_token(token)] = int(rows)
        if WALL in position:
            self.walls.append((batch, int(position[WALL])))


async def walk_holders(ctx: RunContext, report: DiscoverReport) -> None:
    """Read the holders of both outcomes of every active market; lists that were cut are reported."""
    stream = ctx.sources.holders
    if stream is None:
        return
    this = await asyncio.to_thread(Pass.begin, ctx.state, "holders", int(ctx.clock.time()))
    suspects = _Suspects()
    total = await asyncio.to_thread(catalog.active_count, ctx.warehouse)
    ctx.tally.counts["markets_active"] = total
    ctx.reporter.phase("holders", total, "markets")
    try:
        await run_jobs(ctx, _holder_jobs(ctx, stream, this, suspects), min(_AT_ONCE, ctx.limits.concurrency))
    finally:
        ctx.reporter.finish()
    await _cover(ctx, this, suspects, report)
    if not ctx.should_end:
        await asyncio.to_thread(this.end, ctx.state)


async def _holder_jobs(ctx: RunContext, stream: Stream, this: Pass, suspects: _Suspects) -> AsyncIterator[Job]:
    known = {one.partition: one for one in await asyncio.to_thread(ctx.state.checkpoints, stream.name)}
    chunks = catalog.active_chunks(ctx.warehouse)
    async for batch in in_thread(Batcher(known).batches(chunks)):
        checkpoint = known.get(batch.key)
        if checkpoint is not None and this.is_done(checkpoint):
            ctx.tally.counts["lists_read_before"] += 1
            suspects.look(batch, checkpoint.position)
            ctx.reporter.advance(len(batch.markets))
            continue
        walk = ctx.walk(stream, batch.key, {"conditions": batch.conditions}, fresh=not this.has(checkpoint))
        yield WalkJob(ctx, walk, _look_at(suspects, batch, walk), units=len(batch.markets))


def _look_at(suspects: _Suspects, batch: MarketBatch, walk: Walk) -> _Then:
    async def then(result: WalkResult) -> None:
        if result.status in {"ok", "empty"}:
            suspects.look(batch, walk.position)

    return then


async def _cover(ctx: RunContext, this: Pass, suspects: _Suspects, report: DiscoverReport) -> None:
    """Read the open positions of markets whose list of holders may have been cut, and say which ones were."""
    walled = await asyncio.to_thread(_walled, ctx, this, suspects)
    lengths = suspects.tokens | walled
    if not lengths:
        return
    conditions = await asyncio.to_thread(catalog.conditions_of, ctx.warehouse, sorted(lengths))
    wanted = sorted(set(conditions.values()))
    complete = await _read_positions(ctx, wanted)
    for token in sorted(lengths):
        condition = conditions.get(token, b"")
        more = 0
        if condition:
            more = await asyncio.to_thread(catalog.unlisted_holders, ctx.warehouse, token, condition, this.since)
        if not more and token not in walled and condition in complete:
            ctx.tally.counts["lists_full_and_whole"] += 1
            continue
        clamp = Clamp(
            f"holders of token {format_token(token)}"
            + (f" (market {format_condition(condition)})" if condition else ""),
            lengths[token],
            more,
            "the open positions of the market, read in this run"
            if condition in complete
            else "the trades of the market, which name everyone who traded there; its open positions were not read",
        )
        report.clamps.append(clamp)
        ctx.tally.counts["lists_cut"] += 1
        ctx.tally.limit(
            f"{clamp.what}: the upstream's list ends at {clamp.rows:,}; covered by {clamp.covered_by} "
            f"({more:,} more wallets)"
        )


def _walled(ctx: RunContext, this: Pass, suspects: _Suspects) -> dict[bytes, int]:
    """Token → length, for the tokens whose lists reached the wall of their batch."""
    found: dict[bytes, int] = {}
    for batch, depth in suspects.walls:
        conditions = [parse_condition(text) for text in batch.conditions]
        for token in catalog.tokens_of(ctx.warehouse, conditions):
            rows = catalog.listed(ctx.warehouse, token, this.since)
            if rows >= depth:
                found[token] = rows
    return found


async def _read_positions(ctx: RunContext, conditions: Sequence[bytes]) -> set[bytes]:
    """The conditions whose open positions could be read to the end."""
    stream = ctx.sources.market_positions
    complete: set[bytes] = set()
    if stream is None or not conditions or ctx.should_end:
        return complete

    def then(condition: bytes) -> _Then:
        async def note(result: WalkResult) -> None:
            if result.status in {"ok", "empty"}:
                complete.add(condition)

        return note

    ctx.reporter.phase("positions of markets with cut lists", len(conditions), "markets")
    try:
        jobs = [
            WalkJob(ctx, ctx.walk(stream, format_condition(one), fresh=True), then(one), units=1) for one in conditions
        ]
        await run_jobs(ctx, jobs, min(_AT_ONCE, ctx.limits.concurrency))
    finally:
        ctx.reporter.finish()
    return complete


async def walk_boards(ctx: RunContext, report: DiscoverReport) -> None:
    """Read every leaderboard to its end or wall. Boards are excerpts by nature: a wall is reported, no failure."""
    this = await asyncio.to_thread(Pass.begin, ctx.state, "leaderboard", int(ctx.clock.time()))
    for stream in ctx.sources.leaderboards:
        partitions = list(stream.partitions(int(ctx.clock.time())))
        known = {one.partition: one for one in await asyncio.to_thread(ctx.state.checkpoints, stream.name)}
        ctx.reporter.phase("leaderboards", len(partitions), "boards")
        try:
            jobs = _board_jobs(ctx, stream, this, partitions, known, report)
            await run_jobs(ctx, jobs, min(_AT_ONCE, ctx.limits.concurrency))
        finally:
            ctx.reporter.finish()
        if ctx.should_end:
            return
    await asyncio.to_thread(this.end, ctx.state)


async def _board_jobs(
    ctx: RunContext,
    stream: Stream,
    this: Pass,
    partitions: Sequence[Partition],
    known: dict[str, Checkpoint],
    report: DiscoverReport,
) -> AsyncIterator[Job]:
    for partition in partitions:
        checkpoint = known.get(partition.key)
        if checkpoint is not None and this.is_done(checkpoint):
            ctx.tally.counts["lists_read_before"] += 1
            _report_wall(ctx, partition, checkpoint.position, report)
            ctx.reporter.advance(1)
            continue
        walk = ctx.walk_over(stream, partition, fresh=not this.has(checkpoint))

        async def then(result: WalkResult, walk: Walk = walk) -> None:
            if result.status in {"ok", "empty"}:
                _report_wall(ctx, result.partition, walk.position, report)

        yield WalkJob(ctx, walk, then)


def _report_wall(ctx: RunContext, partition: Partition, position: Position, report: DiscoverReport) -> None:
    rows = int(position.get(WALL, 0)) or int(dict(position.get(FULL, {})).get(partition.key, 0))
    if rows:
        clamp = Clamp(f"{partition.stream} [{partition.key}]", rows, 0, "holders and trades, which name everyone else")
        report.clamps.append(clamp)
        ctx.tally.counts["boards_cut"] += 1
        ctx.reporter.note(f"{clamp.what} ends at {rows:,} rows: the upstream shows no more of this board.")
