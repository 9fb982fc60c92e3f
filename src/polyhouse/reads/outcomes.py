"""Names of the outcomes of conditions, as the markets' sources give them."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.unchanged import changes_of, while_unchanged

Names = dict[bytes, tuple[str, ...]]
MOST_NAMES = 100_000
"""Conditions of one store whose names are kept: some 20 MB."""
_AT_ONCE = 5_000
_ASKED = (
    "SELECT condition, argMax(outcomes, length(outcomes)) FROM markets FINAL"
    " WHERE condition IN (SELECT unhex(arrayJoin({conditions:Array(String)}))) GROUP BY condition"
)
_adding = threading.Lock()


def outcome_names(warehouse: Warehouse, conditions: Collection[bytes]) -> Names:
    """The names of the outcomes of each condition; none for those that no source has described.

    Many wallets hold the same markets: of an embedded store names are kept until a market is written.
    """
    kept: Names = while_unchanged(warehouse, "outcome names", ("markets",), dict)
    wanted = dict.fromkeys(conditions)
    found = {condition: kept[condition] for condition in wanted if condition in kept}
    unknown = [condition for condition in wanted if condition not in found]
    new: Names = dict.fromkeys(unknown, ())
    for start in range(0, len(unknown), _AT_ONCE):
        asked = [condition.hex() for condition in unknown[start : start + _AT_ONCE]]
        rows = warehouse.query(_ASKED, {"conditions": asked}).rows
        new.update((bytes(condition), _texts(names)) for condition, names in rows)
    if changes_of(warehouse) is not None:
        with _adding:
            if len(kept) + len(new) > MOST_NAMES:
                kept.clear()
            kept.update(new)
    return found | new


def _texts(names: Collection[Any]) -> tuple[str, ...]:
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
