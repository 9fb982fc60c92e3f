"""The leaderboard page: a slice (category × window), an order, filters, and the ranked wallets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.catalogue import BY_NAME, METRIC_WINDOWS
from polyhouse.reads.leaderboard import PRESETS, SORTS, LeaderboardQuery, leaderboard
from polyhouse.reads.sparks import sparks
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve.pages.filters import GROUPS, active_filters
from polyhouse.serve.pages.formats import metric_title
from polyhouse.serve.pages.site import Page, Site, link
from polyhouse.serve.pages.tables import Sorted, choices, csv_stream, number_of, with_query
from polyhouse.serve.pages.wallet_view import FLAG_TONES

ROWS = 50
_FILE_ROWS = 5_000
_SWITCHES = frozenset({"reverse", "exclude_bots", "exclude_market_makers", "specialists_only"})
_WHOLE = frozenset({"limit", *(field.name for field in fields(LeaderboardQuery) if "int" in str(field.type))})
_KNOWN = frozenset(field.name for field in fields(LeaderboardQuery))
_COLUMNS = frozenset({"omega", "pnl", "win_rate", "roi", "units", "volume", "trades", "one_hit_share"})
"""Orders whose value has a column of its own already."""


def router(site: Site) -> APIRouter:
    """The page and its table as a file."""
    routes = APIRouter()
    warehouse = site.context.answers.stores.warehouse

    @routes.get("/")
    async def page(request: Request) -> Response:
        asked = {"limit": ROWS, **arguments(request)}
        found = await site.ask("leaderboard", **asked)
        board = found.document

        def view() -> dict[str, Any]:
            wallets = [row["wallet"] for row in board["rows"]]
            lines = sparks(warehouse, wallets, category=board["category"], window=board["window"])
            return _view(request, board, lines, asked)

        return await site.show(request, Page("leaderboard.html", "Leaderboard", view, found.version))

    @routes.get("/leaderboard.csv")
    async def download(request: Request) -> Response:
        asked = arguments(request) | {"limit": _FILE_ROWS, "cursor": None}

        def pages() -> Iterator[list[dict[str, Any]]]:
            cursor: str | None = None
            while True:
                board = leaderboard(warehouse, LeaderboardQuery(**{**asked, "cursor": cursor}))
                yield board["rows"]
                cursor = board["next_cursor"]
                if cursor is None:
                    return

        words = [str(asked.get("category", OVERALL)), str(asked.get("window", "lifetime"))]
        return await site.context.answers.run(lambda: csv_stream(f"polyhouse-{'-'.join(words)}", pages()))

    return routes


def arguments(request: Request) -> dict[str, Any]:
    """What the query asks of a leaderboard; fields that were left empty ask nothing.

    Raises:
        BadInputError: a number that is none.
    """
    found: dict[str, Any] = {}
    for name, text in request.query_params.items():
        if name not in _KNOWN or not text.strip():
            continue
        if name in _SWITCHES:
            found[name] = text == "true"
        else:
            found[name] = number_of(request, name, 0) if name in _WHOLE else text.strip()
    return found


def _view(
    request: Request, board: Mapping[str, Any], lines: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    sort = SORTS[board["sort"]]
    metric = BY_NAME.get(sort.name) if sort.kind == "metric" else None
    return {
        "board": board,
        "sparks": lines,
        "flag_tones": FLAG_TONES,
        "order": _order(request, board),
        "extra": None if sort.name in _COLUMNS else {"name": sort.name, "meaning": sort.meaning, "metric": metric},
        "categories": choices(request, "category", (OVERALL, *CATEGORIES), OVERALL, board["category"]),
        "windows": choices(request, "window", WINDOWS, "lifetime", board["window"]),
        "sorts": _sorts(board),
        "groups": GROUPS,
        "given": request.query_params,
        "active": active_filters(request, board["filters"], _defaults()),
        "has_metrics": board["window"] in METRIC_WINDOWS,
        "copy_trading": with_query(request, preset=None if asked.get("preset") else "copy_trading", cursor=None),
        "is_copy_trading": asked.get("preset") in PRESETS,
        "next": with_query(request, cursor=board["next_cursor"]) if board["next_cursor"] else None,
        "first": with_query(request, cursor=None) if asked.get("cursor") else None,
        "download": link("/leaderboard.csv", **_carried(request)),
        "json": link("/api/leaderboard", **_carried(request)),
        "shown_window": board["window"] if board["window"] in METRIC_WINDOWS else "30d",
    }


def _order(request: Request, board: Mapping[str, Any]) -> Sorted:
    is_best_first = not board["reverse"]
    lower_first = SORTS[board["sort"]].lower_first

    def href(key: str) -> str:
        turned = "true" if key == board["sort"] and is_best_first else None
        return with_query(request, sort=None if key == "omega" else key, reverse=turned, cursor=None)

    return Sorted(board["sort"], "descending" if is_best_first != lower_first else "ascending", href)


def _sorts(board: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    groups: dict[str, list[tuple[str, str, bool]]] = {"Totals": [], "Scores": [], "Metrics": []}
    names = {"total": "Totals", "score": "Scores", "metric": "Metrics"}
    for sort in SORTS.values():
        if sort.kind != "metric" or board["window"] in METRIC_WINDOWS:
            groups[names[sort.kind]].append((sort.name, metric_title(sort.name), sort.name == board["sort"]))
    return [(name, found) for name, found in groups.items() if found]


def _carried(request: Request) -> dict[str, str]:
    """The question of the page, for other forms of the same table."""
    return {name: text for name, text in request.query_params.items() if name in _KNOWN - {"cursor"} and text.strip()}


def _defaults() -> dict[str, Any]:
    return {field.name: field.default for field in fields(LeaderboardQuery)}
