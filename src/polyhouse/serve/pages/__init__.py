"""Pages for people. The router is included by ``serve.app``; pages read through ``context.answers``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from polyhouse.reads.leaderboard import LeaderboardQuery
from polyhouse.reads.totals import OVERALL
from polyhouse.serve.context import ServeContext
from polyhouse.serve.page import leaderboard_page


def router(context: ServeContext) -> APIRouter:
    """All pages; none of them is part of the OpenAPI document."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/", response_class=HTMLResponse)
    async def page(category: str = OVERALL, window: str = "lifetime", sort: str = "omega") -> Response:
        query = LeaderboardQuery(category, window, sort)
        found = await context.answers.get("leaderboard", query.arguments())
        return HTMLResponse(leaderboard_page(dict(found.document)))

    return routes
