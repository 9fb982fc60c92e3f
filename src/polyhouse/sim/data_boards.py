"""The simulated Data API's portfolio routes: positions, holders, value, open interest, leaderboard (data-api-v2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import groupby
from typing import Any

from polyhouse.domain.contracts import NEG_RISK_BURN
from polyhouse.sim.book import Folder
from polyhouse.sim.data_api import amount, envelope, page_limit, profile, selected_markets, time_bounds
from polyhouse.sim.markets import MarketState
from polyhouse.sim.positions import Held, four, position_row, wallet_book, wallet_positions
from polyhouse.sim.wire import ApiError, Query, Reply, address, boolean, choice, conditions, event_ids, number, one
from polyhouse.sim.world import World

_DUST = 100_000  # 0.1 shares
_BURN = "0x" + NEG_RISK_BURN.hex()
_SORTS: dict[str, Callable[[Held], int]] = {
    "CURRENT_VALUE": lambda held: held.value,
    "PRICE": lambda held: held.price,
    "TOKENS": lambda held: held.size,
    "UNREALIZED_PNL": lambda held: held.unrealized,
    "REALIZED_PNL": lambda held: held.entry.realized,
    "TOTAL_PNL": lambda held: held.unrealized + held.entry.realized,
    "TIMESTAMP": lambda held: held.entry.last_ts,
}
_STATUSES: dict[str, Callable[[Held], bool]] = {
    "OPEN": lambda held: held.size > 0,
    "REDEEMABLE": lambda held: held.resolved and held.value > 0,
    "REDEEMABLE_LOST": lambda held: held.resolved and held.value == 0,
    "MERGEABLE": lambda held: held.mergeable,
    "CLOSED": lambda held: held.size == 0 and held.entry.bought > 0,
}
PERIODS = {"day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "all": 0}


def fingerprint(query: Query) -> str:
    """Filters of a request; boards bind them into the cursor."""
    kept = sorted((name, tuple(values)) for name, values in query.items() if name not in ("cursor", "limit"))
    return hashlib.sha256(repr(kept).encode()).hexdigest()[:12]


def bound_cursor(world: World, route: str, query: Query) -> dict[str, Any] | None:
    """The content of a cursor that belongs to these filters; other filters are a 400."""
    text = one(query, "cursor")
    if text is None:
        return None
    content = world.cursors.read(route, text)
    if content.get("f") != fingerprint(query):
        raise ApiError(400, "cursor contradicts the filters of this request", parameter="cursor")
    return content


def positions(world: World, query: Query) -> Reply:
    """``/v2/positions``: of a wallet, or of exactly one market; keyset on (sort value, token)."""
    user = address(query, world.is_contract, required=False)
    markets = selected_markets(world, query)
    status = choice(query, "status", tuple(_STATUSES), "OPEN")
    if user is None and len(conditions(query, 20)) != 1:
        raise ApiError(400, "provide user or exactly one condition", parameter="user")
    if user is None and status in ("REDEEMABLE_LOST", "MERGEABLE"):
        raise ApiError(400, f"{status} requires user", parameter="status")
    if status == "CLOSED" and boolean(query, "include_archived", default=False):
        raise ApiError(400, "include_archived is invalid with CLOSED", parameter="include_archived")
    limit, cursor = page_limit(query), bound_cursor(world, "/v2/positions", query)
    value = _SORTS[choice(query, "sort_by", tuple(_SORTS), "CURRENT_VALUE")]
    sign = 1 if choice(query, "sort_direction", ("ASC", "DESC"), "DESC") == "ASC" else -1

    def place(held: Held) -> tuple[int, str, str]:
        return sign * value(held), held.token, held.wallet

    def choose() -> list[Held]:
        found = _chosen_positions(world, query, user, markets, _STATUSES[status], status == "CLOSED")
        return sorted(found, key=place)

    chosen: list[Held] = world.remember(("positions", fingerprint(query)), choose)
    if cursor is not None:
        after = (int(cursor["v"]), str(cursor["k"]), str(cursor["w"]))
        chosen = [held for held in chosen if place(held) > after]
    following = None
    if len(chosen) > limit:
        last = place(chosen[limit - 1])
        content = {"v": last[0], "k": last[1], "w": last[2], "f": fingerprint(query)}
        following = world.cursors.issue("/v2/positions", content)
    return envelope([position_row(held) for held in chosen[:limit]], limit, following, max_age=5)


def _chosen_positions(
    world: World, query: Query, user: str | None, markets: tuple[int, ...] | None, status: Callable[[Held], bool],
    closed: bool,
) -> list[Held]:  # fmt: skip
    start, end = time_bounds(query)
    least = amount(query, "filter_amount", _DUST, zero_is_default=False)
    by_cash = choice(query, "filter_type", ("TOKENS", "CASH"), "TOKENS") == "CASH"
    title = (one(query, "title") or "").lower()
    wallets = (
        [world.views.wallet_id(user)] if user is not None else [*world.views.market_wallets((markets or (-1,))[0])]
    )
    found = []
    for wallet in wallets:
        for held in wallet_positions(world, wallet) if wallet is not None else ():
            size = held.value if by_cash else (held.entry.bought if closed else held.size)
            if (
                status(held)
                and size >= least
                and (markets is None or held.market.number in markets)
                and (start is None or held.entry.last_ts >= start)
                and (end is None or held.entry.last_ts <= end)
                and title in held.market.meta.question.lower()
            ):
                found.append(held)
    return found


def value(world: World, query: Query) -> Reply:
    """``/v2/value``: what a wallet's balances are worth at current prices."""
    user = address(query, world.is_contract, required=True)
    markets = selected_markets(world, query)
    wallet = world.views.wallet_id(user or "")
    worth = 0
    for held in wallet_positions(world, wallet) if wallet is not None else ():
        if markets is None or held.market.number in markets:
            worth += held.value
    return Reply({"data": {"proxy_wallet": user, "value": four(worth)}})


