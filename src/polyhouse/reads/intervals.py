"""Bootstrap intervals of omega and return of one wallet (docs/flags.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.models.questions import Row
from polyhouse.reads.exact import shortest

_BOUNDS = ("omega_low", "omega_high", "roi_low", "roi_high")


def intervals(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """95 % intervals per category and window with 20 to 400 closed bets, ``overall`` first.

    Each has ``category``, ``window``, ``bets``, ``omega_low``, ``omega_high``, ``roi_low`` and ``roi_high``; a bound
    that does not exist is None (nothing won or lost, nothing staked, or no loss in too many replicates).

    Args:
        rows: of ``intervals``.
    """
    windows = tuple(METRIC_WINDOWS)
    ordered = sorted(
        rows, key=lambda row: (row["category"] in CATEGORIES, row["category"], windows.index(row["window"]))
    )
    return [
        {
            "category": row["category"], "window": row["window"], "bets": row["bets"],
            **{name: None if row[name] is None else shortest(row[name]) for name in _BOUNDS},
        }
        for row in ordered
    ]  # fmt: skip
