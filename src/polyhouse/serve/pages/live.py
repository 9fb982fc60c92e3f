"""What became known lately, newest first; the page follows the stream of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.feed import FeedQuery, feed
from polyhouse.ports import Warehouse
from polyhouse.reads.names import market_names
from polyhouse.serve.pages.site import Page, Site, link
from polyhouse.serve.pages.tables import choices

SHOWN = 60
_WINDOW = 2_000
"""Ids that are looked through for events that pass the filters: they grow by one."""
_ALL = "all"
_KINDS: Mapping[str, tuple[str, ...]] = {
    _ALL: (), "trades": ("trade",), "resolutions": ("resolution",), "ranks": ("leaderboard",), "flags": ("flag",),
}  # fmt: skip
_SIZES: Mapping[str, str] = {"any size": "0", "from $100": "100", "from $1,000": "1000", "from $10,000": "10000"}


def router(site: Site) -> APIRouter:
    """The page."""
    routes = APIRouter()
    warehouse = site.context.answers.stores.warehouse

    @routes.get("/live")
    async def live(request: Request) -> Response:
        shown = request.query_params.get("kind", _ALL)
        size = request.query_params.get("size", "any size")
        query = FeedQuery(_KINDS.get(shown, ()), min_volume=_SIZES.get(size, "0"))
        found = await site.context.answers.run(lambda: _newest(warehouse, query))
        view = {
            **found,
            "kinds": choices(request, "kind", _KINDS, _ALL, shown),
            "sizes": choices(request, "size", _SIZES, "any size", size),
            "stream": link("/api/events", min_volume=query.min_volume)
            + "".join(f"&kind={kind}" for kind in query.kinds),
        }
        return await site.show(request, Page("live.html", "Live", lambda: view))

    return routes


def _newest(warehouse: Warehouse, query: FeedQuery) -> dict[str, Any]:
    newest = int(warehouse.query("SELECT max(id) FROM feed").rows[0][0])
    begin = max(0, newest - _WINDOW)
    events: list[dict[str, Any]] = []
    while True:
        page = feed(warehouse, query, after=begin, limit=1_000)
        events = (events + page["events"])[-SHOWN:]
        if page["last_id"] >= newest or page["last_id"] <= begin:
            break
        begin = page["last_id"]
    ids = {event["condition_id"] for event in events if event.get("condition_id")}
    return {"events": events[::-1], "names": market_names(warehouse, ids), "newest": newest, "window": _WINDOW}
