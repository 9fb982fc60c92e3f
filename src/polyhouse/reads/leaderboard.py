"""The leaderboard: wallets of one category and window, ranked exactly, ties broken by address."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from polyhouse.domain.amounts import micros
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.ratios import SHRINKAGE, grade_of
from polyhouse.reads.totals import OVERALL, SELECT_LIST, check_category, check_window, totals_document

MAX_LIMIT = 100_000

# 10^38 tells any two different fractions of 63-bit integers apart, so the order is that of the exact ratios.
_E38 = "toInt256('100000000000000000000000000000000000000')"
_PNL = "(toInt256(realized) + unrealized)"
SORTS: dict[str, str] = {
    "omega": f"intDiv((toInt256(gains) + {SHRINKAGE}) * {_E38}, toInt256(losses_abs) + {SHRINKAGE})",
    "pnl": _PNL,
    "win_rate": f"intDivOrZero(toInt256(wins) * {_E38}, toInt256(wins) + losses)",
    "roi": f"intDivOrZero({_PNL} * {_E38}, toInt256(bought_cost))",
    "volume": "volume",
    "trades": "trades",
    "markets": "markets",
    "realized": "realized",
    "unrealized": "unrealized",
    "gains": "gains",
    "losses": "losses_abs",
    "wins": "wins",
    "fees": "fees",
    "income": "income",
}
"""Sort word → integer expression, largest first. ``omega`` is the shrunk one; undefined values come last."""

_UNDEFINED = {"win_rate": "wins + losses = 0", "roi": "unrealized IS NULL OR bought_cost = 0"}


@dataclass(frozen=True, slots=True)
class LeaderboardQuery:
    """What to rank. ``min_trades`` counts fills, ``min_units`` closed units; ``min_gains_losses`` is in USDC."""

    category: str = OVERALL
    window: str = "lifetime"
    sort: str = "omega"
    min_trades: int = 0
    min_units: int = 20
    min_gains_losses: str = "100"
    limit: int = 100

    def arguments(self) -> dict[str, Any]:
        """The fields as JSON-able arguments."""
        return asdict(self)


def leaderboard(warehouse: Warehouse, query: LeaderboardQuery) -> dict[str, Any]:
    """The leaderboard document of the contract.

    Raises:
        BadInputError: an unknown category, window or sort word, or a number out of range.
    """
    _check(query)
    key = SORTS[query.sort]
    undefined = _UNDEFINED.get(query.sort, f"({key}) IS NULL")
    result = warehouse.query(
        f"SELECT {SELECT_LIST} FROM wallet_totals FINAL"
        " WHERE category = {category:String} AND `window` = {window:String} AND trades >= {min_trades:UInt64}"
        " AND toUInt64(wins) + losses + flats >= {min_units:UInt64}"
        " AND toInt128(gains) + losses_abs >= {min_sum:Int64}"
        f" ORDER BY ({undefined}) ASC, if({undefined}, NULL, {key}) DESC, wallet ASC LIMIT {{limit:UInt32}}",
        {
            "category": query.category, "window": query.window, "min_trades": query.min_trades,
            "min_units": query.min_units, "min_sum": micros(query.min_gains_losses), "limit": query.limit,
        },
    )  # fmt: skip
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return {
        "window": query.window,
        "category": query.category,
        "sort": query.sort,
        "min_trades": query.min_trades,
        "min_units": query.min_units,
        "min_gains_losses": money(micros(query.min_gains_losses)),
        "as_of": moment(newest_build_time(warehouse)),
        "count": len(rows),
        "rows": [_ranked(rank, row) for rank, row in enumerate(rows, start=1)],
    }


def _ranked(rank: int, row: dict[str, Any]) -> dict[str, Any]:
    totals = totals_document(row)
    return {
        "rank": rank,
        "wallet": f"0x{row['wallet_hex']}",
        **totals,
        "grade": grade_of(int(row["gains"]), int(row["losses_abs"])),
        "specialist": None,
    }


def _check(query: LeaderboardQuery) -> None:
    check_category(query.category)
    check_window(query.window)
    if query.sort not in SORTS:
        raise BadInputError(f"unknown sort {query.sort[:40]!r}", hint=f"one of: {' '.join(SORTS)}")
    for name, most in (("min_trades", 2**63), ("min_units", 2**63), ("limit", MAX_LIMIT)):
        value = getattr(query, name)
        if type(value) is not int or not (1 if name == "limit" else 0) <= value <= most:
            raise BadInputError(f"{name} {value!r} is out of range", hint=f"a whole number up to {most}")
