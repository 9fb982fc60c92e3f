"""What a cursor walk remembers: the cursors it has seen, and the counters of the second it stands in.

The feeds carry no row id. A row is told apart by its place inside its second and by its ordinal among equal rows. Both
are counted here, and the counters of the second at the edge of a page travel in the position, so that they come out
the same however the walk was cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from polyhouse.errors import UpstreamContractError

_REMEMBERED = 8


def digest(value: object) -> str:
    """16 hex digits that stand for a value in a position; the same in every process."""
    return blake2b(repr(value).encode("utf-8", "replace"), digest_size=8).hexdigest()


def without_digest(position: Mapping[str, Any]) -> Mapping[str, Any]:
    """The position of a finished walk without the digest (``tail``) of its newest rows, by which the next walk knows
    that nothing changed. Positions without one are returned as they are.
    """
    if not isinstance(position.get("tail"), str):
        return position
    return {key: value for key, value in position.items() if key != "tail"}


class CursorGuard:
    """Refuses a cursor that came before: a walk in a circle would never end (upstream.md §1)."""

    def __init__(self, where: str, seen: Any = None) -> None:
        self._where = where
        self._tail: list[str] = [text for text in seen if isinstance(text, str)] if isinstance(seen, list) else []
        self._all = set(self._tail)

    def pass_on(self, cursor: str) -> str:
        """The same cursor, remembered.

        Raises:
            UpstreamContractError: it was handed out before in this walk.
        """
        mark = digest(cursor)
        if mark in self._all:
            raise UpstreamContractError(f"{self._where}: the upstream repeated a page cursor")
        self._all.add(mark)
        self._tail = [*self._tail[1 - _REMEMBERED :], mark]
        return cursor

    @property
    def tail(self) -> list[str]:
        """Digests of the last few cursors, for the position."""
        return list(self._tail)


class PageGuard:
    """Refuses a page that repeats the one before it: the cursor moved, but rows were withheld.

    Args:
        where: for the error.
        smallest: pages of fewer rows may be equal by chance.
    """

    def __init__(self, where: str, *, smallest: int = 1) -> None:
        self._where = where
        self._smallest = smallest
        self._last: Sequence[Any] = ()

    def check(self, rows: Sequence[Any]) -> None:
        """Compare with the page before; rows that could not be read (None) are like any.

        Raises:
            UpstreamContractError: the same rows came twice in a row.
        """
        if self._are_the_last(rows):
            raise UpstreamContractError(f"{self._where}: the upstream sent the same page twice")
        self._last = rows

    def _are_the_last(self, rows: Sequence[Any]) -> bool:
        if len(rows) != len(self._last):
            return False
        readable = 0
        for row, before in zip(rows, self._last, strict=True):
            if row is not None and before is not None:
                if row != before:
                    return False
                readable += 1
        return readable >= self._smallest


class SecondCounter:
    """Places and ordinals inside the current second of a walk.

    Args:
        saved: what ``dump`` returned at the edge of the page before, or nothing.
    """

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {}
        self.ts = int(saved.get("ts", 0))
        self._places: dict[str, int] = dict(saved.get("places", {}))
        self._edge: dict[str, int] = dict(saved.get("same", {}))
        self._same: dict[Hashable, int] = {}

    def place(self, ts: int, group: str = "") -> int:
        """0-based place of the next row of ``group`` inside second ``ts``; a new second starts anew."""
        if ts != self.ts:
            self.ts = ts
            self._places = {}
            self._same = {}
            if self._edge:
                self._edge = {}
        place = self._places.get(group, 0)
        self._places[group] = place + 1
        return place

    def ordinal(self, row: Hashable) -> int:
        """0 for the first of the rows equal to this one inside the current second, 1 for the next, …"""
        count = self._same.get(row)
        if count is None:
            count = self._edge.get(digest(row), 0) if self._edge else 0
        self._same[row] = count + 1
        return count

    def follow(
        self, times: Sequence[int], rows: Sequence[Hashable], parts: Sequence[Hashable]
    ) -> tuple[list[int], list[int]]:
        """``place`` and ``ordinal`` of rows that come one after the other, in ascending order of time.

        Equal rows are rare: where there are none, only those of the last second have to be remembered.

        Args:
            times: second of each row.
            rows: what ``ordinal`` compares.
            parts: a part of each that most of them differ in, which is cheaper to compare.
        """
        are_different = len(set(parts)) == len(rows) or len(set(rows)) == len(rows)
        if times[0] == self.ts or not are_different:
            counted = [(self.place(ts), self.ordinal(row)) for ts, row in zip(times, rows, strict=True)]
            return [place for place, _ in counted], [ordinal for _, ordinal in counted]
        last = bisect_left(times, times[-1])
        places, at, place = [], None, 0
        for ts in times:
            place = place + 1 if ts == at else 0
            at = ts
            places.append(place)
        self.ts, self._places, self._edge = times[-1], {"": len(times) - last}, {}
        self._same = dict.fromkeys(rows[last:], 1)
        return places, [0] * len(times)

    def dump(self) -> dict[str, Any]:
        """The counters as a JSON object."""
        same = self._edge | {digest(row): count for row, count in self._same.items()}
        return {"ts": self.ts, "places": dict(self._places), "same": same}
