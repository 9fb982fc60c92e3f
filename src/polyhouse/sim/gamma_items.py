"""The simulated Gamma API's single documents and small lists: an event, a market, tags, series (upstream §1)."""

from __future__ import annotations

import re
from typing import Any

from polyhouse.sim.gamma_api import flag, invalid, page_limit
from polyhouse.sim.gamma_rows import event_row, market_row, series_rows, tag_row
from polyhouse.sim.markets import MarketState
from polyhouse.sim.model import SimEvent
from polyhouse.sim.wire import ApiError, Query, Reply, one
from polyhouse.sim.world import World


def _missing(what: str) -> ApiError:
    return ApiError(404, f"{what} not found", code="not found error")


def _found(item: Any | None, what: str) -> Any:
    if item is None:
        raise _missing(what)
    return item


def _by_id(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise invalid("id is invalid")
    return int(text)


def event_by_id(world: World, query: Query, ident: str) -> Reply:  # noqa: ARG001
    """``/events/{id}``; a slug here is a 422."""
    return Reply(event_row(world, _event(world, ident), nested=True))


def event_by_slug(world: World, query: Query, slug: str) -> Reply:  # noqa: ARG001
    """``/events/slug/{slug}``."""
    found = next((event for event in world.visible_events() if event.slug == slug), None)
    return Reply(event_row(world, _found(found, "event"), nested=True))


def event_tags(world: World, query: Query, ident: str) -> Reply:  # noqa: ARG001
    """``/events/{id}/tags``."""
    return Reply([tag_row(tag) for tag in _event(world, ident).tags])


def market_by_id(world: World, query: Query, ident: str) -> Reply:
    """``/markets/{id}``."""
    tags = flag(query, "include_tag", default=False) is True
    return Reply(market_row(world, _market(world, ident), event=True, tags=tags))


def market_by_slug(world: World, query: Query, slug: str) -> Reply:
    """``/markets/slug/{slug}``."""
    tags = flag(query, "include_tag", default=False) is True
    found = next((market for market in world.visible_markets() if market.meta.slug == slug), None)
    return Reply(market_row(world, _found(found, "market"), event=True, tags=tags))


def market_tags(world: World, query: Query, ident: str) -> Reply:  # noqa: ARG001
    """``/markets/{id}/tags``."""
    return Reply([tag_row(tag) for tag in _market(world, ident).event.tags])


def _event(world: World, ident: str) -> SimEvent:
    event = world.catalog.events.get(_by_id(ident))
    if event is None or event.created_ts > world.now:
        raise _missing("event")
    return event


def _market(world: World, ident: str) -> MarketState:
    index = world.catalog.by_market_id.get(_by_id(ident))
    market = None if index is None else world.catalog.markets[index]
    if market is None or market.meta.created_ts > world.now:
        raise _missing("market")
    return market


def _all_tags(world: World) -> list[tuple[int, str, str]]:
    return sorted({tag for event in world.visible_events() for tag in event.tags})


def tags(world: World, query: Query) -> Reply:
    """``/tags`` by offset."""
    offset = int(one(query, "offset") or 0)
    return Reply([tag_row(tag) for tag in _all_tags(world)[offset : offset + page_limit(query)]])


def tag_by_id(world: World, query: Query, ident: str) -> Reply:  # noqa: ARG001
    """``/tags/{id}``."""
    number = _by_id(ident)
    return Reply(tag_row(_found(next((tag for tag in _all_tags(world) if tag[0] == number), None), "tag")))


def tag_by_slug(world: World, query: Query, slug: str) -> Reply:  # noqa: ARG001
    """``/tags/slug/{slug}``."""
    return Reply(tag_row(_found(next((tag for tag in _all_tags(world) if tag[2] == slug), None), "tag")))


def series(world: World, query: Query) -> Reply:
    """``/series`` by offset, at most 50 rows."""
    offset, limit = int(one(query, "offset") or 0), min(page_limit(query), 50)
    rows = sorted({event.series for event in world.visible_events() if event.series is not None})
    return Reply(series_rows(rows[offset : offset + limit]))
