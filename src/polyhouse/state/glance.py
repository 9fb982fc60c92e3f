"""One wallet's place in the queue, read so often that it must cost next to nothing.

A server looks before every answer about a wallet whether the registry says something else of it by now. On SQLite that
is one row of a file that is in memory, read in some microseconds by the thread that asks: readers of a write-ahead log
wait for nobody. On a server it is a question like any other, and the caller has to wait for it elsewhere.
"""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import sqlite

from polyhouse.state.schema import wallets
from polyhouse.state.wallets import WalletStore

_SHOWN = (
    wallets.c.status, wallets.c.last_synced_at, wallets.c.last_trade_at, wallets.c.trades_synced, wallets.c.attempts,
    wallets.c.last_error,
)  # fmt: skip
_ROW = str(select(*_SHOWN).where(wallets.c.address == bindparam("address")).compile(dialect=sqlite.dialect()))

Place = tuple[Any, ...] | None
"""What documents show of a wallet's entry; None if it has none."""


class Glance:
    """Looks at single wallets; for one thread at a time.

    Args:
        state: the open store; it stays open as long as this.
    """

    def __init__(self, state: WalletStore) -> None:
        self._state = state
        self._file: sqlite3.Connection | None = None
        if state.file:
            place = f"file:{quote(state.file)}?mode=ro"
            self._file = sqlite3.connect(place, uri=True, timeout=0, isolation_level=None, check_same_thread=False)

    def now(self, address: bytes) -> tuple[Place] | None:
        """What is committed about a wallet (20 bytes), without waiting; None if that cannot be told without."""
        if self._file is None:
            return None
        try:
            return (self._file.execute(_ROW, (address,)).fetchone(),)
        except sqlite3.OperationalError:
            return None  # somebody tidies the file up: the road that may wait tells

    def wait(self, address: bytes) -> Place:
        """The same, waiting if need be.

        Raises:
            RetryableError: the store does not answer.
        """
        record = self._state.wallet(address)
        return None if record is None else tuple(getattr(record, column.name) for column in _SHOWN)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
