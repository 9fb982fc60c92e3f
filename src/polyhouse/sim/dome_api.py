"""The simulated Dome order history: ``/polymarket/orders`` behind a key, newest first (upstream §5)."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from polyhouse.sim.goldsky_api import RawFill, raw_fills
from polyhouse.sim.wire import ApiError, Query, Reply, integer, number, one
from polyhouse.sim.world import World

PATH = "dome/polymarket/orders"
KEY = "sim-dome-key"
"""The key that is let in."""
FORBIDDEN_KEY = "sim-dome-key-of-a-smaller-plan"
"""A key that is known but has no right to this route."""
_MAX_TS = 253_402_300_799


def orders(world: World, query: Query) -> Reply:
    """One page of fills by any of user, token, condition and time; ``offset`` or ``pagination_key`` pages on."""
    token = (one(query, "authorization") or "").removeprefix("Bearer ")
    if token == FORBIDDEN_KEY:
        raise ApiError(403, "this key may not read order history")
    if token != KEY:
        raise ApiError(401, "missing or unknown API key")
    limit = _whole(query, "limit", 100, 1000)
    start, end = _whole(query, "start_time", 0, _MAX_TS), _whole(query, "end_time", _MAX_TS, _MAX_TS)
    key = one(query, "pagination_key")
    offset = _offset_of(key) if key is not None else _whole(query, "offset", 0, 10**9)
    user, wanted, condition = one(query, "user"), one(query, "token_id"), one(query, "condition_id")
    if user is None and wanted is None and condition is None:
        raise ApiError(400, "one of market_slug, token_id, condition_id, user is required")
    fills: list[RawFill] = world.remember("dome orders", lambda: list(raw_fills(world))[::-1])
    chosen = [
        fill for fill in fills
        if start <= fill.ts <= end
        and (user is None or fill.log.fields["maker"] == user.lower())
        and (wanted is None or fill.token == wanted)
        and (condition is None or _condition(world, fill) == condition.lower())
    ]  # fmt: skip
    rows = [_row(world, fill) for fill in chosen[offset : offset + limit]]
    has_more = offset + limit < len(chosen)
    pagination: dict[str, Any] = {"limit": limit, "offset": offset, "total": len(chosen), "has_more": has_more}
    if has_more and one(query, "offset") is None:
        pagination["pagination_key"] = base64.urlsafe_b64encode(f"next {offset + limit}".encode()).decode()
    return Reply({"orders": rows, "pagination": pagination}, rows="orders")


def _whole(query: Query, name: str, default: int, most: int) -> int:
    value = integer(query, name, default, 0, most)
    assert value is not None
    return value


def _offset_of(key: str) -> int:
    try:
        word, _, offset = base64.urlsafe_b64decode(key.encode()).decode().partition(" ")
        if word == "next":
            return int(offset)
    except ValueError:
        pass
    raise ApiError(400, "invalid pagination_key")


def _condition(world: World, fill: RawFill) -> str:
    return world.catalog.markets[world.catalog.by_token[fill.token][0]].meta.condition_id


def _row(world: World, fill: RawFill) -> dict[str, Any]:
    index, outcome = world.catalog.by_token[fill.token]
    meta = world.catalog.markets[index].meta
    # Prices are the quotient as a double prints it: enough digits to get the cash back from it.
    price = repr(fill.usdc / fill.shares) if fill.shares else "0"
    return {
        "token_id": fill.token, "token_label": meta.outcomes[outcome], "side": "BUY" if fill.buys else "SELL",
        "market_slug": meta.slug, "condition_id": meta.condition_id, "shares": fill.shares,
        "shares_normalized": number(fill.shares), "price": msgspec.Raw(price.encode()), "tx_hash": fill.tx,
        "title": meta.question, "timestamp": fill.ts, "order_hash": fill.log.fields["order"],
        "user": fill.log.fields["maker"], "taker": fill.taker,
    }  # fmt: skip
