"""What a document was made from, as a word: two states of the same document have different ones."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from polyhouse.domain.ids import parse_address
from polyhouse.reads.builds import Marks
from polyhouse.state.glance import Glance, Place
from polyhouse.wiring import Stores

BY_BUILD = frozenset({"leaderboard", "specialists", "categories", "wallet_days", "wallet_metrics", "wallet_trades"})
"""Documents that depend on the newest build alone."""
_READ_BY_WALLETS = ("markets", "coverage", "chain_blocks")
"""Tables besides a wallet's own rows that its document reads and that no build makes."""


class Versions:
    """Versions of the documents of one server.

    Args:
        stores: what is read.
        run: runs something that blocks in a thread.
    """

    def __init__(self, stores: Stores, run: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
        self._changes = stores.warehouse.changes
        self._is_embedded = stores.warehouse.is_embedded
        self._glance = Glance(stores.state)
        self._run = run
        self._start = f"{time.time_ns():x}"

    def now(self, name: str, arguments: Mapping[str, Any], marks: Marks) -> str | None:
        """The version of a document, if nobody has to be waited for; else None.

        Raises:
            BadInputError: a malformed address.
        """
        if name != "wallet":
            return self._of_marks(name, arguments, marks)
        wallet = parse_address(str(arguments.get("address", "")))
        seen = self._glance.now(wallet)
        return None if seen is None else self._of_wallet(wallet, arguments, marks, seen[0])

    async def get(self, name: str, arguments: Mapping[str, Any], marks: Marks) -> str:
        """The version of a document.

        Raises:
            BadInputError: a malformed address.
            RetryableError: the state store does not answer.
        """
        known = self.now(name, arguments, marks)
        if known is not None:
            return known
        wallet = parse_address(str(arguments.get("address", "")))
        place: Place = await self._run(lambda: self._glance.wait(wallet))
        return self._of_wallet(wallet, arguments, marks, place)

    def of_figures(self, marks: Marks) -> str:
        """The version of what the warehouse contributes to the status."""
        rows = self._changes.of_tables("markets") if self._is_embedded else marks.batches
        return f"{marks.build:x}.{rows:x}"

    def close(self) -> None:
        """Close what is open for looking at single wallets."""
        self._glance.close()

    def _of_marks(self, name: str, arguments: Mapping[str, Any], marks: Marks) -> str:
        if name in BY_BUILD and not arguments.get("as_of"):
            return f"{marks.build:x}"
        return f"{marks.build:x}.{self._start}.{marks.batches:x}"

    def _of_wallet(self, wallet: bytes, arguments: Mapping[str, Any], marks: Marks, place: Place) -> str:
        digest = hashlib.blake2b(repr(place).encode(), digest_size=8).hexdigest()
        if not self._is_embedded or arguments.get("as_of"):
            return f"{self._of_marks('wallet', arguments, marks)}.{digest}"
        rows, others = self._changes.of_wallet(wallet), self._changes.of_tables(*_READ_BY_WALLETS)
        return f"{marks.build:x}.{self._start}.{rows:x}.{others:x}.{digest}"
