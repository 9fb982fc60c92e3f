"""Counts equal rows of a file of any length in bounded memory."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

MAX_IN_MEMORY = 400_000


class RowCounter:
    """Ordinals of equal rows (accounting §1.10, K36) over a whole file, whatever the order of its rows.

    Counts live in a dictionary up to ``max_in_memory`` different rows, then in a temporary database on disk that the
    operating system deletes with the process.
    """

    def __init__(self, max_in_memory: int = MAX_IN_MEMORY) -> None:
        self._max = max_in_memory
        self._recent: dict[bytes, int] = {}
        self._disk: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._disk is not None:
            self._disk.close()

    def ordinal(self, row: tuple[Any, ...]) -> int:
        """0 for the first of the rows equal to this one, 1 for the next, …"""
        key = blake2b(repr(row).encode(), digest_size=16).digest()
        count = self._recent.get(key)
        if count is None:
            count = self._stored(key)
            if len(self._recent) >= self._max:
                self._spill()
        self._recent[key] = count + 1
        return count

    def _stored(self, key: bytes) -> int:
        if self._disk is None:
            return 0
        found = self._disk.execute("SELECT n FROM counts WHERE k = ?", (key,)).fetchone()
        return int(found[0]) if found else 0

    def _spill(self) -> None:
        if self._disk is None:
            # An empty name is a private database in a temporary file.
            self._disk = sqlite3.connect("", isolation_level=None)
            self._disk.execute("PRAGMA journal_mode = OFF")
            self._disk.execute("CREATE TABLE counts (k BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        self._disk.execute("BEGIN")
        self._disk.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?)", sorted(self._recent.items()))
        self._disk.execute("COMMIT")
        self._recent.clear()
