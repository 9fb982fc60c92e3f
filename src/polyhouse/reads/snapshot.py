"""Documents of one state: what is made of several statements is made again if a build was published meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from polyhouse.errors import WarehouseUnavailableError
from polyhouse.ports import Warehouse

T = TypeVar("T")
TRIES = 8
PATIENCE_SECONDS = 5.0
"""How long a publication that is under way is waited for. It takes milliseconds; on a cluster up to a second."""
_LOOK_SECONDS = 0.002
_SHOWN = (
    "SELECT (SELECT max(build) FROM builds), (SELECT countIf(NOT is_done) FROM publications FINAL),"
    " (SELECT sum(sipHash64(uuid)) FROM system.tables WHERE database = currentDatabase() AND name IN ('ledger',"
    " 'token_map', 'positions', 'units', 'wallet_totals', 'wallet_metrics_complete', 'category_stats'))"
)


def of_one_state(warehouse: Warehouse, read: Callable[[], T]) -> T:
    """What ``read`` returns, all of it from before a publication or all of it from after.

    Args:
        warehouse: what is read.
        read: reads it, and changes nothing.

    Raises:
        WarehouseUnavailableError: builds are published faster than this is read.
    """
    for _ in range(TRIES):
        before = _settled(warehouse)
        found = read()
        if _look(warehouse) == before:
            return found
    raise WarehouseUnavailableError(
        "The models changed again and again while they were read.", hint="ask again, or for less at once"
    )


def _settled(warehouse: Warehouse) -> tuple[int, ...]:
    """What readers see, when no publication is under way; one whose process died does not hold readers up for long."""
    until = time.monotonic() + PATIENCE_SECONDS
    mark = _look(warehouse)
    while _is_under_way(mark) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        mark = _look(warehouse)
    return mark


def _look(warehouse: Warehouse) -> tuple[int, ...]:
    changes = getattr(warehouse, "changes", None)
    if changes is not None and getattr(warehouse, "is_embedded", False):
        return (int(changes.publication),)
    return tuple(int(number) for number in warehouse.query(_SHOWN).rows[0])


def _is_under_way(mark: tuple[int, ...]) -> bool:
    return bool(mark[0] % 2) if len(mark) == 1 else bool(mark[1])
