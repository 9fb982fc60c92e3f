"""What is kept of an embedded store for as long as nobody changed the tables that it was read from.

Nobody but this process changes an embedded store, and the warehouse counts what it changes. On servers other processes
write too, so there everything is read each time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from polyhouse.ports import Warehouse

T = TypeVar("T")
_kept: WeakKeyDictionary[Any, dict[str, tuple[int, Any]]] = WeakKeyDictionary()
"""By the changes of a store: name → what its tables had seen, and what was read then."""
_creating = threading.Lock()


def while_unchanged(warehouse: Warehouse, name: str, tables: tuple[str, ...], read: Callable[[], T]) -> T:
    """What ``read`` returns, read again only when something was written to one of the tables.

    Args:
        warehouse: what is read.
        name: of what is kept.
        tables: that ``read`` reads.
        read: reads them.
    """
    changes = changes_of(warehouse)
    if changes is None:
        return read()
    with _creating:
        of_store = _kept.setdefault(changes, {})
    seen = changes.of_tables(*tables)
    known = of_store.get(name)
    if known is None or known[0] != seen:
        known = of_store[name] = (seen, read())
    value: T = known[1]
    return value


def changes_of(warehouse: Warehouse) -> Any:
    """What counts the changes of a store that this process alone changes; None of any other."""
    return getattr(warehouse, "changes", None) if getattr(warehouse, "is_embedded", False) else None
