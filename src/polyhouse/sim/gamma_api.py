"""The simulated Gamma API's lists of events and markets (upstream §1, gamma), wire quirks included."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from polyhouse.sim.gamma_rows import event_row, market_row
from polyhouse.sim.markets import MarketState
from polyhouse.sim.model import SimEvent
from polyhouse.sim.wire import ApiError, Query, Reply, boolean, one, text_number
from polyhouse.sim.world import World

PAGE = 100
LEGACY_MAX_OFFSET = 10_000
_ID_FILTERS = ("id", "condition_ids", "clob_token_ids", "question_ids")


def _meta(item: SimEvent | MarketState) -> Any:
    return item.meta if isinstance(item, MarketState) else item


def _ident(item: SimEvent | MarketState) -> int:
    return item.meta.market_id if isinstance(item, MarketState) else item.event_id


def _volume(world: World, item: SimEvent | MarketState) -> int:
    if isinstance(item, MarketState):
        return item.volume
    return sum(market.volume for market in world.catalog.event_markets(item, world.now))


_ORDERS: dict[str, Callable[[World, SimEvent | MarketState], Any]] = {
    "id": lambda _, item: _ident(item),
    "startDate": lambda _, item: _meta(item).start_ts,
    "endDate": lambda _, item: _meta(item).end_ts,
    "createdAt": lambda _, item: _meta(item).created_ts,
    "slug": lambda _, item: _meta(item).slug,
    # A text column upstream: it sorts as text (upstream §1).
    "volume": lambda world, item: text_number(_volume(world, item)),
    "volumeNum": _volume,
    "liquidityNum": lambda world, item: _volume(world, item) // 50,
}


def invalid(message: str, status: int = 422) -> ApiError:
    """A validation error in Gamma's shape."""
    return ApiError(status, message, code="validation error")


def page_limit(query: Query, default: int = 20) -> int:
    """``limit`` is clamped to 1..100, never refused; unreadable text is a 422."""
    text = one(query, "limit")
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise invalid("limit must be an integer")
    return min(max(int(text), 1), PAGE)


def flag(query: Query, name: str, default: bool | None = None) -> bool | None:
    """A boolean parameter; unreadable text is a 422 in Gamma's shape."""
    try:
        return boolean(query, name, default)
    except ApiError as error:
        raise invalid(str(error)) from error


def _values(query: Query, name: str) -> set[str]:
    return {value.lower() for value in query.get(name, ()) if value}


def _numbers(query: Query, name: str) -> set[int]:
    values = _values(query, name)
    if any(not re.fullmatch(r"[0-9]{1,18}", value) for value in values):
        raise invalid(f"{name} must be integers")
    return {int(value) for value in values}


