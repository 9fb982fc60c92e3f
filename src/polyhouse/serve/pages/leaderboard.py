"""The leaderboard page: a slice (category × window), an order, filters, and the ranked wallets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.domain.categories import CATEGORIES
from polyhouse.reads.sparks import sparks
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve.pages.site import Page, Site
from polyhouse.serve.pages.tables import csv_answer, with_query


def router(site: Site) -> APIRouter:
    """The page and its table as a file."""
    routes = APIRouter()

    @routes.get("/")
    async def page(request: Request) -> Response:
        found = await site.ask("leaderboard", **_arguments(request))
        document = found.document
        lines = await site.context.answers.run(
            lambda: sparks(
                site.context.answers.stores.warehouse, [row["wallet"] for row in document["rows"]],
                category=document["category"], window=document["window"],
            )
        )  # fmt: skip
        view = Page("leaderboard.html", "Leaderboard", lambda: _view(request, document, lines), found.version)
        return await site.show(request, view)

    @routes.get("/leaderboard.csv")
    async def download(request: Request) -> Response:
        found = await site.ask("leaderboard", **_arguments(request))
        name = f"polyhouse-{found.document['category']}-{found.document['window']}"
        return csv_answer(name, found.document["rows"])

    return routes


def _arguments(request: Request) -> dict[str, Any]:
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    words: dict[str, Any] = {
        name: given[name] for name in ("category", "window", "sort", "min_gains_losses") if name in given
    }
    numbers: dict[str, Any] = {name: int(given[name]) for name in ("min_trades", "min_units") if name in given}
    return {**words, **numbers}


def _view(request: Request, document: Mapping[str, Any], lines: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "board": document,
        "sparks": lines,
        "categories": [
            (name, with_query(request, category=None if name == OVERALL else name), name == document["category"])
            for name in (OVERALL, *CATEGORIES)
        ],
        "windows": [
            (name, with_query(request, window=None if name == "lifetime" else name), name == document["window"])
            for name in WINDOWS
        ],
        "download": with_query(request).replace("/", "/leaderboard.csv", 1),
        "json": with_query(request).replace("/", "/api/leaderboard", 1),
    }
