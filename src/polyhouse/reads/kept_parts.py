"""Parts of documents that only a build changes, kept between two builds.

A wallet's document is asked for again whenever a row of the wallet or the name of an outcome came. Nine tenths of it
are what the newest build says, and planning those reads is what the document costs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse
from polyhouse.reads.parts import Row

Parts = dict[str, list[Row]]
MOST_ROWS = 50_000
"""Of all that is kept of one store: some 50 MB."""


class KeptParts:
    """Parts by what was asked; the least used go first. Holds nothing across a build."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark: tuple[int, int] | None = None
        self._kept: OrderedDict[Hashable, Parts] = OrderedDict()
        self._rows = 0

    def get(self, key: Hashable, mark: tuple[int, int]) -> Parts | None:
        """What was kept under this mark."""
        with self._lock:
            if mark != self._mark:
                return None
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Hashable, mark: tuple[int, int], parts: Parts) -> None:
        """Keep what was read since ``mark`` was taken; whatever another mark told is forgotten."""
        with self._lock:
            if mark != self._mark:
                self._mark, self._rows = mark, 0
                self._kept.clear()
            self._rows += _rows(parts) - _rows(self._kept.pop(key, {}))
            self._kept[key] = parts
            while self._rows > MOST_ROWS:
                self._rows -= _rows(self._kept.popitem(last=False)[1])


_of_store: WeakKeyDictionary[object, KeptParts] = WeakKeyDictionary()
_creating = threading.Lock()


def with_kept(
    warehouse: Warehouse,
    key: Hashable,
    built: Mapping[str, str],
    read: Callable[[Collection[str]], Parts],
) -> Parts:
    """All parts of a document: those that only builds change from what is kept, if they are, the others read.

    Only where this process makes every change itself: on servers all parts are read.

    Args:
        warehouse: where the parts are read.
        key: names what the parts are about.
        built: names of the parts that only a build changes, and the table that each reads.
        read: reads all parts but the named ones.
    """
    changes = getattr(warehouse, "changes", None)
    if changes is None or not getattr(warehouse, "is_embedded", False):
        return read(())
    mark = (changes.publication, changes.of_tables(*built.values()))
    with _creating:
        kept = _of_store.setdefault(changes, KeptParts())
    known = kept.get(key, mark)
    if known is not None:
        return known | read(built)
    found = read(())
    if mark[0] % 2 == 0:  # else tables were being exchanged, and what was read may be of two builds
        kept.put(key, mark, {name: found[name] for name in built})
    return found


def _rows(parts: Parts) -> int:
    return sum(len(rows) + 1 for rows in parts.values())
