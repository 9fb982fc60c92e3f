"""Which road is taken: every wallet one by one, everyone's newest trades, or the trades market by market.

Costs are requests, and seconds at the current limits. Of the roads that bring everything that was asked for, the
fastest is taken. What each road brings (contract: Definitions):

``wallets``  the whole ledger of every selected wallet: fills, splits, merges, conversions, redemptions, income. The
             only complete road for a list of wallets; a request a wallet at least.
``feed``     fills of everyone since the last time, a request a thousand and as many for the takers' view, then a
             request for every wallet that has news. Complete for wallets with new trades, new wallets included; what
             happens without a trade (splits, merges, redemptions, rebates) appears in no such feed. Holds the current
             and the previous month only.
``markets``  the same by market: the universe of markets, then two requests per twenty markets that can still change.
             Reaches back three years.
``stored``   the wallets that stored trades show news of, and the queue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from polyhouse.sync import news
from polyhouse.sync.context import RunContext
from polyhouse.sync.gaps import trades_through
from polyhouse.sync.report import Plan, Road, WalletSelection
from polyhouse.sync.wallets import plan_wallets

WALLETS, FEED, MARKETS, STORED = "wallets", "feed", "markets", "stored"
PAGE_ROWS = 1_000
EVENTS_PAGE = 100
BATCH_MARKETS = 20
_VIEWS = 2
"""All rows and the takers' rows (accounting §1.10): both are asked."""
_SHORTEST_SPAN = 3_600
_LONGEST_SPAN = 62 * 86_400
_OVERLAP_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Facts:
    """What the estimates are made from.

    Attributes:
        now: the upstream's time as far as it is known, Unix seconds.
        through: all trades up to here are stored, 0 = unknown.
        fills, wallets: expected since then, by the pace before.
        markets, unsettled: known conditions, and those without a final payout.
        has_feed: the upstream has a feed of everyone's newest trades.
        universe: requests that bring the list of markets up to date.
    """

    now: int
    through: int
    fills: int
    wallets: int
    markets: int
    unsettled: int
    has_feed: bool
    universe: int

    @property
    def feed_reaches(self) -> bool:
        """The feed of newest trades reaches back to where the last reading ended."""
        return self.has_feed and 0 < previous_month(self.now) <= self.through - _OVERLAP_SECONDS


