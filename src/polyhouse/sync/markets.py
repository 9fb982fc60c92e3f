"""The universe pass: which markets exist, what they resolved to, which tokens belong to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from polyhouse.failpoints import reach
from polyhouse.ports import Checkpoint, Partition, Stream
from polyhouse.sync import catalog
from polyhouse.sync.context import END_NOTE, RunContext
from polyhouse.sync.gaps import MARKETS_THROUGH, Unread, newest_trade
from polyhouse.sync.pool import Job, WalkJob, run_jobs
from polyhouse.sync.walk import WalkResult

T = TypeVar("T")

_CLOB_WAVE = 4
_RECENT_SECONDS = 8 * 86_400
_RESOLUTIONS_BATCH = 20
_TOKENS_BATCH = 50
_LOOKUP_LIMIT = 100_000


async def walk_universe(ctx: RunContext, *, full: bool) -> None:
    """Walk Gamma's events and the order book's list of markets side by side.

    Args:
        ctx: the run.
        full: read slices of closed events again even if they were read a short while ago.
    """
    now = int(ctx.clock.time())
    # Asked before the walk: a market that appears during it may be missed.
    newest = await newest_trade(ctx)
    unread = Unread()
    events = await asyncio.to_thread(_event_partitions, ctx, now, full=full)
    walks = [ctx.walk_over(ctx.sources.gamma_events, partition) for partition in events]
    ctx.reporter.phase("markets", None, "partitions")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(run_jobs(ctx, [WalkJob(ctx, walk, unread.look) for walk in walks]))
            group.create_task(_walk_order_book(ctx, unread))
    finally:
        ctx.reporter.finish()
    if newest and not unread.partitions and not ctx.should_end:
        await asyncio.to_thread(ctx.state.set_note, MARKETS_THROUGH, newest)


def _event_partitions(ctx: RunContext, now: int, *, full: bool) -> list[Partition]:
    """All slices of open events; of closed ones those that may have changed.

    An event that closes moves to another slice. Recent slices are always read; an older one is read again after
    ``closed_refresh_seconds`` (its resolutions do not wait for that, they come from their own feed).
    """
    chosen = []
    partitions = ctx.sources.gamma_events.partitions(now)
    for partition in partitions:
        checkpoint = ctx.state.checkpoint(partition.stream, partition.key)
        if full or not partition.params.get("closed") or _is_due(ctx, partition, checkpoint, now):
            chosen.append(partition)
    ctx.tally.counts["slices_still_fresh"] += len(partitions) - len(chosen)
    return chosen


def _is_due(ctx: RunContext, partition: Partition, checkpoint: Checkpoint | None, now: int) -> bool:
    if checkpoint is None or checkpoint.status not in {"ok", "empty"}:
        return True
    end = int(partition.params.get("to") or 0)
    is_dated = "to" in partition.params
    if is_dated and (end == 0 or end > now - _RECENT_SECONDS):
        return True
    return checkpoint.updated_at <= now - ctx.limits.closed_refresh_seconds


async def _walk_order_book(ctx: RunContext, unread: Unread) -> None:
    """Walk ranges of offsets in waves until one meets the end of the list.

    The list only grows at its end, but rows change in place (closed, winner), so that every run reads all of it; at
    1,000 rows a page that is cheap.
    """
    stream = ctx.sources.clob_markets
    size = _range_size(ctx)
    offset = 0
    ended = False
    broken = False

    async def look(result: WalkResult) -> None:
        nonlocal ended, broken
        await unread.look(result)
        ended = ended or END_NOTE in result.notes
        broken = broken or result.status not in {"ok", "empty"}

    while not ended and not broken and not ctx.should_end:
        partitions = stream.partitions(offset, _CLOB_WAVE)
        walks = [ctx.walk_over(stream, partition, fresh=True) for partition in partitions]
        await run_jobs(ctx, [WalkJob(ctx, walk, look) for walk in walks], concurrency=_CLOB_WAVE)
        offset += size * _CLOB_WAVE


def _range_size(ctx: RunContext) -> int:
    first, second = ctx.sources.clob_markets.partitions(0, 2)
    return int(second.params["from"]) - int(first.params["from"])


async def look_up_missing(ctx: RunContext) -> None:
    """Ask for what rows speak of and nobody described: tokens, markets that no event brought, payouts."""
    tokens = await asyncio.to_thread(catalog.unmapped_tokens, ctx.warehouse, limit=_LOOKUP_LIMIT)
    await _look_up(ctx, "tokens", ctx.sources.tokens, "tokens", tokens, _TOKENS_BATCH)
    reach("K16")
    conditions = await asyncio.to_thread(catalog.unlisted_conditions, ctx.warehouse, limit=_LOOKUP_LIMIT)
    await _look_up(ctx, "market details", ctx.sources.gamma_markets, "conditions", conditions, _RESOLUTIONS_BATCH)
    redeemed = await asyncio.to_thread(catalog.redeemed_unresolved, ctx.warehouse, limit=_LOOKUP_LIMIT)
    await _look_up(ctx, "payouts", ctx.sources.resolutions, "conditions", redeemed, _RESOLUTIONS_BATCH)
    for name, found in (("tokens", tokens), ("conditions", conditions), ("payouts", redeemed)):
        if len(found) >= _LOOKUP_LIMIT:
            ctx.tally.limit(f"more than {_LOOKUP_LIMIT:,} unknown {name}: the next run goes on with them")


async def _look_up(ctx: RunContext, title: str, stream: Stream, param: str, ids: Sequence[str], size: int) -> None:
    if not ids or ctx.should_end:
        return
    ctx.reporter.phase(title, len(ids), param)
    try:
        batches = [list(ids[start : start + size]) for start in range(0, len(ids), size)]
        walks = [
            ctx.walk(stream, lookup_key(number), {param: batch}, fresh=True) for number, batch in enumerate(batches)
        ]
        await run_jobs(ctx, [WalkJob(ctx, walk, units=len(batch)) for walk, batch in zip(walks, batches, strict=True)])
    finally:
        ctx.reporter.finish()


async def walk_resolutions(ctx: RunContext) -> None:
    """Ask for the payouts of every market that ended or closed and has none yet."""
    now = int(ctx.clock.time())
    ctx.reporter.phase("resolutions", None, "markets")
    try:
        await run_jobs(ctx, _resolution_jobs(ctx, now))
    finally:
        ctx.reporter.finish()


async def _resolution_jobs(ctx: RunContext, now: int) -> AsyncIterator[Job]:
    number = 0
    chunks = iter(catalog.unresolved_chunks(ctx.warehouse, now))
    async for conditions in in_thread(chunks):
        for start in range(0, len(conditions), _RESOLUTIONS_BATCH):
            batch = conditions[start : start + _RESOLUTIONS_BATCH]
            walk = ctx.walk(ctx.sources.resolutions, lookup_key(number), {"conditions": batch}, fresh=True)
            yield WalkJob(ctx, walk, units=len(batch))
            number += 1


def lookup_key(number: int) -> str:
    """Key of the n-th look-up of a run. Look-ups begin anew each time, so that a number is enough."""
    return f"lookup-{number:06d}"


async def in_thread(items: Iterator[T]) -> AsyncIterator[T]:
    """Iterate over blocking items (warehouse queries) without blocking the loop."""

    def take() -> list[T]:
        return list(islice(items, 1))

    while found := await asyncio.to_thread(take):
        yield found[0]
