"""The simulated first Data API's two lists of a wallet's pairs: ``/positions`` and ``/closed-positions`` (data-api-v1).

``/positions`` is what a wallet holds, lost and never redeemed shares included; ``/closed-positions`` the rest. Both are
paged by offset, with a wall each, and clamp the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polyhouse.sim.data_api import amount
from polyhouse.sim.positions import Held, four, percent, wallet_positions
from polyhouse.sim.wire import ApiError, Query, Reply, address, choice, integer, iso, number
from polyhouse.sim.world import World

POSITIONS_LIMIT, CLOSED_LIMIT = 500, 50
POSITIONS_WALL, CLOSED_WALL = 10_000, 100_000
_ONE = 1_000_000
_Sort = Callable[[Held], Any]
_OPEN_SORTS: dict[str, _Sort] = {
    "TOKENS": lambda held: held.size,
    "CURRENT": lambda held: held.value,
    "TITLE": lambda held: held.market.meta.question,
    "PRICE": lambda held: held.price,
}
_CLOSED_SORTS: dict[str, _Sort] = {
    "REALIZEDPNL": lambda held: held.entry.realized,
    "TIMESTAMP": lambda held: held.entry.last_ts,
    "TITLE": lambda held: held.market.meta.question,
    "PRICE": lambda held: held.price,
}


def positions(world: World, query: Query) -> Reply:
    """``/positions``: at most 500 rows a page; shares below ``sizeThreshold`` (default 1) are hidden."""
    least = amount(query, "sizeThreshold", _ONE, zero_is_default=False)
    chosen = [held for held in _of(world, query) if held.size > 0 and held.size >= least]
    page = _page(query, chosen, _OPEN_SORTS, "TOKENS", (100, POSITIONS_LIMIT), POSITIONS_WALL)
    return Reply([_open_row(held) for held in page])


def closed_positions(world: World, query: Query) -> Reply:
    """``/closed-positions``: at most 50 rows a page, 10 unless asked for more."""
    chosen = [held for held in _of(world, query) if held.size == 0 and held.entry.bought > 0]
    page = _page(query, chosen, _CLOSED_SORTS, "REALIZEDPNL", (10, CLOSED_LIMIT), CLOSED_WALL)
    return Reply([_closed_row(held) for held in page])


def _of(world: World, query: Query) -> list[Held]:
    wallet = world.views.wallet_id(address(query, world.is_contract, required=True) or "")
    return [] if wallet is None else wallet_positions(world, wallet)


def _page(
    query: Query, chosen: list[Held], sorts: dict[str, _Sort], usual: str, limits: tuple[int, int], wall: int
) -> list[Held]:
    limit, offset = integer(query, "limit", limits[0], 1, 10**6), integer(query, "offset", 0, 0, 10**6)
    assert limit is not None
    assert offset is not None
    if offset > wall:
        raise ApiError(400, f"max offset of {wall} exceeded")
    value = sorts[choice(query, "sortBy", tuple(sorts), usual)]
    backwards = choice(query, "sortDirection", ("ASC", "DESC"), "DESC") == "DESC"
    ordered = sorted(chosen, key=lambda held: (value(held), held.token), reverse=backwards)
    return ordered[offset : offset + min(limit, limits[1])]


def _common(held: Held) -> dict[str, Any]:
    market, meta = held.market, held.market.meta
    return {
        "proxyWallet": held.wallet, "asset": held.token, "conditionId": meta.condition_id,
        "avgPrice": number(held.entry.avg), "totalBought": number(held.entry.bought),
        "realizedPnl": four(held.entry.realized), "curPrice": number(held.price, 10), "title": meta.question,
        "slug": meta.slug, "icon": "", "eventSlug": market.event.slug, "outcome": meta.outcomes[held.outcome],
        "outcomeIndex": held.outcome, "oppositeOutcome": meta.outcomes[1 - held.outcome],
        "oppositeAsset": meta.token_ids[1 - held.outcome], "endDate": iso(meta.end_ts)[:10],
    }  # fmt: skip


def _open_row(held: Held) -> dict[str, Any]:
    bought_cost = held.entry.bought * held.entry.avg // _ONE
    return _common(held) | {
        "size": number(held.size), "initialValue": four(held.cost), "currentValue": four(held.value),
        "cashPnl": four(held.unrealized), "percentPnl": percent(held.unrealized, held.cost),
        "percentRealizedPnl": percent(held.value - bought_cost, bought_cost), "redeemable": held.resolved,
        "mergeable": held.mergeable, "eventId": str(held.market.event.event_id),
        "negativeRisk": held.market.meta.neg_risk,
    }  # fmt: skip


def _closed_row(held: Held) -> dict[str, Any]:
    return _common(held) | {"timestamp": held.entry.last_ts}