def previous_month(now: int) -> int:
    """The first second of the month before that of ``now`` (UTC): how far the feed of newest trades reaches back."""
    today = datetime.fromtimestamp(now, UTC)
    year, month = (today.year - 1, 12) if today.month == 1 else (today.year, today.month - 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def gather(ctx: RunContext, now: int) -> Facts:
    """Read the facts from the stores; asks no upstream."""
    through = trades_through(ctx.state)
    elapsed = max(0, now - through) + _OVERLAP_SECONDS if through else 0
    span = min(max(elapsed, _SHORTEST_SPAN), _LONGEST_SPAN)
    pace = news.pace(ctx.warehouse, through, span) if through else news.Pace(0, 0)
    markets, unsettled = news.market_counts(ctx.warehouse)
    fills = -(-pace.fills * elapsed // span)
    wallets = min(pace.wallets, fills)
    slices = sum(not one.params.get("closed") for one in ctx.sources.gamma_events.partitions(now))
    universe = slices + unsettled // EVENTS_PAGE + -(-markets // PAGE_ROWS)
    return Facts(now, through, fills, wallets, markets, unsettled, ctx.sources.recent is not None, universe)


def trade_roads(ctx: RunContext, facts: Facts, *, with_universe: bool = True) -> list[Road]:
    """The two roads by trades, each with the wallets that are asked afterwards.

    Args:
        ctx: the run.
        facts: what is known.
        with_universe: the road by market brings the list of markets up to date first.
    """
    pages = _VIEWS * (facts.fills // PAGE_ROWS)
    batches = min(-(-facts.markets // BATCH_MARKETS), facts.unsettled)
    rest = "splits, merges, redemptions and rebates without a trade appear in no feed by market"
    feed = _road(
        ctx, FEED, 1 + _VIEWS + pages, facts.wallets, complete=facts.feed_reaches,
        why=f"about {facts.fills:,} new fills of about {facts.wallets:,} wallets since the last time; {rest}"
        if facts.feed_reaches
        else "the feed of newest trades does not reach back to a complete reading",
    )  # fmt: skip
    markets = _road(
        ctx, MARKETS, _VIEWS * batches + pages + with_universe * facts.universe, facts.wallets, complete=True,
        why=f"{facts.unsettled:,} of {facts.markets:,} markets can have news, {BATCH_MARKETS} to a request; {rest}",
    )  # fmt: skip
    return [feed, markets]


def _road(ctx: RunContext, name: str, trades: int, wallets: int, *, complete: bool, why: str) -> Road:
    seconds = trades / ctx.sources.trades_per_second + wallets / ctx.sources.requests_per_second
    return Road(name, trades + wallets, seconds, complete, why)


def choose(roads: list[Road]) -> Road:
    """The fastest road that brings everything that was asked for."""
    return min((road for road in roads if road.complete), key=lambda road: (road.seconds, road.requests))


async def plan_sync(ctx: RunContext, selection: WalletSelection, now: int | None = None) -> Plan:
    """The roads for a selection of wallets and the one that would be taken. Changes nothing, asks no upstream.

    Args:
        ctx: the run.
        selection: which wallets.
        now: the upstream's time, if it is known; else the clock's.

    Raises:
        BadInputError: the file of wallets cannot be read.
    """
    facts = await asyncio.to_thread(gather, ctx, int(ctx.clock.time()) if now is None else now)
    if selection.only_pending:
        return await plan_wallets(ctx, selection)
    roads = trade_roads(ctx, facts)
    if selection.is_explicit and not selection.active_only:
        base = await plan_wallets(ctx, selection)
        partial = [replace(road, complete=False, why=f"not complete: {road.why}") for road in roads]
        roads = [_listed_road(ctx, selection, base, facts), *partial]
    elif not facts.through and selection.active_only:
        base = await plan_wallets(ctx, WalletSelection(all=True, incremental=True))
        roads.append(_everyone_road(base))
    elif not facts.through:
        base = await plan_wallets(ctx, selection)
        roads = [_stored_road(base)]
    else:
        base = Plan(0, 0, 0.0)
    chosen = choose(roads)
    partitions = base.partitions if chosen.road in {WALLETS, STORED} else _partitions(chosen, facts)
    return Plan(partitions, chosen.requests, chosen.seconds, tuple(roads), chosen.road)


def _stored_road(base: Plan) -> Road:
    why = "no complete pass over the markets is known (`polyhouse run` makes one): stored trades tell who has news"
    return Road(STORED, base.requests, base.seconds, complete=True, why=why)


def _listed_road(ctx: RunContext, selection: WalletSelection, base: Plan, facts: Facts) -> Road:
    why = f"asks each of {base.partitions:,} wallets for its own ledger: the only road that brings everything"
    if not (selection.all and selection.incremental and facts.feed_reaches):
        return Road(WALLETS, base.requests, base.seconds, complete=True, why=why)
    first = 1 + _VIEWS * (1 + facts.fills // PAGE_ROWS)
    seconds = base.seconds + first / ctx.sources.trades_per_second
    return Road(WALLETS, base.requests + first, seconds, complete=True, why=f"{why}; the newest trades name new ones")


def _everyone_road(everyone: Plan) -> Road:
    why = f"no complete pass over the markets is known: asks each of {everyone.partitions:,} known wallets"
    return Road(WALLETS, everyone.requests, everyone.seconds, complete=True, why=why)


def _partitions(road: Road, facts: Facts) -> int:
    first = 1 if road.road == FEED else min(-(-facts.markets // BATCH_MARKETS), facts.unsettled)
    return first + facts.wallets
