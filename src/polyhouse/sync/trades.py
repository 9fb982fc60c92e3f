"""The pass over all markets: the fills of every market, and with them the wallets that exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from polyhouse.errors import BadInputError
from polyhouse.ports import Stream
from polyhouse.sync import catalog
from polyhouse.sync.batches import Batcher, MarketBatch
from polyhouse.sync.catalog import MarketRef
from polyhouse.sync.context import RunContext
from polyhouse.sync.gaps import Unread, markets_through, move_through, newest_trade
from polyhouse.sync.markets import in_thread
from polyhouse.sync.pool import Job, WalkJob, run_jobs

_SETTLED_SECONDS = 86_400
_WINDOW_SECONDS = 3 * 365 * 86_400

_BATCHES_AT_ONCE = 6
"""Each holds two full pages. Six in flight use up the route's published limit; more only cost memory."""


async def walk_trades(ctx: RunContext, wanted: Sequence[str] | None = None) -> None:
    """Walk the fills of all markets (or of ``wanted``: market numbers or 0x… conditions) in batches.

    A batch whose markets are all resolved and that was read to its end a day after the last resolution cannot change
    any more and is left out. A complete pass over all markets is noted (``gaps.THROUGH``): from then on the feed of
    newest trades can follow it.

    Raises:
        BadInputError: a wanted market is not known.
    """
    chosen = None
    if wanted:
        chosen = await asyncio.to_thread(catalog.find_markets, ctx.warehouse, wanted)
        if missing := sorted(set(wanted) - {name for ref in chosen for name in (ref.label, ref.condition_text)}):
            raise BadInputError(
                f"Unknown market: {', '.join(missing[:5])}.", hint="`polyhouse sync markets` brings new ones."
            )
    else:
        await _tell_window(ctx)
    total = len(chosen) if chosen is not None else await asyncio.to_thread(catalog.market_count, ctx.warehouse)
    # Asked before the pass: what happens during it may lie behind a batch that was read already.
    newest = 0 if chosen is not None else await newest_trade(ctx)
    unread = Unread()
    for stream in ctx.sources.trades:
        ctx.reporter.phase("trades", total, "markets")
        try:
            await run_jobs(ctx, _jobs(ctx, stream, chosen, unread), min(ctx.limits.concurrency, _BATCHES_AT_ONCE))
        finally:
            ctx.reporter.finish()
    if newest and not unread.partitions and not ctx.should_end:
        known = await asyncio.to_thread(markets_through, ctx.state)
        await asyncio.to_thread(move_through, ctx.state, min(newest, known))


async def _tell_window(ctx: RunContext) -> None:
    horizon = int(ctx.clock.time()) - _WINDOW_SECONDS
    old = await asyncio.to_thread(catalog.markets_started_before, ctx.warehouse, horizon)
    ctx.tally.counts["markets_beyond_feed"] = old
    if old:
        ctx.reporter.note(
            f"{old:,} markets began more than three years ago: the feed by market shows their last three years only; "
            "wallet ledgers (`polyhouse sync wallets --all`) are complete."
        )


async def _jobs(
    ctx: RunContext, stream: Stream, chosen: Sequence[MarketRef] | None, unread: Unread
) -> AsyncIterator[Job]:
    finished: dict[str, int] = {}
    known: list[str] = []
    for checkpoint in await asyncio.to_thread(ctx.state.checkpoints, stream.name):
        known.append(checkpoint.partition)
        if checkpoint.status in {"ok", "empty"}:
            finished[checkpoint.partition] = checkpoint.updated_at
    chunks: Iterable[Sequence[MarketRef]] = [chosen] if chosen is not None else catalog.market_chunks(ctx.warehouse)
    async for batch in in_thread(Batcher(known).batches(chunks)):
        size = len(batch.markets)
        if chosen is None and is_settled(batch, finished.get(batch.key)):
            ctx.tally.counts["markets_settled"] += size
            ctx.reporter.advance(size)
            continue
        walk = ctx.walk(stream, batch.key, {"conditions": batch.conditions}, backwards=True)
        yield WalkJob(ctx, walk, unread.look, units=size)


def is_settled(batch: MarketBatch, finished_at: int | None) -> bool:
    """True if the batch was read to its end a day after its last market was resolved."""
    return finished_at is not None and bool(batch.resolved_ts) and finished_at > batch.resolved_ts + _SETTLED_SECONDS
