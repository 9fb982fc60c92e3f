"""Pages for people. The routers are included by ``serve.app``; pages read through ``context.answers``."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from polyhouse.serve.context import ServeContext
from polyhouse.serve.pages import explain, leaderboard, live, market, operations, search, wallet
from polyhouse.serve.pages.site import Site
from polyhouse.serve.responses import ExactJSONResponse


def install(app: FastAPI, context: ServeContext) -> None:
    """Add all pages and the error page; none of them is part of the OpenAPI document."""
    site = Site(context)
    app.state.error_page = site.error
    routes = APIRouter(include_in_schema=False)
    routes.include_router(site.assets.router())
    for concern in (leaderboard, wallet, explain, search, market, live, operations):
        routes.include_router(concern.router(site))

    @routes.get("/live.json")
    async def freshness() -> Response:
        fresh = await site.freshness()
        return ExactJSONResponse(fresh.document(), headers={"Cache-Control": "no-cache"})

    app.include_router(routes)
