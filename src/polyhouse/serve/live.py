"""How far the store is: one look a second for all who wait for news of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from polyhouse.ports import Warehouse

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the store is.

    Attributes:
        event: id of the newest event of the feed.
        build: number of the newest build.
        as_of: its newest ledger row, Unix seconds.
    """

    event: int = 0
    build: int = 0
    as_of: int = 0


def read_progress(warehouse: Warehouse) -> Progress:
    """How far the store is now."""
    event, (build, as_of) = warehouse.query(
        "SELECT (SELECT max(id) FROM feed), (SELECT (max(build), toUnixTimestamp(max(as_of))) FROM builds)"
    ).rows[0]
    return Progress(int(event), int(build), int(as_of))


class News:
    """Waits for news. The store is asked once a second, however many wait, and not at all while nobody does.

    Args:
        look: how far the store is now.
        seconds: between two looks.
    """

    def __init__(self, look: Callable[[], Awaitable[Progress]], seconds: float = LOOK_SECONDS) -> None:
        self._look = look
        self._seconds = seconds
        self._seen = Progress()
        self._seen_at = float("-inf")
        self._turn = asyncio.Lock()

    async def after(self, known: Progress) -> Progress:
        """How far the store is, as soon as that is not what the caller knows.

        Raises:
            PolyhouseError: the store does not answer.
        """
        while True:
            seen = await self._latest()
            if seen != known:
                return seen
            await asyncio.sleep(self._seconds)

    async def _latest(self) -> Progress:
        now = asyncio.get_running_loop().time
        async with self._turn:
            if now() - self._seen_at >= self._seconds:
                self._seen = await self._look()
                self._seen_at = now()
        return self._seen
