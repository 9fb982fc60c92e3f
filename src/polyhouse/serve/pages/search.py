"""The search box, and the list of markets that it and the navigation lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from polyhouse.reads.names import MOST, newest_markets, search
from polyhouse.serve.pages.site import Page, Site


def router(site: Site) -> APIRouter:
    """Search, which goes straight to the only thing that fits, and the markets."""
    routes = APIRouter()

    async def found(text: str) -> dict[str, Any]:
        warehouse = site.context.answers.stores.warehouse
        if not text:
            return await site.kept("newest markets", lambda: newest_markets(warehouse))
        return await site.context.answers.run(lambda: search(warehouse, text))

    @routes.get("/search")
    async def look(request: Request, q: str = "") -> Response:
        result = await found(q.strip())
        address = _only(result)
        if q.strip() and address:
            return RedirectResponse(address, 303)
        title = f"Search: {q}" if q else "Search"
        return await site.show(request, Page("search.html", title, lambda: {"result": result, "most": MOST}))

    @routes.get("/markets")
    async def markets(request: Request, q: str = "") -> Response:
        result = await found(q.strip())
        return await site.show(request, Page("markets.html", "Markets", lambda: {"result": result, "most": MOST}))

    return routes


def _only(result: Mapping[str, Any]) -> str:
    """Where the search leads if one thing fits."""
    markets, wallets = result["markets"], result["wallets"]
    if len(markets) + len(wallets) != 1:
        return ""
    return f"/wallets/{wallets[0]}" if wallets else f"/markets/{markets[0]['condition_id']}"
