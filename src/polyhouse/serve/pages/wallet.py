"""The pages of one wallet: overview, positions, bets, metrics, and where a number comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.domain.ids import parse_address
from polyhouse.reads.names import market_names
from polyhouse.reads.quality import reconciled
from polyhouse.reads.trades import MAX_LIMIT, trades
from polyhouse.serve.answers import Answer
from polyhouse.serve.pages import wallet_view
from polyhouse.serve.pages.site import Page, Site
from polyhouse.serve.pages.tables import ROWS, csv_answer, csv_stream, in_order, page_of, sorted_by, with_query

TABS = (
    ("", "Overview"), ("positions", "Positions"), ("bets", "Bets"), ("trades", "Trades"), ("metrics", "Metrics"),
    ("cost", "Cost methods"),
)  # fmt: skip


def router(site: Site) -> APIRouter:
    """All pages below ``/wallets/{address}``."""
    routes = APIRouter()
    _add_overview(routes, site)
    _add_lists(routes, site)
    _add_trades(routes, site)
    _add_metrics(routes, site)
    _add_cost(routes, site)
    return routes


def frame(address: str, tab: str, found: Answer) -> dict[str, Any]:
    """What all pages of a wallet show: its name, its badges, the ways to the other pages."""
    wallet = found.document["wallet"]
    return {
        "wallet": found.document,
        "tabs": [(name, f"/wallets/{wallet}" + (f"/{path}" if path else ""), path == tab) for path, name in TABS],
        "badges": wallet_view.badges(found.document),
        "address": address.lower(),
    }


def _add_overview(routes: APIRouter, site: Site) -> None:
    warehouse = site.context.answers.stores.warehouse

    @routes.get("/wallets/{address}")
    async def overview(request: Request, address: str, window: str = "lifetime") -> Response:
        found = await site.ask("wallet", address=address, window=window)
        days = await site.ask("wallet_days", address=address, window=wallet_view.chart_window(window))
        page = Page(
            "wallet.html", f"Wallet {address[:10]}…",
            lambda: {
                **frame(address, "", found), **wallet_view.overview(request, found.document, days.document),
                **_beside(found.document),
            },
            found.version,
        )  # fmt: skip
        return await site.show(request, page)

    def _beside(document: Mapping[str, Any]) -> dict[str, Any]:
        best, worst = wallet_view.extremes(document["units"])
        shown = {unit["condition_ids"][0] for unit in [*best, *worst] if unit["condition_ids"]}
        return {
            "best": best,
            "worst": worst,
            "names": market_names(warehouse, shown),
            "reconciled": reconciled(warehouse, parse_address(document["wallet"])),
        }


def _add_lists(routes: APIRouter, site: Site) -> None:
    warehouse = site.context.answers.stores.warehouse

    async def listed(
        request: Request, address: str, tab: str, rows_of: Any, keys: Mapping[str, Any], default: str
    ) -> Response:
        found = await site.ask("wallet", address=address)
        order = sorted_by(request, keys, default)
        shown = page_of(request, in_order(rows_of(found.document), keys[order.key], order.direction), tab)
        ids = {condition for row in shown.rows for condition in wallet_view.conditions_of(row)}
        page = Page(
            f"wallet_{tab}.html", f"{tab.capitalize()} of {address[:10]}…",
            lambda: {
                **frame(address, tab, found), "page": shown, "order": order, "names": market_names(warehouse, ids),
            },
            found.version,
        )  # fmt: skip
        return await site.show(request, page)

    @routes.get("/wallets/{address}/positions")
    async def positions(request: Request, address: str) -> Response:
        return await listed(
            request, address, "positions", lambda document: document["positions"], wallet_view.POSITION_KEYS, "shares"
        )

    @routes.get("/wallets/{address}/bets")
    async def bets(request: Request, address: str) -> Response:
        return await listed(
            request, address, "bets", lambda document: document["units"], wallet_view.UNIT_KEYS, "closed"
        )

    @routes.get("/wallets/{address}/positions.csv")
    async def positions_file(address: str) -> Response:
        found = await site.ask("wallet", address=address)
        return csv_answer(f"{address.lower()}-positions", found.document["positions"])

    @routes.get("/wallets/{address}/bets.csv")
    async def bets_file(address: str) -> Response:
        found = await site.ask("wallet", address=address)
        return csv_answer(f"{address.lower()}-bets", found.document["units"])


def _add_trades(routes: APIRouter, site: Site) -> None:
    @routes.get("/wallets/{address}/trades")
    async def trades_page(request: Request, address: str, cursor: str = "") -> Response:
        found = await site.ask("wallet", address=address)
        document = (await site.ask("wallet_trades", address=address, limit=ROWS, cursor=cursor or None)).document
        ids = {row["condition_id"] for row in document["rows"] if row["condition_id"]}
        page = Page(
            "wallet_trades.html", f"Trades of {address[:10]}…",
            lambda: {
                **frame(address, "trades", found), "document": document,
                "names": market_names(site.context.answers.stores.warehouse, ids),
                "next": with_query(request, cursor=document["next_cursor"]) if document["next_cursor"] else None,
                "first": with_query(request, cursor=None) if cursor else None,
            },
            found.version,
        )  # fmt: skip
        return await site.show(request, page)

    @routes.get("/wallets/{address}/trades.csv")
    async def trades_file(address: str) -> Response:
        warehouse = site.context.answers.stores.warehouse

        def pages() -> Iterator[list[dict[str, Any]]]:
            cursor: str | None = None
            while True:
                document = trades(warehouse, address, limit=MAX_LIMIT, cursor=cursor)
                yield document["rows"]
                cursor = document["next_cursor"]
                if cursor is None:
                    return

        return await site.context.answers.run(lambda: csv_stream(f"{address.lower()}-trades", pages()))


def _add_cost(routes: APIRouter, site: Site) -> None:
    @routes.get("/wallets/{address}/cost")
    async def cost(request: Request, address: str) -> Response:
        found = await site.ask("wallet", address=address, cost="both")
        methods = found.document["cost_methods"]
        order = sorted_by(request, wallet_view.COST_KEYS, "difference")
        by = wallet_view.COST_KEYS[order.key]
        shown = page_of(request, in_order(methods["positions"], by, order.direction), "positions")
        ids = {row["condition_id"] for row in shown.rows}
        page = Page(
            "wallet_cost.html", f"Cost methods of {address[:10]}…",
            lambda: {
                **frame(address, "cost", found), "methods": methods, "page": shown, "order": order,
                "names": market_names(site.context.answers.stores.warehouse, ids),
                "largest": wallet_view.largest_cause,
            },
            found.version,
        )  # fmt: skip
        return await site.show(request, page)


def _add_metrics(routes: APIRouter, site: Site) -> None:
    @routes.get("/wallets/{address}/metrics")
    async def metrics(request: Request, address: str, category: str = "overall", window: str = "lifetime") -> Response:
        found = await site.ask("wallet", address=address)
        values = await site.ask("wallet_metrics", address=address, category=category, window=window)
        page = Page(
            "wallet_metrics.html", f"Metrics of {address[:10]}…",
            lambda: {**frame(address, "metrics", found), **wallet_view.metrics(request, values.document)},
            found.version,
        )  # fmt: skip
        return await site.show(request, page)
