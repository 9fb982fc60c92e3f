"""Where a number of a wallet comes from, one level per page: bets, positions, ledger rows with their transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.serve.pages.site import Page, Site, link
from polyhouse.serve.pages.tables import number_of, with_query
from polyhouse.serve.pages.wallet import frame

ROWS = 100
_PASSED_ON = ("name", "category", "window", "unit", "token")


def router(site: Site) -> APIRouter:
    """The page below ``/wallets/{address}/explain``; its parameters are those of the read command."""
    routes = APIRouter()

    @routes.get("/wallets/{address}/explain")
    async def explain(request: Request, address: str, name: str = "position_pnl") -> Response:
        wanted = {key: request.query_params[key] for key in _PASSED_ON if request.query_params.get(key)}
        offset = number_of(request, "offset", 0)
        arguments = {**wanted, "name": name, "limit": ROWS, "offset": offset}
        found = await site.ask("wallet", address=address)
        explained = await site.ask("explain", address=address, **arguments)
        document = explained.document
        page = Page(
            "wallet_explain.html", f"{name.replace('_', ' ')} of {address[:10]}…",
            lambda: {
                **frame(address, "explain", found), "it": document, "pages": _pages(request, document, offset),
                "deeper": lambda step: deeper(document, step),
            },
            f"{found.version} {explained.version}",
        )  # fmt: skip
        return await site.show(request, page)

    return routes


def deeper(document: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """The page that explains a row or an input of the document further."""
    return link(f"/wallets/{document['wallet']}/explain", **step)


def _pages(request: Request, document: Mapping[str, Any], offset: int) -> dict[str, Any]:
    count, shown = document["count"], len(document["rows"])
    following = document["next_offset"]
    return {
        "says": f"{offset + 1:,}–{offset + shown:,} of {count:,}" if shown else "",
        "previous": with_query(request, offset=max(0, offset - ROWS) or None) if offset else None,
        "next": with_query(request, offset=following) if following else None,
    }