def holders(world: World, query: Query) -> Reply:
    """``/v2/holders``: net balances per token; an offset hides in the cursor, so rows may skip or repeat."""
    wanted = conditions(query, 20)
    if not wanted:
        raise ApiError(400, "condition is required", parameter="condition")
    with_pnl = boolean(query, "include_pnl", default=False) is True
    if with_pnl and len(wanted) != 1:
        raise ApiError(400, "include_pnl requires exactly one condition", parameter="include_pnl")
    limit, least = page_limit(query, 100 if with_pnl else 1000), amount(query, "min_balance", 1)
    cursor = bound_cursor(world, "/v2/holders", query)
    offset, more, groups = board_offset(world, cursor), False, []
    for text in wanted:
        index = world.catalog.by_condition.get(text)
        for outcome in (0, 1) if index is not None else ():
            market = world.catalog.markets[index or 0]
            held = world.views.holders(market.number, outcome, least)[: world.quirks.holders_end or None]
            more = more or len(held) > offset + limit
            rows = [_holder(world, market, outcome, who, with_pnl) for who in held[offset : offset + limit]]
            if rows and world.quirks.burn_holder and not offset:
                rows.append({**rows[0], "proxy_wallet": _BURN})
            if rows:
                groups.append({"token_id": market.meta.token_ids[outcome], "holders": rows})
    content = {"o": offset + limit, "f": fingerprint(query)}
    return envelope(groups, limit, world.cursors.issue("/v2/holders", content) if more else None, max_age=120)


def board_offset(world: World, cursor: dict[str, Any] | None) -> int:
    """The offset in a cursor; beyond the wall the request is refused."""
    offset = int(cursor["o"]) if cursor else 0
    if world.quirks.wall and offset >= world.quirks.wall:
        raise ApiError(400, f"max offset of {world.quirks.wall} exceeded", parameter="cursor")
    return offset


def _holder(
    world: World, market: MarketState, outcome: int, balance: tuple[int, int], with_pnl: bool
) -> dict[str, Any]:
    name = world.views.wallet_name(balance[0])
    row = {
        "proxy_wallet": name, "token_id": market.meta.token_ids[outcome], "amount": number(balance[1]),
        "outcome_index": outcome, "display_username_public": False, "verified": False, **profile(name),
    }  # fmt: skip
    if with_pnl:
        entry = wallet_book(world, balance[0]).entries[market.number, outcome]
        held = Held(name, market, outcome, entry, balance[1], 0)
        row |= {
            "avg_price": four(entry.avg), "entry_cost_usdc": four(held.cost), "current_price": number(held.price, 10),
            "current_value": four(held.value), "realized_pnl": four(entry.realized),
            "unrealized_pnl": four(held.unrealized), "total_pnl": four(held.unrealized + entry.realized),
        }  # fmt: skip
    return row


def open_interest(world: World, query: Query) -> Reply:
    """``/v2/oi``: collateral behind outstanding shares; without conditions one GLOBAL row."""
    wanted = conditions(query, 20)
    catalog = world.catalog
    if not wanted:
        total = world.remember("oi", lambda: sum(_interest(world, market) for market in catalog.markets))
        return Reply({"data": [{"condition_id": "GLOBAL", "value": number(total)}]}, max_age=300)
    rows = [
        {"condition_id": text, "value": number(_interest(world, catalog.markets[catalog.by_condition[text]]))}
        for text in wanted
        if text in catalog.by_condition
    ]
    return Reply({"data": rows}, rows="data", max_age=300)


