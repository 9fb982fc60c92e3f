"""Whether anything has changed since the last look, cheaply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from polyhouse.reads.builds import Marks, read_marks
from polyhouse.serve.coalesce import Fresh

if TYPE_CHECKING:
    from polyhouse.warehouse import ClickHouseWarehouse


class Watch:
    """The marks of a store, read again only if a build was published.

    The process that has an embedded store open is the only one that writes, so its own counters tell. Where the store
    is a server, it is asked each time, once for all who want to know at the same time.

    Args:
        warehouse: the store.
        run: runs something that blocks in a thread.
        on_build: is called, without waiting, when a build was published since the last look.
    """

    def __init__(
        self,
        warehouse: ClickHouseWarehouse,
        run: Callable[[Callable[[], Any]], Awaitable[Any]],
        on_build: Callable[[], object],
    ) -> None:
        self._warehouse = warehouse
        self._on_build = on_build
        self._read = Fresh(lambda: run(self._look))
        self._seen = -1
        self._marks: Marks | None = None

    def now(self) -> Marks | None:
        """The marks as of now, None if somebody has to be asked for them."""
        known, changes = self._marks, self._warehouse.changes
        if known is None or not self._warehouse.is_embedded or self._seen != changes.of_tables("builds"):
            return None
        return known if known.batches == changes.batches else replace(known, batches=changes.batches)

    async def marks(self) -> Marks:
        """Not older than this call."""
        known = self.now()
        if known is not None:
            return known
        found: Marks = await self._read()
        return found

    def _look(self) -> Marks:
        # The counters first: what is written meanwhile makes the next look read again.
        seen, batches = self._warehouse.changes.of_tables("builds"), self._warehouse.changes.batches
        marks = read_marks(self._warehouse, batches if self._warehouse.is_embedded else None)
        known, self._marks, self._seen = self._marks, marks, seen
        if known is not None and known.build != marks.build:
            self._on_build()
        return marks
