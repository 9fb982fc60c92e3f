"""The simulated Data API's biggest wins: one row per winning position, the first 500 of each window (data-api-v2)."""

from __future__ import annotations

from typing import Any

from polyhouse.sim.data_api import envelope, page_limit
from polyhouse.sim.data_boards import PERIODS, board_offset, bound_cursor, category_markets, fingerprint
from polyhouse.sim.positions import Held, four, wallet_positions
from polyhouse.sim.wire import Query, Reply, choice, iso, one
from polyhouse.sim.world import World

_ROUTE = "/v2/biggest-winners"
_LENGTH = 500


def biggest_winners(world: World, query: Query) -> Reply:
    """``/v2/biggest-winners``: positions of markets that were resolved in the window, by what they won."""
    period = choice(query, "time_period", tuple(PERIODS), "day")
    category = one(query, "category")
    limit, cursor = page_limit(query), bound_cursor(world, _ROUTE, query)
    offset = board_offset(world, cursor)
    wins: list[tuple[int, Held]] = world.remember(("wins", period, category), lambda: _wins(world, period, category))
    rows = [_row(offset + n + 1, pnl, held) for n, (pnl, held) in enumerate(wins[offset : offset + limit])]
    following = None
    if offset + limit < len(wins):
        following = world.cursors.issue(_ROUTE, {"o": offset + limit, "f": fingerprint(query)})
    return envelope(rows, limit, following)


def _wins(world: World, period: str, category: str | None) -> list[tuple[int, Held]]:
    since = world.now - PERIODS[period] if PERIODS[period] else 0
    only = None if category is None or category.lower() == "overall" else category_markets(world, category)
    found: list[tuple[int, Held]] = []
    for wallet in range(world.views.wallet_count):
        for held in wallet_positions(world, wallet):
            resolution = held.market.resolution
            pnl = held.entry.realized + held.unrealized
            if resolution is None or resolution.ts < since or pnl <= 0:
                continue
            if only is None or held.market.number in only:
                found.append((pnl, held))
    found.sort(key=lambda win: (-win[0], win[1].wallet, win[1].token))
    return found[:_LENGTH]


def _row(rank: int, pnl: int, held: Held) -> dict[str, Any]:
    resolution, event = held.market.resolution, held.market.event
    initial = held.entry.bought * held.entry.avg // 10**6
    return {
        "win_rank": rank, "user_id": held.wallet, "pnl": four(pnl), "initial_value": four(initial),
        "final_value": four(initial + pnl), "resolved_at": iso(resolution.ts if resolution else 0), "kind": "market",
        "condition_id": held.market.meta.condition_id, "position_id": held.token, "event_id": event.event_id,
        "event_slug": event.slug, "event_title": event.title, "user_name": "", "profile_image": "",
    }  # fmt: skip