def _interest(world: World, market: MarketState) -> int:
    """Collateral behind a market: one dollar a pair while it is open, what is still owed once it is resolved."""
    first, second = world.views.outstanding(market.number)
    if market.resolution is not None:
        return market.resolution.payout(first, 0) + market.resolution.payout(second, 1)
    return max(first, second)


def live_volume(world: World, query: Query) -> Reply:
    """``/v2/live-volume``: taker volume of events in shares, with their markets."""
    if not event_ids(query, 20):
        raise ApiError(400, "event_id is required", parameter="event_id")
    chosen = [world.catalog.markets[index] for index in selected_markets(world, query) or ()]
    rows = [{"condition_id": m.meta.condition_id, "taker_volume": number(m.taker_shares)} for m in chosen]
    total = sum(market.taker_shares for market in chosen)
    return Reply({"data": {"taker_volume_total": number(total), "conditions": rows}})


def no_combos(world: World, query: Query) -> Reply:
    """``/v2/activity/combos`` and ``/v2/positions/combos``: the simulated wallets hold none."""
    address(query, world.is_contract, required=True)
    return envelope([], page_limit(query), None)


Standing = tuple[int, int, int]
"""(wallet, PnL in micro-USDC before fees, micro-shares traded)."""


def standings(world: World, period: str, category: str | None) -> list[Standing]:
    """Every wallet that traded in a period; PnL is realised in it, for ``all`` with the unrealised part."""
    since = world.now - PERIODS[period] if PERIODS[period] else 0
    only = None if category is None or category.lower() == "overall" else category_markets(world, category)

    def compute() -> list[Standing]:
        found = []
        for wallet, rows in groupby(world.views.histories(), key=lambda row: row[2]):
            book = Folder(world.catalog.markets, since, only).feed(rows)
            if not book.fills:
                continue
            pnl = book.realized_since
            if period == "all":
                for (market, outcome), entry in book.entries.items():
                    price = world.catalog.markets[market].price(outcome)
                    pnl += entry.amount * price // 10**10 - entry.amount * entry.avg // 10**6
            found.append((wallet, pnl, book.shares))
        return found

    rows: list[Standing] = world.remember(("standings", period, category), compute)
    return rows


def category_markets(world: World, category: str) -> frozenset[int]:
    """Numbers of the markets whose event carries the category as a label or slug."""
    name = category.lower()
    return frozenset(
        market.number
        for market in world.catalog.markets
        if any(name in (label.lower(), slug.lower()) for _, label, slug in market.event.tags)
    )


def leaderboard(world: World, query: Query) -> Reply:
    """``/v2/leaderboard``: ranked wallets, or with ``user`` one standing (null when unranked)."""
    user = address(query, world.is_contract, required=False)
    period = choice(query, "time_period", tuple(PERIODS), "day")
    rows = standings(world, period, one(query, "category"))
    by_pnl = sorted(rows, key=lambda row: (-row[1], row[0]))
    by_volume = sorted(rows, key=lambda row: (-row[2], row[0]))
    if user is not None:
        wallet = world.views.wallet_id(user)
        own = next((row for row in rows if row[0] == wallet), None)
        if own is None:
            return Reply({"data": None})
        ranks = {"rank_pnl": by_pnl.index(own) + 1, "rank_volume": by_volume.index(own) + 1}
        return Reply({"data": {**_board_row(world, own), **ranks}})
    ranked = by_pnl if choice(query, "sort_by", ("PNL", "VOLUME"), "PNL") == "PNL" else by_volume
    limit, cursor = page_limit(query), bound_cursor(world, "/v2/leaderboard", query)
    offset = board_offset(world, cursor)
    page = [
        {"rank": offset + place + 1, **_board_row(world, row)}
        for place, row in enumerate(ranked[offset : offset + limit])
    ]
    following = None
    if offset + limit < len(ranked):
        content = {"o": offset + limit, "f": fingerprint(query)}
        following = world.cursors.issue("/v2/leaderboard", content)
    return envelope(page, limit, following)


def _board_row(world: World, row: Standing) -> dict[str, Any]:
    name = world.views.wallet_name(row[0])
    return {
        "user_id": name, "pnl": number(row[1]), "volume": number(row[2]), "user_name": profile(name)["name"],
        "profile_image": "", "x_username": "", "verified": False,
    }  # fmt: skip