def _moment(query: Query, name: str) -> int | None:
    text = one(query, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError as error:
        raise invalid(f"{name} must be an ISO 8601 time") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _range_filter(query: Query) -> Callable[[SimEvent | MarketState], bool]:
    """``start_date_min/max`` and ``end_date_min/max``, both inclusive."""
    start = _moment(query, "start_date_min"), _moment(query, "start_date_max")
    end = _moment(query, "end_date_min"), _moment(query, "end_date_max")

    def inside(value: int, bounds: tuple[int | None, int | None]) -> bool:
        return (bounds[0] is None or value >= bounds[0]) and (bounds[1] is None or value <= bounds[1])

    return lambda item: inside(_meta(item).start_ts, start) and inside(_meta(item).end_ts, end)


def _closed_filter(query: Query) -> bool | None:
    """``closed``; a look-up by ids that does not say it gets open ones only (upstream §1)."""
    by_ids = any(query.get(name) for name in _ID_FILTERS)
    return flag(query, "closed", default=False if by_ids else None)


def _tag_filter(query: Query) -> Callable[[SimEvent], bool]:
    """``tag_id`` (with ``tag_match``), ``exclude_tag_id`` and ``tag_slug``."""
    wanted, excluded = _numbers(query, "tag_id"), _numbers(query, "exclude_tag_id")
    slug, match_all = one(query, "tag_slug"), one(query, "tag_match") == "all"

    def fits(event: SimEvent) -> bool:
        present = {tag for tag, _, _ in event.tags}
        if excluded & present or (slug is not None and slug not in {tag[2] for tag in event.tags}):
            return False
        return not wanted or (wanted <= present if match_all else bool(wanted & present))

    return fits


def _event_filter(world: World, query: Query) -> list[SimEvent]:
    closed, ids, slugs = _closed_filter(query), _numbers(query, "id"), _values(query, "slug")
    series, tags_fit, in_range = _numbers(query, "series_id"), _tag_filter(query), _range_filter(query)
    return [
        event
        for event in world.visible_events()
        if (not ids or event.event_id in ids)
        and (not slugs or event.slug in slugs)
        and (not series or (event.series is not None and event.series[0] in series))
        and (closed is None or world.catalog.closed(event, world.now) is closed)
        and tags_fit(event)
        and in_range(event)
    ]


def _market_filter(world: World, query: Query) -> list[MarketState]:
    closed, ids, slugs = _closed_filter(query), _numbers(query, "id"), _values(query, "slug")
    wanted, asked = _values(query, "condition_ids"), _values(query, "question_ids")
    tokens, tags_fit, in_range = _values(query, "clob_token_ids"), _tag_filter(query), _range_filter(query)
    return [
        market
        for market in world.visible_markets()
        if (not ids or market.meta.market_id in ids)
        and (not slugs or market.meta.slug in slugs)
        and (not wanted or market.meta.condition_id in wanted)
        and (not asked or market.meta.question_id in asked)
        and (not tokens or bool(tokens & set(market.meta.token_ids)))
        and (closed is None or (market.resolution is not None) is closed)
        and tags_fit(market.event)
        and in_range(market)
    ]


def _ordered(world: World, kind: str, query: Query, choose: Callable[[World, Query], Sequence[Any]]) -> list[Any]:
    """(sort value, id, item) of a selection; kept until time moves, since a walk asks for it page after page."""
    order = (one(query, "order") or "id").split(",")[0].strip()
    if order not in _ORDERS:
        raise invalid(f"order by {order} is not supported")
    descending = flag(query, "ascending", default=True) is False
    paging = ("after_cursor", "limit", "offset", "cursor", "include_markets", "include_tag")
    named = tuple(sorted((name, tuple(values)) for name, values in query.items() if name not in paging))

    def select() -> list[Any]:
        items = [(_ORDERS[order](world, item), _ident(item), item) for item in choose(world, query)]
        return sorted(items, key=lambda entry: entry[:2], reverse=descending)

    entries: list[Any] = world.remember((kind, named), select)
    return entries


def _after(entries: list[Any], cursor: str | None, *, descending: bool) -> int:
    if cursor is None:
        return 0
    try:
        value, ident = msgspec.json.decode(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid("invalid after_cursor") from error
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        place = entries[middle][:2]
        passed = place >= (value, ident) if descending else place <= (value, ident)
        low, high = (middle + 1, high) if passed else (low, middle)
    return low


def _keyset(
    world: World, kind: str, query: Query, choose: Callable[[World, Query], Sequence[Any]], row: Callable[[Any], Any]
) -> Reply:
    if one(query, "offset") is not None:
        raise invalid("offset is not supported on keyset routes")
    entries = _ordered(world, kind, query, choose)
    descending = flag(query, "ascending", default=True) is False
    start, limit = _after(entries, one(query, "after_cursor"), descending=descending), page_limit(query)
    page = entries[start : start + limit]
    doc: dict[str, Any] = {kind: [row(item) for _, _, item in page]}
    if start + limit < len(entries):
        doc["next_cursor"] = base64.b64encode(msgspec.json.encode(page[-1][:2])).decode()
    elif kind == "markets":
        doc["next_cursor"] = None  # events leave the key out at the end: both occur
    return Reply(doc, rows=kind)


def _legacy(
    world: World, kind: str, query: Query, choose: Callable[[World, Query], Sequence[Any]], row: Callable[[Any], Any]
) -> Reply:
    text = one(query, "offset") or "0"
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > LEGACY_MAX_OFFSET:
        raise invalid(f"offset exceeds the maximum of {LEGACY_MAX_OFFSET}")
    entries = _ordered(world, kind, query, choose)
    return Reply([row(item) for _, _, item in entries[int(text) : int(text) + page_limit(query)]])


def events_keyset(world: World, query: Query) -> Reply:
    """``/events/keyset``: events with their markets and tags."""
    nested = flag(query, "include_markets", default=True) is True
    return _keyset(world, "events", query, _event_filter, lambda event: event_row(world, event, nested=nested))


def markets_keyset(world: World, query: Query) -> Reply:
    """``/markets/keyset``; tags only with ``include_tag=true``."""
    tags = flag(query, "include_tag", default=False) is True
    return _keyset(world, "markets", query, _market_filter, lambda m: market_row(world, m, event=True, tags=tags))


def events_legacy(world: World, query: Query) -> Reply:
    """``/events`` by offset; beyond 10,000 a 422."""
    return _legacy(world, "events", query, _event_filter, lambda event: event_row(world, event, nested=True))


def markets_legacy(world: World, query: Query) -> Reply:
    """``/markets`` by offset; beyond 10,000 a 422."""
    tags = flag(query, "include_tag", default=False) is True
    return _legacy(world, "markets", query, _market_filter, lambda m: market_row(world, m, event=True, tags=tags))
