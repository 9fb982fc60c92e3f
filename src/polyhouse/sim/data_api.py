"""The simulated Data API v2: trade and activity feeds, resolutions, tokens, status (upstream §2, data-api-v2)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from polyhouse.sim.indexer import CONVERSION, HIDDEN, KIND, NO_MARKET, NO_OUTCOME, REDEEM, TRADE, TYPES, Row
from polyhouse.sim.markets import PRICE_ONE, MarketState, Resolution
from polyhouse.sim.views import Feed
from polyhouse.sim.wire import (
    ApiError,
    Query,
    Reply,
    address,
    boolean,
    choice,
    conditions,
    event_ids,
    integer,
    iso,
    listed,
    number,
    one,
)  # fmt: skip
from polyhouse.sim.world import World

MAX_LIMIT = 1000
_THREE_YEARS = 3 * 365 * 86_400
_DUST = 10_000  # 0.01 shares
SIDES = ("BUY", "SELL", "")
_MAX_TS = 253_402_300_799


def envelope(rows: list[Any], limit: int, next_cursor: str | None, *, max_age: int = 0) -> Reply:
    """A page: data and pagination (upstream §2)."""
    pagination = {"limit": limit, "offset": 0, "has_more": next_cursor is not None, "next_cursor": next_cursor}
    return Reply({"data": rows, "pagination": pagination}, rows="data", max_age=max_age)


def page_limit(query: Query, most: int = MAX_LIMIT) -> int:
    """The ``limit`` parameter; over the maximum, and any ``offset``, is a 400."""
    if one(query, "offset") is not None:
        raise ApiError(400, "offset is not supported, use cursor", parameter="offset")
    limit = integer(query, "limit", min(100, most), 1, most)
    assert limit is not None
    return limit


def amount(query: Query, name: str, default: int, *, zero_is_default: bool = True) -> int:
    """A non-negative decimal parameter in micro units; 0 means the default on the feeds (upstream §2)."""
    text = one(query, name)
    if text is None:
        return default
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise ApiError(400, f"{name} must be a finite non-negative amount", parameter=name)
    micro = int(value * 1_000_000)
    return default if micro == 0 and zero_is_default else micro


def selected_markets(world: World, query: Query) -> tuple[int, ...] | None:
    """Market numbers of ``condition`` or ``event_id`` (mutually exclusive, at most 20); None = no such filter."""
    wanted, events = conditions(query, 20), event_ids(query, 20)
    if wanted and events:
        raise ApiError(400, "condition and event_id are mutually exclusive", parameter="event_id")
    catalog = world.catalog
    if wanted:
        return tuple(catalog.by_condition[text] for text in wanted if text in catalog.by_condition)
    if events:
        found = (catalog.events[event] for event in events if event in catalog.events)
        return tuple(catalog.by_condition[market.condition_id] for event in found for market in event.markets)
    return None


def time_bounds(query: Query) -> tuple[int | None, int | None]:
    """``start`` and ``end`` as Unix seconds."""
    return integer(query, "start", None, 1, _MAX_TS), integer(query, "end", None, 1, _MAX_TS)


def _previous_month(now: int) -> int:
    today = datetime.fromtimestamp(now, UTC)
    year, month = (today.year - 1, 12) if today.month == 1 else (today.year, today.month - 1)
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp())


def _floor_ts(world: World, start: int | None, *, bare: bool) -> int:
    """The oldest second a feed shows: two calendar months when bare, three years, or everything for ``start=1``."""
    if bare:
        return _previous_month(world.now)
    if start == 1:
        return 0
    return max(start or 0, world.now - _THREE_YEARS)


def _feed_page(world: World, route: str, query: Query, feed: Feed, bounds: tuple[int, int]) -> tuple[list[Row], Reply]:
    limit = page_limit(query)
    text = one(query, "cursor")
    after, ascending = None, feed.ascending
    if text is not None:
        content = world.cursors.read(route, text)
        after, ascending = int(content["s"]), content["d"] == "ASC"
        limit = limit if one(query, "limit") is not None else int(content["l"])
    low, high = world.views.seq_at(bounds[0]) if bounds[0] > 0 else 0, world.views.seq_at(bounds[1] + 1) - 1
    feed = Feed(feed.wallet, feed.markets, feed.where, feed.values, low, high, after, ascending)
    rows = world.views.page(feed, limit + 1)
    cursor = None
    if len(rows) > limit:
        rows = rows[:limit]
        content = {"t": rows[-1][1], "s": rows[-1][0], "d": "ASC" if ascending else "DESC", "l": limit}
        cursor = world.cursors.issue(route, content)
    return rows, envelope([], limit, cursor)


def trades(world: World, query: Query) -> Reply:
    """``/v2/trades``: newest first; taker rows only unless asked otherwise; windows of upstream §2."""
    user = address(query, world.is_contract, required=False)
    markets = selected_markets(world, query)
    start, end = time_bounds(query)
    if user is None and (start is not None or end is not None):
        name = "start" if start is not None else "end"
        raise ApiError(400, f"{name} requires user", parameter=name)
    where, values = [f"kind = {TRADE}"], []
    if boolean(query, "taker_only", default=True):
        where.append("taker = 1")
    side = choice(query, "side", ("BUY", "SELL"), "")
    if side:
        where.append(f"side = {SIDES.index(side)}")
    if choice(query, "filter_type", ("TOKENS", "CASH"), "TOKENS") == "TOKENS":
        where.append("size >= ?")
        values.append(amount(query, "filter_amount", _DUST))
    else:
        where.append(f"CAST(size AS REAL) * price / {PRICE_ONE} >= ?")
        values.append(amount(query, "filter_amount", _DUST))
    wallet = None if user is None else world.views.wallet_id(user)
    bounds = (_floor_ts(world, start, bare=user is None and markets is None), min(end or world.now, world.now))
    feed = Feed(wallet if wallet is not None or user is None else -1, markets, tuple(where), tuple(values))
    rows, reply = _feed_page(world, "/v2/trades", query, feed, bounds)
    reply.doc["data"] = [_trade_row(world, row) for row in rows]
    reply.max_age = 300
    return reply


def activity(world: World, query: Query) -> Reply:
    """``/v2/activity``: one wallet's ledger, either direction, without deposits and withdrawals unless asked for."""
    user = address(query, world.is_contract, required=True)
    assert user is not None
    markets = selected_markets(world, query)
    start, end = time_bounds(query)
    kinds = [kind.upper() for kind in listed(query, "type")]
    if any(kind not in KIND for kind in kinds):
        raise ApiError(400, "type must be a list of activity types", parameter="type")
    hidden = {KIND["TIP"]} - {KIND[kind] for kind in kinds}
    if boolean(query, "exclude_deposits_withdrawals", default=True):
        hidden |= {KIND["DEPOSIT"], KIND["WITHDRAWAL"]}
    shown = [KIND[kind] for kind in kinds] or list(range(len(TYPES)))
    where = [f"kind IN ({','.join(str(kind) for kind in shown if kind not in hidden)})", f"kind < {HIDDEN}"]
    side = choice(query, "side", ("BUY", "SELL"), "")
    if side:
        where.append(f"side = {SIDES.index(side)}")
    ascending = choice(query, "sort_direction", ("ASC", "DESC"), "DESC") == "ASC"
    wallet = world.views.wallet_id(user)
    feed = Feed(-1 if wallet is None else wallet, markets, tuple(where), ascending=ascending)
    bounds = (_floor_ts(world, start, bare=False), min(end or world.now, world.now))
    rows, reply = _feed_page(world, "/v2/activity", query, feed, bounds)
    reply.doc["data"] = [activity_row(world, row) for row in rows]
    reply.max_age = 15
    return reply


