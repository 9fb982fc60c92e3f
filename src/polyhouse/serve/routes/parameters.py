"""Parameters that several routes take."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, create_model

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.reads.board_filters import FILTERS
from polyhouse.reads.board_query import PRESETS, LeaderboardQuery
from polyhouse.reads.board_sorts import ALIASES, SORTS
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve.openapi import EXAMPLE_WALLET

MAX_API_LIMIT = 1_000
_MOST = 2**63 - 1
_KINDS = {"count": "a whole number", "usd": "USDC", "ratio": "a fraction, 0.55 for 55 %", "number": "a number"}
_ABOUT = {
    "category": "overall, or one of the categories",
    "window": "1d 7d 30d 90d 180d lifetime",
    "sort": "omega pnl win_rate roi sharpe …, or any metric; best first",
    "limit": "rows at most",
    "cursor": "`next_cursor` of the page before; everything else as it was there",
    "reverse": "worst first",
    "preset": "copy_trading: every filter of the copy-trading rules that is not given",
    "exclude_bots": "leave out wallets flagged as bots",
    "exclude_market_makers": "leave out wallets flagged as market makers",
    "specialists_only": "only specialists (of the category)",
}
_TYPES: dict[str, Any] = {"str": str, "str | None": str | None, "int": int, "int | None": int | None, "bool": bool}

_CATEGORIES = {"enum": [OVERALL, *CATEGORIES]}
_WINDOWS = {"enum": list(WINDOWS)}
_ENUMS: dict[str, dict[str, Any]] = {
    "category": _CATEGORIES,
    "window": _WINDOWS,
    "sort": {"enum": sorted({*SORTS, *ALIASES})},
    "preset": {"enum": [*PRESETS, None]},
}

Address = Annotated[
    str,
    Path(
        description="0x and 40 hex digits, any case", examples=[EXAMPLE_WALLET],
        json_schema_extra={"pattern": "^0x[0-9a-fA-F]{40}$"},
    ),
]  # fmt: skip
AsOf = Annotated[str | None, Query(description="a kept moment of the past, ISO 8601 or Unix seconds", max_length=40)]
Category = Annotated[str, Query(description="overall, or one of the categories", json_schema_extra=_CATEGORIES)]
OneCategory = Annotated[
    str | None,
    Query(description="one of the categories; all by default", json_schema_extra={"enum": [*CATEGORIES, None]}),
]
Window = Annotated[str, Query(description="ends at as_of of the answer", json_schema_extra=_WINDOWS)]
MetricWindow = Annotated[
    str, Query(description="ends at as_of of the answer", json_schema_extra={"enum": list(METRIC_WINDOWS)})
]
Limit = Annotated[int, Query(ge=1, le=MAX_API_LIMIT, description="rows of a page")]


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are there."""
    return {name: value for name, value in arguments.items() if value is not None}


def _about(name: str) -> str:
    known = FILTERS.get(name)
    return _ABOUT.get(name) or (f"filter, {_KINDS[known.kind]}" if known else "filter")


def _parameter(name: str, kind: str, default: Any) -> tuple[Any, Any]:
    bounds: dict[str, Any] = {}
    if kind.startswith("int"):
        bounds = {"ge": 1 if name == "limit" else 0, "le": MAX_API_LIMIT if name == "limit" else _MOST}
    elif kind.startswith("str"):
        bounds = {"max_length": 1_000, "json_schema_extra": _ENUMS.get(name)}
    return _TYPES[kind], Field(default, description=_about(name), **bounds)


if TYPE_CHECKING:

    class BoardParameters(BaseModel):
        """See below."""
else:
    BoardParameters = create_model(
        "BoardParameters",
        __config__=ConfigDict(extra="forbid"),
        as_of=(str | None, Field(None, description="a kept moment of the past", max_length=40)),
        **{one.name: _parameter(one.name, str(one.type), one.default) for one in fields(LeaderboardQuery)},
    )
    BoardParameters.__doc__ = "The question of a leaderboard: every field of ``LeaderboardQuery``, and no other."
