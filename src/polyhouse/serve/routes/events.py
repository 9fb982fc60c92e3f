"""The feed over HTTP: page by page, and as server-sent events that go on where a reader stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from polyhouse.errors import BadInputError
from polyhouse.feed import FeedQuery, feed
from polyhouse.feed.read import KINDS, MAX_LIMIT
from polyhouse.reads.exact import encode, moment
from polyhouse.serve.context import ServeContext
from polyhouse.serve.live import News, Progress, read_progress
from polyhouse.serve.openapi import answers, example, problems
from polyhouse.serve.responses import ExactJSONResponse

_PAGE = 500
_MOST_ID = 2**63


def asked(
    kind: Annotated[list[str] | None, Query(description=f"any of {', '.join(KINDS)}; several are allowed")] = None,
    wallet: Annotated[str, Query(description="only what is about this address")] = "",
    condition_id: Annotated[str, Query(description="only what is about this market")] = "",
    min_volume: Annotated[str, Query(description="of trades, USDC at least", examples=["10000"])] = "0",
) -> FeedQuery:
    """Which events, from the query string."""
    query = FeedQuery(tuple(kind or ()), wallet, condition_id, min_volume)
    query.where()  # a mistake is said before a stream begins
    return query


def begin(
    after: Annotated[
        int | None, Query(ge=0, lt=_MOST_ID, description="begin after this id; without it, with what comes next")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="what browsers send when they connect again; wins over `after`")
    ] = None,
) -> int | None:
    """After which id a stream begins; None = with what comes next."""
    if not last_event_id:
        return after
    if not last_event_id.isascii() or not last_event_id.isdecimal() or int(last_event_id) >= _MOST_ID:
        raise BadInputError(
            "Last-Event-ID must be an id of this feed", hint="leave it out to begin with what comes next"
        )
    return int(last_event_id)


Asked = Annotated[FeedQuery, Depends(asked)]


def router(context: ServeContext) -> APIRouter:
    """``/api/feed`` and ``/api/events``."""
    routes = APIRouter(default_response_class=ExactJSONResponse, tags=["public"])
    warehouse = context.answers.stores.warehouse
    news = News(lambda: context.answers.run(lambda: read_progress(warehouse)))

    async def page(query: FeedQuery, after: int, limit: int) -> dict[str, Any]:
        return await context.answers.run(lambda: feed(warehouse, query, after=after, limit=limit))

    @routes.get(
        "/api/feed", summary="What became known after an id, oldest first", responses=answers("Feed"),
        openapi_extra=example("GET /api/feed", "GET /api/feed?kind=trade&min_volume=10000&limit=10"),
    )  # fmt: skip
    async def events_page(
        query: Asked,
        after: Annotated[int, Query(ge=0, lt=_MOST_ID, description="`last_id` of the page before; 0 = all kept")] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
    ) -> Response:
        return ExactJSONResponse(await page(query, after, limit))

    @routes.get(
        "/api/events", summary="What becomes known, as it does", response_class=EventSourceResponse,
        responses=problems(422, 429, 500, 503), openapi_extra=example("GET /api/events?kind=trade&min_volume=10000"),
    )  # fmt: skip
    async def events(
        query: Asked,
        start: Annotated[int | None, Depends(begin)],
    ) -> AsyncIterator[ServerSentEvent]:
        """Each event of the feed has its id, so a reader that connects again misses nothing. `build` (without an id)
        says that the tables were built anew, `missed` that events after the given id are no longer kept.
        """
        known = Progress()
        while True:
            before, known = known, await news.after(known)
            if start is None:
                start = known.event
            if before.build != known.build:
                yield _sent("build", {"build": known.build, "as_of": moment(known.as_of)})
            while start != known.event:
                found = await page(query, start, _PAGE)
                if found["missed"]:
                    yield _sent("missed", {"after": start, "newest_id": found["newest_id"]})
                    start = known.event
                    break
                for event in found["events"]:
                    yield _sent(event["kind"], event, event["id"])
                start = found["last_id"]
                if len(found["events"]) < _PAGE:
                    break

    return routes


def _sent(kind: str, body: dict[str, Any], number: int | None = None) -> ServerSentEvent:
    return ServerSentEvent(raw_data=encode(body).decode(), event=kind, id=None if number is None else str(number))