def profile(wallet: str) -> dict[str, Any]:
    """Profile fields of a feed row; most wallets have none."""
    named = wallet[-1] in "02468"
    return {
        "name": f"sim-{wallet[2:10]}" if named else "", "pseudonym": f"Quiet-{wallet[2:6].title()}", "bio": "",
        "profile_image": "", "profile_image_optimized": "",
    }  # fmt: skip


def _labels(world: World, market: MarketState, outcome: int, ts: int) -> dict[str, Any]:
    """Market fields of a feed row. Fresh rows do not know their outcome index and event yet."""
    fresh = world.now - ts < world.quirks.fresh_seconds
    known = outcome != NO_OUTCOME
    return {
        "title": market.meta.question, "slug": market.meta.slug, "icon": "",
        "event_slug": "" if fresh else market.event.slug,
        "outcome": market.meta.outcomes[outcome] if known else "",
        "outcome_index": NO_OUTCOME if fresh else outcome,
    }  # fmt: skip


_NO_LABELS = {"title": "", "slug": "", "icon": "", "event_slug": "", "outcome": "", "outcome_index": NO_OUTCOME}


def _trade_row(world: World, row: Row) -> dict[str, Any]:
    _, ts, wallet, index, outcome, _, side, size, _, price, _, _, tx = row
    market, name = world.catalog.markets[index], world.views.wallet_name(wallet)
    return {
        "proxy_wallet": name, "side": SIDES[side], "token_id": market.meta.token_ids[outcome],
        "condition_id": market.meta.condition_id, "size": number(size), "price": number(price, 10), "timestamp": ts,
        **_labels(world, market, outcome, ts), **profile(name), "transaction_hash": "0x" + tx.hex(),
    }  # fmt: skip


def activity_row(world: World, row: Row) -> dict[str, Any]:
    """A row of the activity feed."""
    _, ts, wallet, index, outcome, kind, side, size, usdc, price, _, _, tx = row
    market = world.catalog.markets[index] if index != NO_MARKET else None
    name = world.views.wallet_name(wallet)
    has_token = market is not None and outcome != NO_OUTCOME and kind in (TRADE, REDEEM, CONVERSION)
    return {
        "proxy_wallet": name, "timestamp": ts, "condition_id": market.meta.condition_id if market else "",
        "type": TYPES[kind], "size": number(size), "usdc_size": number(usdc), "transaction_hash": "0x" + tx.hex(),
        "price": number(price, 10) if kind == TRADE else msgspec.Raw(b"0"),
        "token_id": market.meta.token_ids[outcome] if market and has_token else "", "side": SIDES[side],
        **(_labels(world, market, outcome, ts) if market else _NO_LABELS), **profile(name),
    }  # fmt: skip


