"""The simulated CLOB's markets: addressable base64 offsets, placeholder rows, ``LTE=`` at the end (upstream §7)."""

from __future__ import annotations

import base64
import binascii
from decimal import Decimal
from typing import Any

import msgspec

from polyhouse.sim.markets import MarketState
from polyhouse.sim.wire import ApiError, Query, Reply, iso, number, one
from polyhouse.sim.world import World

END = "LTE="


def _offset(query: Query) -> int:
    text = one(query, "next_cursor")
    if text is None:
        return 0
    try:
        offset = int(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "invalid next_cursor") from error
    if offset < 0:
        raise ApiError(400, "next item should be greater than or equal to 0")
    return offset


def markets(world: World, query: Query) -> Reply:
    """``/markets?next_cursor=``: markets in order of creation; offsets are stable, since new ones come last."""
    offset, size, every = _offset(query), world.quirks.clob_page, world.quirks.placeholder_every
    listing = sorted(
        (market for market in world.catalog.markets if market.meta.created_ts <= world.now),
        key=lambda market: (market.meta.created_ts, market.meta.market_id),
    )
    total = len(listing) + (max(0, len(listing) - 1) // (every - 1) if every > 1 else 0)
    rows = []
    for place in range(offset, min(offset + size, total)):
        if every > 1 and place % every == every - 1:
            rows.append(_placeholder())
        else:
            rows.append(market_row(listing[place - (place // every if every > 1 else 0)]))
    following = offset + size
    cursor = END if following >= total else base64.b64encode(str(following).encode()).decode()
    return Reply({"data": rows, "next_cursor": cursor, "limit": size, "count": len(rows)}, rows="data")


def market(world: World, query: Query, ident: str) -> Reply:  # noqa: ARG001
    """``/markets/{condition_id}``."""
    index = world.catalog.by_condition.get(ident.lower())
    if index is None or world.catalog.markets[index].meta.created_ts > world.now:
        raise ApiError(404, "market not found")
    return Reply(market_row(world.catalog.markets[index]))


def market_row(state: MarketState) -> dict[str, Any]:
    """One market; a 50-50 resolution has no winner."""
    meta, resolution = state.meta, state.resolution
    numerators = resolution.numerators if resolution else (0, 0)
    even = resolution is not None and numerators[0] == numerators[1]
    fee = int(Decimal(meta.fee_rate or "0") * 10_000)
    return {
        "enable_order_book": resolution is None, "active": True, "closed": resolution is not None, "archived": False,
        "accepting_orders": resolution is None, "accepting_order_timestamp": iso(meta.created_ts),
        "minimum_order_size": 5, "minimum_tick_size": msgspec.Raw(b"0.001"), "condition_id": meta.condition_id,
        "question_id": meta.question_id, "question": meta.question,
        "description": f"{meta.question} This market belongs to a simulation.", "market_slug": meta.slug,
        "end_date_iso": iso(meta.end_ts), "game_start_time": None, "seconds_delay": 0, "fpmm": "",
        "maker_base_fee": 0, "taker_base_fee": fee, "notifications_enabled": True, "neg_risk": meta.neg_risk,
        "neg_risk_market_id": meta.neg_risk_market_id, "neg_risk_request_id": "", "icon": "", "image": "",
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0}, "is_50_50_outcome": even,
        "tokens": [
            {
                "token_id": token, "outcome": meta.outcomes[outcome], "price": number(state.price(outcome), 10),
                "winner": bool(resolution) and not even and numerators[outcome] == max(numerators),
            }
            for outcome, token in enumerate(meta.token_ids)
        ],
        "tags": [label for _, label, _ in state.event.tags] or None,
    }  # fmt: skip


def _placeholder() -> dict[str, Any]:
    return {
        "enable_order_book": False, "active": False, "closed": False, "archived": False, "accepting_orders": False,
        "accepting_order_timestamp": None, "minimum_order_size": 0, "minimum_tick_size": 0, "condition_id": "",
        "question_id": "", "question": "", "description": "", "market_slug": "", "end_date_iso": None,
        "game_start_time": None, "seconds_delay": 0, "fpmm": "", "maker_base_fee": 0, "taker_base_fee": 0,
        "notifications_enabled": False, "neg_risk": False, "neg_risk_market_id": "", "neg_risk_request_id": "",
        "icon": "", "image": "", "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "is_50_50_outcome": False,
        "tokens": [{"token_id": "", "outcome": "", "price": 0, "winner": False} for _ in (0, 1)], "tags": None,
    }  # fmt: skip
