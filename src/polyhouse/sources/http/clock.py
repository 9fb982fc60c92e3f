"""The real clock; tests put a simulated one in its place."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Wall clock, monotonic clock and sleep of this machine (``ports.Clock``)."""

    def time(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking other tasks."""
        await asyncio.sleep(seconds)
