"""Parts of documents that only a build changes, kept between two builds.

A wallet's document is asked for again whenever a row of the wallet or the name of an outcome came. Nine tenths of it
are what the newest build says.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse
from polyhouse.reads.unchanged import changes_of

B = TypeVar("B")
F = TypeVar("F")
MOST_ROWS = 50_000
"""Of all that is kept of one store: some 50 MB."""


class KeptParts:
    """What builds left, by what was asked; the least used go first. Holds nothing across a build."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark: tuple[int, int] | None = None
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._rows = 0

    def get(self, key: Hashable, mark: tuple[int, int]) -> Any:
        """What was kept under this mark; None = nothing."""
        with self._lock:
            if mark != self._mark or key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def put(self, key: Hashable, mark: tuple[int, int], rows: int, parts: Any) -> None:
        """Keep what was read since ``mark`` was taken; whatever another mark told is forgotten."""
        with self._lock:
            if mark != self._mark:
                self._mark, self._rows = mark, 0
                self._kept.clear()
            self._rows += rows - self._kept.pop(key, (0, None))[0]
            self._kept[key] = rows, parts
            while self._rows > MOST_ROWS:
                self._rows -= self._kept.popitem(last=False)[1][0]


_of_store: WeakKeyDictionary[object, KeptParts] = WeakKeyDictionary()
_creating = threading.Lock()


def with_kept(
    warehouse: Warehouse,
    key: Hashable,
    tables: tuple[str, ...],
    anew: Callable[[], tuple[B, F]],
    fresh: Callable[[], F],
    size: Callable[[B], int],
) -> tuple[B, F]:
    """What only builds change, from what is kept if it is, and what else there is, which is always read.

    Only where this process makes every change itself: on servers all is read.

    Args:
        warehouse: where the parts are read.
        key: names what the parts are about.
        tables: those of the parts that only builds change.
        anew: reads both.
        fresh: reads what others change as well.
        size: rows of what is kept.
    """
    changes = changes_of(warehouse)
    if changes is None:
        return anew()
    mark = (changes.publication, changes.of_tables(*tables))
    with _creating:
        kept = _of_store.setdefault(changes, KeptParts())
    known: B | None = kept.get(key, mark)
    if known is not None:
        return known, fresh()
    built, rows = anew()
    if mark[0] % 2 == 0:  # else tables were being exchanged, and what was read may be of two builds
        kept.put(key, mark, size(built), built)
    return built, rows
