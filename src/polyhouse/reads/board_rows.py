"""A board: the wallets of one category and window as columns, and some of its rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from polyhouse.reads.board_columns import Array
from polyhouse.reads.board_shelf import Shelf

T = TypeVar("T")
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Slice:
    """Which wallets: one category, one window, and of those all, or the ones with enough closed bets to be ranked."""

    category: str
    window: str
    enough: bool


class Rows(Protocol):
    """Columns of some rows of a board by their name."""

    def __getitem__(self, name: str) -> Array: ...


@dataclass(frozen=True, slots=True)
class Some:
    """Rows of a board by their places."""

    board: Board
    places: Array

    def __getitem__(self, name: str) -> Array:
        some: Array = self.board.columns[name][self.places]
        return some


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of a board from one place to another."""

    board: Board
    start: int
    end: int

    def __getitem__(self, name: str) -> Array:
        rows: Array = self.board.columns[name][self.start : self.end]
        return rows

    @property
    def as_of(self) -> int:
        """That of the board."""
        return self.board.as_of

    def at(self, places: Array) -> Some:
        """Some of these rows, counted from the first one."""
        return Some(self.board, places + self.start)


@dataclass(eq=False, slots=True)
class Board:
    """The rows of one slice as of one build, sorted by address: what one question needs of it.

    Attributes:
        build: number of the build, as_of: end of its windows (Unix seconds).
        wallets: addresses of 20 bytes (dtype S20: compare and search, but take bytes with ``wallet``).
        columns: by name; counts are unsigned of 32 bits: widen them before they are added or negated.
    """

    part: Slice
    build: int
    as_of: int
    wallets: Array
    columns: dict[str, Array]
    shelf: Shelf

    def __len__(self) -> int:
        return len(self.wallets)

    def wallet(self, place: int) -> bytes:
        """The address of a row."""
        return bytes(self.wallets[place].ljust(20, b"\0"))

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def at(self, places: Array | list[int]) -> Some:
        """Some rows."""
        return Some(self, np.asarray(places, np.int64))

    def blocks(self) -> Iterator[Block]:
        """All rows in blocks: what is computed of one stays in the processor's cache, and needs no new memory."""
        for start in range(0, len(self), _BLOCK_ROWS):
            yield Block(self, start, start + _BLOCK_ROWS)

    def once(self, name: Hashable, make: Callable[[], T], size: int | None = None) -> T:
        """What ``make`` made of this board for an earlier question, or makes now.

        Args:
            name: of what is made.
            make: makes it; not None.
            size: bytes that it takes; None of an array, which knows.
        """
        key = self.part, self.build
        made: Any = self.shelf.find(key, name)
        if made is None:
            made = make()
            self.shelf.put(key, name, made.nbytes if size is None else size, made)
        found: T = made
        return found
