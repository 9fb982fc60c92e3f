"""Specialists: wallets that are better in one category than elsewhere, and than others there (docs/specialists.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.domain.ids import format_address
from polyhouse.errors import BadInputError
from polyhouse.metrics.specialists import FALSE_DISCOVERIES, MIN_EVENTS, MIN_STAKE_SHARE, SHRINKAGE_EVENTS
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.ratios import grade_of, omega_shrunk_of

MAX_LIMIT = 10_000
_FLOATS = (
    "stake_share", "bet_share", "edge", "edge_shrunk", "rest_shrunk", "category_edge", "p_category", "p_rest",
    "p_value", "q_value",
)  # fmt: skip
_COUNTS = ("closed", "events", "rest_events")


def specialists(
    warehouse: Warehouse, *, category: str | None = None, limit: int = 100, tested: bool = False
) -> dict[str, Any]:
    """The specialists of one category or of all, by q-value.

    Each row names the ``category``, ``edge_shrunk`` (mean of outcome − price paid, per event, shrunk) beside the
    wallet's own ``rest_shrunk`` and everybody else's ``category_edge``, its shares, ``p_value`` and ``q_value``.
    ``tests`` is how many wallets were tested per category: the q-values are of that many.

    Args:
        warehouse: the open warehouse.
        category: one of ``domain.categories``; None = all.
        limit: rows at most.
        tested: also the wallets that were tested and are no specialists.

    Raises:
        BadInputError: an unknown category, or a limit out of range.
    """
    if category is not None and category not in CATEGORIES:
        raise BadInputError(f"unknown category {category[:40]!r}", hint=f"one of: {' '.join(CATEGORIES)}")
    if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
        raise BadInputError(f"limit {limit!r} is out of range", hint=f"a whole number from 1 to {MAX_LIMIT}")
    scope, bound = ("category = {category:String}", {"category": category}) if category else ("1", {})
    kind = "1" if tested else "is_specialist"
    counts = warehouse.query(
        f"SELECT category, count() AS tests, countIf(is_specialist) AS found FROM category_specialists WHERE {scope}"
        " GROUP BY category ORDER BY category",
        bound,
    ).rows
    result = warehouse.query(
        f"SELECT * FROM category_specialists WHERE {scope} AND {kind} ORDER BY q_value, p_value, wallet, category"
        f" LIMIT {limit}",
        bound,
    )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    return {
        "category": category,
        "as_of": moment(newest_build_time(warehouse)),
        "rules": {
            "min_events": MIN_EVENTS,
            "min_stake_share": Decimal(str(MIN_STAKE_SHARE)),
            "false_discoveries": Decimal(str(FALSE_DISCOVERIES)),
            "shrinkage_events": SHRINKAGE_EVENTS,
        },
        "tests": {str(name): int(tests) for name, tests, _ in counts},
        "total": sum(int(tests if tested else found) for _, tests, found in counts),
        "count": len(rows),
        "rows": [_row(rank, row) for rank, row in enumerate(rows, start=1)],
    }


def specialist_of(warehouse: Warehouse, wallets: Sequence[bytes]) -> dict[bytes, list[str]]:
    """Wallet → the categories it is a specialist of, the smallest q-value first; others are not in the answer."""
    if not wallets:
        return {}
    rows = warehouse.query(
        "SELECT wallet, category FROM category_specialists WHERE is_specialist AND wallet IN"
        " (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20)) ORDER BY q_value, p_value, category",
        {"wallets": [wallet.hex() for wallet in wallets]},
    ).rows
    found: dict[bytes, list[str]] = {}
    for wallet, category in rows:
        found.setdefault(bytes(wallet), []).append(str(category))
    return found


def _row(rank: int, row: Mapping[str, Any]) -> dict[str, Any]:
    gains, losses = int(row["gains"]), int(row["losses_abs"])
    return {
        "rank": rank,
        "wallet": format_address(bytes(row["wallet"])),
        "category": str(row["category"]),
        "is_specialist": bool(row["is_specialist"]),
        "is_primary": bool(row["is_primary"]),
        **{name: int(row[name]) for name in _COUNTS},
        **{name: _number(row[name]) for name in _FLOATS},
        "net": money(row["net"]),
        "omega_shrunk": omega_shrunk_of(gains, losses),
        "grade": grade_of(gains, losses),
    }


def _number(value: float) -> Decimal:
    if not math.isfinite(value):
        raise ValueError(f"a statistic of {value}")
    return Decimal(repr(float(value)))
