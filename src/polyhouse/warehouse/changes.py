"""What this process changed in a store, counted: whoever keeps an answer sees at a glance whether it may be old."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_TARGET = re.compile(
    r"\s*(?:INSERT\s+INTO|(?:ALTER|TRUNCATE|OPTIMIZE|DROP|CREATE)\s+(?:OR\s+REPLACE\s+)?(?:TABLE|VIEW)|DELETE\s+FROM)"
    r"\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(\w+)",
    re.IGNORECASE,
)
_RENAMING = re.compile(r"\s*(?:EXCHANGE\s+TABLES|RENAME\s+TABLE)\s+(.*)", re.IGNORECASE | re.DOTALL)
_CHANGES_NOTHING = re.compile(r"\s*SYSTEM\s+(?:STOP|START)\s+MERGES", re.IGNORECASE)
_GROUPS = 1 << 16
_ADDRESS = re.compile("0x[0-9a-f]{40}")
_OF_WALLETS = {"observations": "wallet", "sync_pages": "partition"}
"""Tables whose rows are about one wallet each, and the column that names it."""
_OF_CONDITIONS = {"markets": "condition"}


class Changes:
    """Counts of acknowledged changes; safe for threads.

    Wallets and conditions are counted in 65,536 groups each, by the last two bytes of their ids: a change of one may
    look like a change of another, never the other way round, and memory does not grow with their number.

    Attributes:
        batches: inserts into observation tables.
        statements: every change, those included.
        publication: odd while model tables are exchanged, another number afterwards.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: Counter[str] = Counter()
        self._wallets, self._conditions = _Groups(), _Groups()
        self.batches = 0
        self.statements = 0
        self.publication = 0

    def note(self, *, is_batch: bool = False, table: str = "", rows: pa.Table | None = None) -> None:
        """One more change, which readers see from now on.

        Args:
            is_batch: rows of a source were written.
            table: where; "" = anywhere.
            rows: what was written; None = anything.
        """
        of_wallets = _ids(rows, _OF_WALLETS.get(table, ""), _named)
        of_conditions = _ids(rows, _OF_CONDITIONS.get(table, ""), bytes)
        with self._lock:
            self.batches += is_batch
            self.statements += 1
            self._tables[table] += 1
            if not table or table in _OF_WALLETS:
                self._wallets.count(of_wallets)
            if not table or table in _OF_CONDITIONS:
                self._conditions.count(of_conditions)

    def note_statement(self, sql: str) -> None:
        """A statement that returned no rows was executed."""
        if _CHANGES_NOTHING.match(sql):
            return
        if renaming := _RENAMING.match(sql):
            for name in set(re.findall(r"\w+", renaming.group(1))) - {"AND", "TO"}:
                self.note(table=name)
            return
        found = _TARGET.match(sql)
        self.note(table=found.group(1) if found else "")

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Meanwhile model tables are exchanged; one at a time."""
        with self._lock:
            self.publication += 1
        try:
            yield
        finally:
            with self._lock:
                self.publication += 1

    def of_tables(self, *names: str) -> int:
        """A number that moves with every change of one of these tables."""
        return sum(self._tables[name] for name in (*names, ""))

    def of_wallet(self, wallet: bytes) -> int:
        """A number that moves with every change of the rows that sources gave of a wallet (20 bytes)."""
        return self._wallets.of(wallet)

    def of_condition(self, condition: bytes) -> int:
        """A number that moves with every change of what sources say of a market."""
        return self._conditions.of(condition)


class _Groups:
    """Counts of changes by the last two bytes of an id."""

    def __init__(self) -> None:
        self._counts = [0] * _GROUPS
        self._all = 0

    def count(self, ids: Collection[bytes] | None) -> None:
        """One more change of each of these; None = of all."""
        if ids is None:
            self._all += 1
        for group in {_group(one) for one in ids or ()}:
            self._counts[group] += 1

    def of(self, one: bytes) -> int:
        """A number that moves with every change of this one."""
        return self._counts[_group(one)] + self._all


def _group(one: bytes) -> int:
    return int.from_bytes(one[-2:], "big")


def _ids(rows: pa.Table | None, column: str, read: Callable[[Any], bytes]) -> list[bytes] | None:
    """What rows are about; None if they do not say."""
    if rows is None or column not in rows.column_names:
        return None
    return [one for one in map(read, rows.column(column).unique().to_pylist()) if one]


def _named(name: Any) -> bytes:
    """An address, or the text by which a partition of a wallet is named; b"" if it is that of something else."""
    if not isinstance(name, str):
        return bytes(name)
    return bytes.fromhex(name[2:]) if _ADDRESS.fullmatch(name) else b""
