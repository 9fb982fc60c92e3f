"""Two-stage stop: the first Ctrl-C or SIGTERM ends the run at the next page, the second one ends it now."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from polyhouse.cli.base import say
from polyhouse.failpoints import reach

T = TypeVar("T")


class Stopper:
    """Turns signals into the ``stop`` event of the sync engine and remembers which signal it was."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.signal: int | None = None

    def install(self) -> None:
        """Take over SIGINT and SIGTERM in the running loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._receive, number)

    def _receive(self, number: int) -> None:
        if self.signal is None:
            self.signal = number
            say("stopping after the current page; once more stops now")
            self.event.set()
            reach("K20")
            return
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h")  # a live bar hides the cursor
        say("stopped; the same command goes on from the last finished page")
        sys.stderr.flush()
        # A write in a worker thread cannot be cancelled. Leaving here is safe: no cursor moves before its rows are
        # acknowledged, so a cut write is repeated.
        os._exit(128 + number)


def run_async(main: Callable[[Stopper], Awaitable[T]]) -> tuple[T, int | None]:
    """Run ``main`` with signals turned into a stop event; returns its result and the signal, if one came."""

    async def guarded() -> tuple[T, int | None]:
        stopper = Stopper()
        stopper.install()
        result = await main(stopper)
        return result, stopper.signal

    return asyncio.run(guarded())
