"""Merges wait until a build of all wallets has written its tables.

Such a build writes each row once and in the order of its table, so that parts do not overlap. Merging them meanwhile
changes nothing that it reads, and the more parts there are the more often each row is copied: positions, units and
totals of 6,000,000 fills took 4.6 µs of CPU a fill with merges and 2.5 without. They are merged when the tables are
published, by the engine and in its own time.
"""

from __future__ import annotations

from collections.abc import Iterable

from polyhouse.ports import Warehouse

LEAST_ROWS, MOST_ROWS = 2_000_000, 200_000_000
"""Observations between which merges wait: of 4 slices nothing is merged anyway, and from 1,000 parts on, which 1,000
slices make, the engine slows inserts down.
"""


def pause_merges(warehouse: Warehouse, rows: int, tables: Iterable[str]) -> None:
    """Have the embedded engine merge no parts of these tables until ``resume_merges``, or until this process ends.

    A server would go on waiting if this process were killed, so there nothing waits.

    Args:
        warehouse: the engine.
        rows: observations that are built.
        tables: what is written.
    """
    _command(warehouse, "STOP", rows, tables)


def resume_merges(warehouse: Warehouse, rows: int, tables: Iterable[str]) -> None:
    """Merge the parts of these tables again. Arguments as for ``pause_merges``."""
    _command(warehouse, "START", rows, tables)


def _command(warehouse: Warehouse, word: str, rows: int, tables: Iterable[str]) -> None:
    if LEAST_ROWS <= rows <= MOST_ROWS and getattr(warehouse, "is_embedded", False):
        for table in tables:
            warehouse.command(f"SYSTEM {word} MERGES {table}")
