"""One computation for all who ask at the same time, never one that began before somebody asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is computed anew for whoever asks, at most once at a time.

    Callers that meet a running computation wait for the next one, since the running one may have looked before they
    asked; all of them share it. So a caller waits for two computations at most, however many callers there are.

    Args:
        compute: makes the value; an error goes to all callers that share the computation.
    """

    def __init__(self, compute: Callable[[], Awaitable[T]]) -> None:
        self._compute = compute
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The value as of now or later."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_look_at)
        return await asyncio.shield(self._next)  # a caller that goes away takes nobody's answer with it

    async def _after(self, running: asyncio.Task[T] | None) -> T:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._compute()


def _look_at(task: asyncio.Task[T]) -> None:
    """Callers that went away leave an error that nobody else looks at."""
    if not task.cancelled():
        task.exception()
