"""Names of the outcomes of conditions, as the markets' sources give them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Any
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse
from polyhouse.reads.unchanged import changes_of

Names = dict[bytes, tuple[str, ...]]
MOST_NAMES = 100_000
"""Conditions of one store whose names are kept: some 20 MB."""
_AT_ONCE = 5_000
_ASKED = (
    "SELECT condition, argMax(outcomes, length(outcomes)) FROM markets FINAL"
    " WHERE condition IN (SELECT unhex(arrayJoin({conditions:Array(String)}))) GROUP BY condition"
)
_kept: WeakKeyDictionary[Any, OrderedDict[bytes, tuple[int, tuple[str, ...]]]] = WeakKeyDictionary()
"""By the changes of a store: condition → what had been changed of it, and its names then."""
_keeping = threading.Lock()


def outcome_names(warehouse: Warehouse, conditions: Collection[bytes]) -> Names:
    """The names of the outcomes of each condition; none for those that no source has described.

    Many wallets hold the same markets: of an embedded store names are kept until something is written of the market.
    """
    changes = changes_of(warehouse)
    if changes is None:
        return _asked(warehouse, list(dict.fromkeys(conditions)))
    seen = {condition: changes.of_condition(condition) for condition in conditions}
    with _keeping:
        kept = _kept.setdefault(changes, OrderedDict())
        known = {one: kept[one][1] for one, number in seen.items() if one in kept and kept[one][0] == number}
        for one in known:
            kept.move_to_end(one)
    new = _asked(warehouse, [one for one in seen if one not in known])
    with _keeping:
        kept.update((one, (seen[one], names)) for one, names in new.items())
        while len(kept) > MOST_NAMES:
            kept.popitem(last=False)
    return known | new


def _asked(warehouse: Warehouse, conditions: list[bytes]) -> Names:
    found: Names = dict.fromkeys(conditions, ())
    for start in range(0, len(conditions), _AT_ONCE):
        asked = [condition.hex() for condition in conditions[start : start + _AT_ONCE]]
        rows = warehouse.query(_ASKED, {"conditions": asked}).rows
        found.update((bytes(condition), _texts(names)) for condition, names in rows)
    return found


def _texts(names: Collection[Any]) -> tuple[str, ...]:
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
