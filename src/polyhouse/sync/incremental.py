"""Incremental runs: bring the trades of everyone up to date, then read the wallets that have news.

The road is the planner's choice. After ``catch_up`` the store holds every trade up to now, whichever road brought it;
``gaps.find_news`` says whose ledgers lack some of them, and ``gaps.settle_news`` closes the run.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from polyhouse.sources.data_api.recent import ENDED_EARLY
from polyhouse.sync.context import RunContext
from polyhouse.sync.gaps import move_through, newest_trade, trades_through
from polyhouse.sync.markets import look_up_missing, walk_universe
from polyhouse.sync.planner import FEED, MARKETS, WALLETS, choose, gather, plan_sync, trade_roads
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.report import Road, WalletSelection
from polyhouse.sync.trades import walk_trades
from polyhouse.sync.walk import WalkResult
from polyhouse.sync.wallets import queue_news


def follows_trades(selection: WalletSelection) -> bool:
    """True if the wallets are chosen by what trade feeds show, or everybody is asked: the run settles the news."""
    return selection.active_only or not selection.is_explicit or (selection.all and selection.incremental)


async def prepare(ctx: RunContext, selection: WalletSelection) -> WalletSelection:
    """Read the trades that a selection of wallets is chosen by, and return the selection that is left to read.

    ``active_only`` and an incremental run without a selection go the cheapest way. ``all`` with ``incremental`` asks
    everybody in any case; the feed of newest trades comes first where it reaches far enough, for wallets that nobody
    knew and for trades behind a wallet's cursor. Named wallets need none of it.
    """
    if follows_trades(selection) and ctx.sources.recent is not None:
        ctx.discovery.hints |= {ctx.sources.recent.name, *(stream.name for stream in ctx.sources.trades)}
    if selection.active_only or not selection.is_explicit:
        plan = await plan_sync(ctx, selection, await _newest(ctx))
        _tell(ctx, next(road for road in plan.roads if road.road == plan.chosen))
        if plan.chosen == WALLETS:
            return replace(selection, all=True, active_only=False, incremental=True)
        if plan.chosen in {FEED, MARKETS}:
            await _walk(ctx, plan.chosen)
    elif follows_trades(selection):
        facts = await asyncio.to_thread(gather, ctx, await _newest(ctx))
        if facts.feed_reaches:
            await _walk_newest(ctx)
        # Everybody is asked. But what is behind a cursor is only found from the beginning (finding it resets), and a
        # run that goes on with an unfinished one would leave out who was read before the news.
        await asyncio.to_thread(queue_news, ctx)
    return selection


async def catch_up(ctx: RunContext) -> None:
    """Bring the trades of everyone up to date by the cheaper of the two roads, right after a walk over the universe."""
    facts = await asyncio.to_thread(gather, ctx, await _newest(ctx))
    road = choose(trade_roads(ctx, facts, with_universe=False))
    _tell(ctx, road)
    if road.road != FEED or await _is_too_short(ctx):
        await walk_trades(ctx)


async def _walk(ctx: RunContext, road: str) -> None:
    """Walk one road. Where the feed turns out too short, the markets are walked instead."""
    if road == FEED and not await _is_too_short(ctx):
        return
    await walk_universe(ctx, full=False)
    if not ctx.should_end:
        await look_up_missing(ctx)
    if not ctx.should_end:
        await walk_trades(ctx)


async def _is_too_short(ctx: RunContext) -> bool:
    """Read the newest trades; True if the feed did not reach back far enough and the run can go on."""
    if await _walk_newest(ctx) or ctx.should_end:
        return False
    ctx.reporter.note("The feed of newest trades ended too early; the markets are read one by one instead.")
    return True


async def _walk_newest(ctx: RunContext) -> bool:
    """Read everyone's newest trades; False if the feed does not reach back far enough.

    A walk that failed is in the tally and leaves everything where it was.
    """
    stream = ctx.sources.recent
    if stream is None:
        return False
    partition = stream.everyone(await asyncio.to_thread(trades_through, ctx.state))
    reaches = True

    async def look(result: WalkResult) -> None:
        nonlocal reaches
        reaches = ENDED_EARLY not in result.notes
        if reaches and result.status in {"ok", "empty"}:
            await asyncio.to_thread(_move, ctx, stream.name, partition.key)

    ctx.reporter.phase("newest trades", None, "partitions")
    try:
        await run_jobs(ctx, [WalkJob(ctx, ctx.walk_over(stream, partition, backwards=True), look)])
    finally:
        ctx.reporter.finish()
    return reaches


def _move(ctx: RunContext, stream: str, key: str) -> None:
    checkpoint = ctx.state.checkpoint(stream, key)
    if checkpoint is not None:
        move_through(ctx.state, int(checkpoint.position.get("head_ts", 0)))


async def _newest(ctx: RunContext) -> int:
    """The upstream's time as its newest trade tells; the clock's where it has no such feed or nothing to follow."""
    known = await asyncio.to_thread(trades_through, ctx.state)
    newest = await newest_trade(ctx) if known else 0
    return newest or int(ctx.clock.time())


def _tell(ctx: RunContext, road: Road) -> None:
    ctx.tally.counts[f"road_{road.road}"] = 1
    ctx.reporter.note(f"By {road.road}, about {road.requests:,} requests: {road.why}.")
