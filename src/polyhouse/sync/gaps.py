"""How far trades are known, and what becomes of the wallets that they show news of.

Notes of the state store carry it from run to run. ``markets.through``: every market that was traded up to this second
is known; a complete walk over the universe sets it. ``trades.through``: all trades up to this second are stored; a
complete pass over the known markets sets it, never beyond the former, and every complete walk of the newest trades
moves it on. ``trades.news``: every wallet with news before this second was read or waits in the queue; it moves only
after that is true, so that a run that was killed finds the same news again. All are forgotten when the warehouse was
set back (``verify``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from polyhouse.errors import RetryableError
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS
from polyhouse.sync import catalog, news
from polyhouse.sync.catalog import Gap
from polyhouse.sync.context import RunContext
from polyhouse.sync.store import RunState
from polyhouse.sync.walk import WalkResult

MARKETS_THROUGH = "markets.through"
THROUGH = "trades.through"
SINCE = "trades.news"
_REMEMBERED_SECONDS = 86_400
"""A trade that a ledger still lacks is looked for by every run for a day; then the queue alone keeps the wallet."""


def trades_through(state: RunState) -> int:
    """All trades up to this second are stored (Unix seconds, ten minutes less sure); 0 = nothing is known."""
    return int(state.get_note(THROUGH) or 0)


def move_through(state: RunState, second: int) -> None:
    """All trades up to ``second`` are stored now; never moves back."""
    if second > trades_through(state):
        state.set_note(THROUGH, second)


def markets_through(state: RunState) -> int:
    """Every market that was traded up to this second is known (Unix seconds); 0 = nothing is known."""
    return int(state.get_note(MARKETS_THROUGH) or 0)


async def newest_trade(ctx: RunContext) -> int:
    """The upstream's time, as its newest trade tells; 0 where that cannot be known (no such feed, an empty one, no
    answer): then nothing is noted, and the next run reads a little more than it had to.
    """
    if ctx.sources.recent is None:
        return 0
    try:
        return await ctx.sources.recent.newest()
    except RetryableError as error:
        ctx.reporter.note(f"The newest trades do not answer: {error}")
        return 0


class Unread:
    """Counts the partitions of a pass that were not read to their proven end."""

    def __init__(self) -> None:
        self.partitions = 0

    async def look(self, result: WalkResult) -> None:
        """One of them is over."""
        self.partitions += result.status not in {"ok", "empty"}


def forget_trades(state: RunState) -> None:
    """The warehouse was set back: what was known of its trades is not true any more."""
    for note in (MARKETS_THROUGH, THROUGH, SINCE):
        state.set_note(note, None)


def find_news(ctx: RunContext) -> Iterator[bytes]:
    """Wallets that must be read to know what trade feeds show and their ledgers lack; each once.

    A wallet with a trade so far behind its cursor that reading on would not bring it is reset first.
    """
    since = int(ctx.state.get_note(SINCE) or 0)
    gaps: Iterable[Gap] = news.wallets_with_news(ctx.warehouse, since) if since else catalog.wallets_with_gaps(
        ctx.warehouse
    )  # fmt: skip
    seen: set[bytes] = set()
    ctx.tally.counts["wallets_with_news"] += 0  # none is a result, too
    for gap in gaps:
        if gap.is_behind:
            ctx.state.reset(gap.wallet)
            ctx.tally.counts["wallets_reread"] += 1
        ctx.tally.counts["wallets_with_news"] += 1
        seen.add(gap.wallet)
        yield gap.wallet
    for wallet in news.unlabelled_wallets(ctx.warehouse, since) if since else ():
        if wallet not in seen:
            ctx.tally.counts["wallets_unlabelled"] += 1
            yield wallet


async def settle_news(ctx: RunContext) -> None:
    """After the wallets with news were read: note that, and queue those whose ledgers still lack what feeds show.

    Their models take the trades of the feed until the ledger has them.
    """
    if not ctx.should_end:
        await asyncio.to_thread(_settle, ctx)


def _settle(ctx: RunContext) -> None:
    since = int(ctx.state.get_note(SINCE) or 0)
    done = trades_through(ctx.state) - OVERLAP_SECONDS
    if done <= 0:
        return
    left = {gap.wallet: gap.ts for gap in news.wallets_with_news(ctx.warehouse, since or done)}
    if left:
        ctx.tally.counts["wallets_unconfirmed"] = len(left)
        ctx.state.sighted(left, int(ctx.clock.time()))
        ctx.discovery.touch(left)
        done = max(min(done, *left.values()), done - _REMEMBERED_SECONDS)
    if done > since:
        ctx.state.set_note(SINCE, done)
