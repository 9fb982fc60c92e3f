"""What is kept of boards in memory, up to so many bytes: what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Shelf:
    """Kept columns, orders and the like by board and name; every board has a base, which goes last.

    Attributes:
        most_bytes: of all that is kept; the base of the board that was used last is kept in any case.
        forgotten: how many things had to go to make room for others: those are made again for who asks for them.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.forgotten = 0
        self._kept: OrderedDict[tuple[Hashable, Hashable], tuple[int, Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def base(self, board: Hashable) -> Any:
        """The base of a board; None = it is not kept."""
        with self._lock:
            return self._kept.get((board, None), (0, None))[1]

    def put_base(self, board: Hashable, size: int, base: Any, *, instead_of: Callable[[Any], bool]) -> None:
        """Keep the base of a board, and forget everything of the boards that it stands instead of."""
        with self._lock:
            for key in [key for key in self._kept if instead_of(key[0])]:
                self._bytes -= self._kept.pop(key)[0]
            self._put((board, None), size, base)

    def find(self, board: Hashable, name: Hashable) -> Any:
        """What is kept of a board under a name; None = nothing."""
        with self._lock:
            found = self._kept.get((board, name))
            if found is None:
                return None
            self._used(board, name)
            return found[1]

    def put(self, board: Hashable, name: Hashable, size: int, value: Any) -> None:
        """Keep something of a board, unless its base was forgotten meanwhile.

        Args:
            board: the board.
            name: of what is kept; not None.
            size: bytes that it takes.
            value: not None.
        """
        with self._lock:
            if (board, None) in self._kept:
                self._put((board, name), size, value)

    def boards(self) -> list[tuple[Any, list[Any]]]:
        """The boards, the one used last first, and the names under which something is kept of each."""
        with self._lock:
            names: dict[Any, list[Any]] = {}
            for board, name in reversed(self._kept):
                names.setdefault(board, []).extend([] if name is None else [name])
        return list(names.items())

    def held(self) -> int:
        """Bytes of all that is kept."""
        with self._lock:
            return self._bytes

    def _put(self, key: tuple[Hashable, Hashable], size: int, value: Any) -> None:
        self._bytes += size - self._kept.pop(key, (0, None))[0]
        self._kept[key] = size, value
        self._used(*key)
        while self._bytes > self.most_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1][0]
            self.forgotten += 1

    def _used(self, board: Hashable, name: Hashable) -> None:
        self._kept.move_to_end((board, name))
        # The base is the youngest of its board: nothing is kept of a board without it.
        self._kept.move_to_end((board, None))
