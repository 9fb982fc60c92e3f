"""Public read-only routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from polyhouse.domain.categories import CATEGORIES, CATEGORY_VERSION
from polyhouse.reads.leaderboard import LeaderboardQuery
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve.context import ServeContext
from polyhouse.serve.responses import ExactJSONResponse

MAX_API_LIMIT = 1_000


def router(context: ServeContext) -> APIRouter:
    """Leaderboards, wallets, markets, categories, status."""
    routes = APIRouter(default_response_class=ExactJSONResponse)

    async def leaderboard(
        category: str = OVERALL,
        window: str = "lifetime",
        sort: str = "omega",
        min_trades: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        min_units: Annotated[int, Query(ge=0, lt=2**63)] = 20,
        min_gains_losses: str = "100",
        limit: Annotated[int, Query(ge=1, le=MAX_API_LIMIT)] = 100,
    ) -> Response:
        query = LeaderboardQuery(category, window, sort, min_trades, min_units, min_gains_losses, limit)
        return await _document(context, "leaderboard", query.arguments())

    routes.get("/api/leaderboard", summary="Ranked wallets")(leaderboard)
    routes.get("/api/omega/leaderboard", summary="The older name of /api/leaderboard")(leaderboard)

    @routes.get("/api/wallets/{address}", summary="Everything known about one wallet")
    async def wallet(address: str, window: str = "lifetime") -> Response:
        return await _document(context, "wallet", {"address": address, "window": window})

    @routes.get("/api/markets/{condition_id}", summary="One market")
    async def market(condition_id: str) -> Response:
        return await _document(context, "market", {"condition_id": condition_id})

    @routes.get("/api/categories", summary="The categories and windows that exist")
    async def categories() -> Response:
        return ExactJSONResponse(
            {"categories": list(CATEGORIES), "version": CATEGORY_VERSION, "overall": OVERALL, "windows": list(WINDOWS)}
        )

    @routes.get("/api/status", summary="Progress, queue, failures")
    async def status() -> Response:
        return await _document(context, "status", {})

    return routes


async def _document(context: ServeContext, name: str, arguments: dict[str, object]) -> Response:
    found = await context.answers.get(name, arguments)
    return ExactJSONResponse(found.document)
