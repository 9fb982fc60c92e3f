"""Lists of the Data API that hide an offset behind their cursor: holders, leaderboards (upstream.md §2).

Rows of such a list may repeat or be skipped while it moves, and it may end at a wall: a depth beyond which the
upstream gives nothing. A wall is no end. It shows as a cursor that the upstream has just handed out and refuses twice
at the same depth; the walk then ends with what it has and says so in its last position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Generic, TypeVar

from polyhouse.errors import CursorRejectedError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.data_api.envelope import RowsPage
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard

T = TypeVar("T")

WALL = "wall"
"""Key of the last position: rows that had been read when the upstream refused to go deeper."""
FULL = "full"
"""Key of the last position: lists that end where a page ends or at a round length, by name, with their length: they
may have been cut there."""
_ROUND = 500


def may_be_cut(rows: int, depth: int, served: int) -> bool:
    """Whether a list that ends with ``rows`` rows after ``depth`` others looks cut; a page has ``served`` rows."""
    return rows > 0 and (rows >= served or (depth + rows) % _ROUND == 0)


class OffsetList(ABC, Generic[T]):
    """A walk that keeps its cursor and its depth, and starts anew after it was complete.

    Positions: ``{"cursor", "seen", "depth"}`` inside a walk, with ``refused_at`` = depth at which a cursor was refused
    before; ``{"done_at"}`` after a complete one, with ``WALL`` and ``FULL`` where there is something to say.
    """

    name = ""
    _path = ""

    def __init__(self, client: HttpClient, *, page_limit: int = 1_000) -> None:
        self._client = client
        self._page_limit = page_limit

    def restart_position(self, position: Position) -> Position:
        """From the beginning, remembering the depth at which the upstream refused its own cursor."""
        depth = int(position.get("depth", 0))
        return {"refused_at": depth} if depth else {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        guard, same = CursorGuard(where, position.get("seen")), PageGuard(where)
        cursor: str | None = position.get("cursor")
        depth, refused_at = int(position.get("depth", 0)), int(position.get("refused_at", 0))
        params = {**self._params(partition), "limit": self._page_limit}
        while True:
            try:
                page = await self._client.get(self._path, {**params, "cursor": cursor}, self._decoder(where))
            except CursorRejectedError:
                if not depth or depth != refused_at:
                    raise
                yield Page({}, {**self._done(), WALL: depth}, is_last=True, fetched=0, notes={"walls": 1})
                return
            same.check(page.rows)
            cursor = page.cursor
            served = min(self._page_limit, page.limit or self._page_limit)
            after: dict[str, Any] = self._done()
            if cursor is not None:
                after = {"cursor": guard.pass_on(cursor), "seen": guard.tail, "depth": depth + served}
                if refused_at:
                    after["refused_at"] = refused_at
            yield self._page(page, partition, after, depth, served)
            if cursor is None:
                return
            depth += served

    def _done(self) -> dict[str, Any]:
        return {"done_at": int(self._client.clock.time())}

    @abstractmethod
    def _params(self, partition: Partition) -> Mapping[str, Any]:
        """Filters of the request."""

    @abstractmethod
    def _decoder(self, where: str) -> Callable[[bytes], RowsPage[T]]:
        """Decodes one answer."""

    @abstractmethod
    def _page(self, page: RowsPage[T], partition: Partition, after: Position, depth: int, served: int) -> Page:
        """Turns one answer into a page; ``depth`` rows of each list came before it, ``served`` is the page's size."""
