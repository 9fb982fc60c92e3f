"""Pages about markets and what is traded there: one market, the specialists, the categories."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.serve.pages.charts import Chart, Series
from polyhouse.serve.pages.formats import seconds_of
from polyhouse.serve.pages.site import Page, Site
from polyhouse.serve.pages.tables import choices, csv_answer, with_query

SPECIALISTS = 200
_ALL = "all"


def router(site: Site) -> APIRouter:
    """The pages."""
    routes = APIRouter()

    @routes.get("/markets/{market}")
    async def one(request: Request, market: str) -> Response:
        found = await site.ask("market", condition_id=market)
        name = found.document["question"] or "Market"
        return await site.show(request, Page("market.html", name, lambda: view_of(found.document), found.version))

    @routes.get("/specialists")
    async def specialists(request: Request) -> Response:
        found = await site.ask("specialists", **_specialists(request))
        page = Page("specialists.html", "Specialists", lambda: _specialist_view(request, found.document), found.version)
        return await site.show(request, page)

    @routes.get("/specialists.csv")
    async def file(request: Request) -> Response:
        found = await site.ask("specialists", **_specialists(request) | {"limit": 10_000})
        return csv_answer("polyhouse-specialists", found.document["rows"])

    @routes.get("/categories")
    async def categories(request: Request, window: str = "lifetime") -> Response:
        found = await site.ask("categories", window=window)
        page = Page("categories.html", "Categories", lambda: _categories(request, found.document), found.version)
        return await site.show(request, page)

    return routes


def _specialists(request: Request) -> dict[str, Any]:
    category = request.query_params.get("category") or None
    return {"category": category, "limit": SPECIALISTS, "tested": request.query_params.get("tested") == "true"}


def _specialist_view(request: Request, document: Mapping[str, Any]) -> dict[str, Any]:
    is_tested = request.query_params.get("tested") == "true"
    return {
        "document": document,
        "categories": choices(request, "category", (_ALL, *CATEGORIES), _ALL, document["category"] or _ALL),
        "is_tested": is_tested,
        "other": with_query(request, tested=None if is_tested else "true"),
        "download": with_query(request).replace("/specialists", "/specialists.csv", 1),
        "tests": sum(document["tests"].values()),
    }


def _categories(request: Request, document: Mapping[str, Any]) -> dict[str, Any]:
    rows = [row for row in document["rows"] if row["category"] != document["overall"]]
    return {
        "document": document,
        "whole": next((row for row in document["rows"] if row["category"] == document["overall"]), None),
        "rows": sorted(rows, key=lambda row: row["volume"], reverse=True),
        "most": max((row["volume"] for row in rows), default=None),
        "windows": choices(request, "window", tuple(METRIC_WINDOWS), "lifetime", document["window"]),
    }


def view_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a market shows, from its document."""
    names = {one["outcome_index"]: one["outcome"] or f"Outcome {one['outcome_index']}" for one in document["outcomes"]}
    return {
        "market": document,
        "names": names,
        "prices": _prices(document, names.get(0, "the first outcome")),
        "flow": _flow(document),
        "split": document["smart_money"],
        "traded": document["traders"] or {"count": 0, "best": [], "worst": []},
    }


def _prices(document: Mapping[str, Any], name: str) -> Chart:
    points = document["prices"]["points"] if document["prices"] else []
    values = [point["price"] for point in points]
    summary = "Nobody traded it yet."
    if values:
        low, high = min(values), max(values)
        summary = (
            f"{name}: from {_cents(values[0])} to {_cents(values[-1])}, lowest {_cents(low)}, highest {_cents(high)}."
        )
    series = (Series(name, values, 1, "step", fill=True),)
    return Chart("Price", [int(seconds_of(point["at"])) for point in points], series, "cents", summary)


def _flow(document: Mapping[str, Any]) -> Chart:
    """What takers bought of the first outcome, net, step by step; the whole volume where no roles are known."""
    found = document["flow"] or {"points": []}
    times = [int(seconds_of(point["from"])) for point in found["points"]]
    if any(point["taker_fills"] for point in found["points"]):
        net = [point["net_shares"] for point in found["points"]]
        ups = [value if value > 0 else None for value in net]
        downs = [value if value < 0 else None for value in net]
        series = (Series("Takers bought", ups, 3, "bars"), Series("Takers sold", downs, 4, "bars"))
        return Chart("Net shares that takers bought", times, series, "count", "Of the first outcome, per step of time.")
    volume = [point["volume"] for point in found["points"]]
    total = sum(volume, Decimal(0))
    whole = (Series("Volume", volume, 1, "bars"),)
    return Chart(
        "Volume", times, whole, "usd", f"{total:,.2f} $ in all; the sources tell no roles of makers and takers."
    )


def _cents(price: Decimal) -> str:
    return f"{price * 100:.1f}¢"
