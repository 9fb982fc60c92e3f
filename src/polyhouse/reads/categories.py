"""Category analytics: how much is traded where, by how many, and whether anybody wins there (docs/specialists.md)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from polyhouse.domain.categories import CATEGORIES, CATEGORY_VERSION
from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.metrics.exact import nine
from polyhouse.metrics.winnable import Facts, judge
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.totals import OVERALL, WINDOWS

_COUNTS = ("wallets", "traders", "ranked", "winners", "specialists", "elites")
_MONEY = ("pnl", "gains", "losses_abs", "fees", "volume", "top10_volume", "top10_gains")
_FLOATS = ("median_omega", "elite_omega", "elite_clv", "elite_per_hour")


def categories(warehouse: Warehouse, *, window: str = "lifetime") -> dict[str, Any]:
    """The categories, and per category what it is like to bet there.

    ``rows`` has one entry per category and one for ``overall``. ``winnable`` has the verdict of the seed's rule with
    its parts: each has ``value``, ``least``, ``points``, ``most``; ``score`` is None while a part is unknown.

    Args:
        warehouse: the open warehouse.
        window: ``30d``, ``90d``, ``180d`` or ``lifetime``.

    Raises:
        BadInputError: an unknown window.
    """
    if window not in METRIC_WINDOWS:
        raise BadInputError(f"unknown window {window[:40]!r}", hint=f"one of: {' '.join(METRIC_WINDOWS)}")
    result = warehouse.query("SELECT * FROM category_stats WHERE window = {window:String}", {"window": window})
    found = {row["category"]: row for row in (dict(zip(result.columns, r, strict=True)) for r in result.rows)}
    return {
        "categories": list(CATEGORIES),
        "version": CATEGORY_VERSION,
        "overall": OVERALL,
        "windows": list(WINDOWS),
        "window": window,
        "as_of": moment(newest_build_time(warehouse)),
        "rows": [_row(name, found[name]) for name in (OVERALL, *CATEGORIES) if name in found],
    }


def _row(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    counts = {key: int(row[key]) for key in _COUNTS}
    volume = int(row["volume"])
    facts = Facts(
        counts["elites"], _number(row["elite_omega"]), _number(row["elite_clv"]), _number(row["elite_per_hour"]),
        money(volume) or Decimal(0),
    )  # fmt: skip
    return {
        "category": name,
        **counts,
        **{key: money(row[key]) for key in _MONEY},
        **{key: _number(row[key]) for key in _FLOATS},
        "winner_share": nine(counts["winners"], counts["ranked"]) if counts["ranked"] else None,
        "omega": nine(int(row["gains"]), int(row["losses_abs"])) if row["losses_abs"] else None,
        "top10_volume_share": nine(int(row["top10_volume"]), volume) if volume else None,
        "volume_hhi": _number(row["volume_squares"]) if volume else None,
        "winnable": judge(facts).document(),
    }


def _number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(float(value)))
