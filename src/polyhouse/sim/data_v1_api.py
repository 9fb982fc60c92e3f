"""The simulated Data API v1: bare camelCase arrays, offset paging, and its walls (data-api-v1, upstream §2).

Three traps are kept: past an offset the feed refuses to go on; before that wall, past another one, it may hand out the
page before once more; and splits and merges show only when the sort is ascending.
"""

from __future__ import annotations

from typing import Any

import msgspec

from polyhouse.sim.data_api import SIDES, activity_row
from polyhouse.sim.indexer import HIDDEN, KIND, MERGE, SPLIT, TRADE, TYPES
from polyhouse.sim.views import Feed
from polyhouse.sim.wire import ApiError, Query, Reply, address, boolean, choice, conditions, integer, listed
from polyhouse.sim.world import World

ACTIVITY_LIMIT = 500
TRADES_LIMIT = 10_000
OFFSET_WALL = 3_000
_THREE_YEARS = 3 * 365 * 86_400
_MAX_TS = 253_402_300_799
_NAMES = {
    "proxy_wallet": "proxyWallet", "condition_id": "conditionId", "usdc_size": "usdcSize", "token_id": "asset",
    "transaction_hash": "transactionHash", "outcome_index": "outcomeIndex", "event_slug": "eventSlug",
    "profile_image": "profileImage", "profile_image_optimized": "profileImageOptimized",
}  # fmt: skip


def _offset(query: Query) -> int:
    offset = integer(query, "offset", 0, 0, 10**6)
    assert offset is not None
    if offset > OFFSET_WALL:
        raise ApiError(400, f"max historical activity offset of {OFFSET_WALL} exceeded")
    return offset


def _page(world: World, feed: Feed, limit: int, offset: int) -> Reply:
    wall = world.quirks.repeat_past_offset
    if wall and offset > wall:
        offset -= limit  # the page before, once more
    rows = world.views.page(feed, offset + limit)[max(0, offset) :]
    return Reply([camel(activity_row(world, row)) for row in rows])


def camel(row: dict[str, Any]) -> dict[str, Any]:
    """A v2 row under v1's names."""
    return {_NAMES.get(name, name): value for name, value in row.items()}


def activity(world: World, query: Query) -> Reply:
    """``/activity``: one wallet's ledger, at most 500 rows a page, three years unless ``start`` says otherwise."""
    user = address(query, world.is_contract, required=True)
    assert user is not None
    limit = integer(query, "limit", 100, 1, 10**6)
    start, end = integer(query, "start", None, 0, _MAX_TS), integer(query, "end", None, 0, _MAX_TS)
    assert limit is not None
    ascending = choice(query, "sortDirection", ("ASC", "DESC"), "DESC") == "ASC"
    kinds = [KIND[kind] for kind in listed(query, "type") if kind in KIND] or list(range(len(TYPES)))
    shown = [kind for kind in kinds if ascending or kind not in (SPLIT, MERGE)]
    low = world.now - _THREE_YEARS if start is None else start
    high = min(end or world.now, world.now)
    wallet = world.views.wallet_id(user)
    feed = Feed(
        -1 if wallet is None else wallet, _markets(world, query),
        (f"kind IN ({','.join(map(str, shown))})", f"kind < {HIDDEN}"),
        low=world.views.seq_at(low) if low > 0 else 0, high=world.views.seq_at(high + 1) - 1, ascending=ascending,
    )  # fmt: skip
    return _page(world, feed, min(limit, ACTIVITY_LIMIT), _offset(query))


def trades(world: World, query: Query) -> Reply:
    """``/trades``: newest first, no time filter; only takers' rows unless ``takerOnly=false``."""
    user = address(query, world.is_contract, required=False)
    limit = integer(query, "limit", 100, 1, 10**6)
    assert limit is not None
    where = [f"kind = {TRADE}"]
    if boolean(query, "takerOnly", default=True):
        where.append("taker = 1")
    side = choice(query, "side", ("BUY", "SELL"), "")
    if side:
        where.append(f"side = {SIDES.index(side)}")
    wallet = None if user is None else world.views.wallet_id(user)
    feed = Feed(wallet if wallet is not None or user is None else -1, _markets(world, query), tuple(where))
    reply = _page(world, feed, min(limit, TRADES_LIMIT), _offset(query))
    for row in reply.doc:
        del row["type"], row["usdcSize"]
    return reply


def _markets(world: World, query: Query) -> tuple[int, ...] | None:
    wanted = conditions({"condition": query.get("market", ())}, 100)
    known = world.catalog.by_condition
    return tuple(known[text] for text in wanted if text in known) if wanted else None


def prices_history(world: World, query: Query) -> Reply:
    """CLOB ``/prices-history``: the last price of a token at the end of each step of ``fidelity`` minutes."""
    tokens = listed(query, "market")
    if len(tokens) != 1:
        raise ApiError(400, "market must be one token id")
    start, end = integer(query, "startTs", None, 0, _MAX_TS), integer(query, "endTs", None, 0, _MAX_TS)
    fidelity = integer(query, "fidelity", 1, 1, 100_000)
    if start is None or end is None or fidelity is None:
        raise ApiError(400, "startTs and endTs are required")
    if end - start > world.quirks.prices_span:
        raise ApiError(400, "invalid filters: 'startTs' and 'endTs' interval is too long")
    place = world.catalog.by_token.get(tokens[0])
    if place is None:
        return Reply({"history": []})
    index, outcome = place
    low, high = world.views.seq_at(start), world.views.seq_at(min(end, world.now) + 1) - 1
    feed = Feed(None, (index,), (f"kind = {TRADE}", "taker = 1"), low=low, high=high, ascending=True)
    points: dict[int, int] = {}
    for row in world.views.page(feed, 10**6):
        step = row[1] - row[1] % (fidelity * 60)
        points[step] = row[9] if row[4] == outcome else 10**10 - row[9]
    history = [{"t": ts, "p": msgspec.Raw(repr(price / 10**10).encode())} for ts, price in sorted(points.items())]
    return Reply({"history": history})
