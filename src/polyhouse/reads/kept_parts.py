"""Parts of documents, kept until somebody changes what they were read from.

A wallet's document is asked for again whenever a row of the wallet came, a build was published, or the name of an
outcome came. Each of them changes only a part of it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse
from polyhouse.reads.unchanged import changes_of

Mark = tuple[int, ...] | None
"""What moves with every change of what was read; None where nobody can tell, so that nothing is kept."""
MOST_ROWS = 50_000
"""Of all that is kept of one store: some 50 MB."""


class KeptParts:
    """What was read of a store, by what was asked; the least used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Mark, int, Any]] = OrderedDict()
        self._rows = 0

    def get(self, key: Hashable, mark: Mark) -> Any:
        """What was kept under this mark; None = nothing."""
        with self._lock:
            known = self._kept.get(key)
            if known is None or mark is None or known[0] != mark:
                return None
            self._kept.move_to_end(key)
            return known[2]

    def put(self, key: Hashable, mark: Mark, rows: int, parts: Any) -> None:
        """Keep what was read since ``mark`` was taken."""
        if mark is None:
            return
        with self._lock:
            self._rows += rows - self._kept.pop(key, (None, 0, None))[1]
            self._kept[key] = mark, rows, parts
            while self._rows > MOST_ROWS:
                self._rows -= self._kept.popitem(last=False)[1][1]


_of_store: WeakKeyDictionary[object, KeptParts] = WeakKeyDictionary()
_creating = threading.Lock()
_NOTHING = KeptParts()


def kept_parts_of(warehouse: Warehouse) -> KeptParts:
    """What is kept of a store; of one on a server, whose marks are None, nothing is."""
    changes = changes_of(warehouse)
    if changes is None:
        return _NOTHING
    with _creating:
        return _of_store.setdefault(changes, KeptParts())


def mark_of_builds(warehouse: Warehouse, *tables: str) -> Mark:
    """The mark of what is read from published tables: it moves with their changes and with every publication."""
    changes = changes_of(warehouse)
    # While tables are exchanged, what is read may be of two builds.
    if changes is None or changes.publication % 2:
        return None
    return changes.publication, changes.of_tables(*tables)


def mark_of_wallet(warehouse: Warehouse, wallet: bytes) -> Mark:
    """The mark of what sources gave of a wallet (20 bytes)."""
    changes = changes_of(warehouse)
    return None if changes is None else (changes.of_wallet(wallet),)