def resolutions(world: World, query: Query) -> Reply:
    """``/v2/resolutions``: by exactly one of question, conditions or events; unknown ids are left out."""
    wanted, events, question = conditions(query, 20), event_ids(query, 20), one(query, "question_id")
    if sum((bool(wanted), bool(events), question is not None)) != 1:
        raise ApiError(400, "provide exactly one of question_id, condition, event_id", parameter="condition")
    catalog = world.catalog
    if question is not None:
        chosen = [market for market in catalog.markets if market.meta.question_id == question.lower()]
    else:
        chosen = [catalog.markets[index] for index in selected_markets(world, query) or ()]
    return Reply({"data": [_resolution(world, m) for m in chosen if m.meta.created_ts <= world.now]}, rows="data")


def _uma_price(resolution: Resolution | None) -> str:
    if resolution is None:
        return "69"
    share = Decimal(resolution.numerators[0]) / sum(resolution.numerators)
    return format(share.normalize(), "f")


def _resolution(world: World, market: MarketState) -> dict[str, Any]:
    meta, resolution = market.meta, world.rulings.shown(market, world.now)
    status = "resolved" if resolution else ("proposed" if meta.end_ts <= world.now else "posed")
    seen = resolution.ts if resolution else meta.created_ts
    row: dict[str, Any] = {
        "question_id": meta.question_id, "condition_id": meta.condition_id, "status": status, "extended_review": False,
        "expected_settlement_time": None, "settlement_time_basis": None, "was_disputed": False, "new_version_q": True,
        "proposed_price": _uma_price(resolution), "reproposed_price": "69", "price": _uma_price(resolution),
        "transaction_hash": resolution.tx if resolution else "", "log_index": "139",
        # Both forms occur on the wire (data-api-v2).
        "last_update_timestamp": iso(seen) if meta.market_id % 3 == 0 else str(seen),
        "market_type": "INCREMENTAL_NEGRISK" if meta.neg_risk else "BINARY",
    }  # fmt: skip
    if resolution is not None:
        row |= {
            "payouts": [resolution.payout(1_000_000, outcome) for outcome in (0, 1)], "resolution_source": "reported",
            "reporter": "UMA_OO", "was_arbitrated": False, "resolved_block": resolution.block,
            "resolved_at": iso(resolution.ts),
        }  # fmt: skip
    return row


def tokens(world: World, query: Query) -> Reply:
    """``/v2/tokens``: by at most 50 token ids or 10 conditions; unknown ones are left out."""
    wanted, by_condition = listed(query, "token_id", "tokenId"), conditions(query, 10)
    if bool(wanted) == bool(by_condition):
        raise ApiError(400, "provide exactly one of token_id, condition", parameter="token_id")
    if any(not re.fullmatch(r"[0-9]{1,78}", text) for text in wanted) or len(wanted) > 50:
        raise ApiError(400, "token_id must be at most 50 decimal ids", parameter="token_id")
    catalog = world.catalog
    places = [catalog.by_token[text] for text in wanted if text in catalog.by_token]
    for text in by_condition:
        if text in catalog.by_condition:
            places += [(catalog.by_condition[text], outcome) for outcome in (0, 1)]
    rows = [_token(catalog.markets[index], outcome) for index, outcome in places]
    return Reply({"data": rows}, rows="data")


def _token(market: MarketState, outcome: int) -> dict[str, Any]:
    meta = market.meta
    return {
        "token_id": meta.token_ids[outcome], "condition_id": meta.condition_id, "structural_condition_id": None,
        "module": "v1_ctf", "outcome_index": outcome, "clob_index": outcome, "outcome": meta.outcomes[outcome],
        "opposite_token_id": meta.token_ids[1 - outcome], "resolved": market.resolution is not None,
        "final_price": number(market.price(outcome), 10) if market.resolution else None, "title": meta.question,
        "market_slug": meta.slug, "closed": market.resolution is not None, "neg_risk": meta.neg_risk,
        "neg_risk_market_id": meta.neg_risk_market_id or None,
        "question_index": meta.question_index if meta.neg_risk else None, "event_id": meta.event_id,
        "event_slug": market.event.slug,
    }  # fmt: skip


def status(world: World, query: Query) -> Reply:  # noqa: ARG001
    """``/v2/status``: how far behind the index is."""
    block = world.views.last_block
    doc = {
        "computed_at": iso(world.now),
        "serving": {"lag_seconds": world.quirks.lag_seconds, "mechanisms": ["blocks"]},
        "ingestion": {"max_synced_block": block, "min_synced_block": block, "lagging": []},
    }
    return Reply({"data": doc})
