"""The taker-only view of a trades feed, read just as far as the full view next to it needs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import UpstreamContractError
from polyhouse.sources.data_api.envelope import RowsPage
from polyhouse.sources.walk import CursorGuard


class _Timed(Protocol):
    timestamp: int


R = TypeVar("R", bound=_Timed)


@dataclass(slots=True)
class _Seen:
    cursor: str | None
    oldest: int | None
    counts: Counter[Hashable]


class TakerFeed(Generic[R]):
    """How often each row occurs among the takers, for a walk that goes backwards in time.

    Args:
        fetch: cursor → page of the taker-only view.
        key: what identifies a row in both views.
        mark: cursor of the first page that is still needed, None = the head.
        where: for errors.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Awaitable[RowsPage[R]]],
        key: Callable[[R], Hashable],
        mark: str | None,
        where: str,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._next: str | None = mark
        self._done = False
        self._pages: deque[_Seen] = deque()
        self._where = where
        self._guard = CursorGuard(where)

    @property
    def mark(self) -> str | None:
        """Cursor of the first page that rows not yet seen may need."""
        return self._pages[0].cursor if self._pages else self._next

    async def cover(self, ts: int) -> int:
        """Read on until every taker row of second ``ts`` and later is known; how many rows that took."""
        read = 0
        while not self._done and not (self._pages and self._reached(ts)):
            page = await self._fetch(self._next)
            # Rows with impossible times are in quarantine by the full view; here they must not steer the walk.
            rows = [row for row in page.rows if row is not None and MIN_TIME <= row.timestamp <= MAX_TIME]
            self._check_order(rows)
            counts = Counter(self._key(row) for row in rows)
            self._pages.append(_Seen(self._next, rows[-1].timestamp if rows else None, counts))
            read += page.fetched
            if page.cursor is None:
                self._done = True
            else:
                self._next = self._guard.pass_on(page.cursor)
        return read

    def _check_order(self, rows: list[R]) -> None:
        """A page that repeats or jumps back would count takers twice."""
        times = [row.timestamp for row in rows]
        if self._pages and self._pages[-1].oldest is not None:
            times.insert(0, self._pages[-1].oldest)
        if any(later > earlier for earlier, later in pairwise(times)):
            raise UpstreamContractError(f"{self._where}: rows are not in descending order of time")

    def _reached(self, ts: int) -> bool:
        oldest = self._pages[-1].oldest
        return oldest is not None and oldest < ts

    def count(self, key: Hashable) -> int:
        """How many taker rows are equal to this one."""
        return sum(page.counts.get(key, 0) for page in self._pages)

    def forget_before(self, ts: int) -> None:
        """Drop pages that hold only seconds after ``ts`` (the walk goes backwards and has passed them)."""
        while len(self._pages) > 1 and (self._pages[0].oldest is None or self._pages[0].oldest > ts):
            self._pages.popleft()
