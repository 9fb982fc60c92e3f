"""The worker processes that the owner starts, and starts again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

import polyhouse
from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.fleet.meeting import Meeting

MAX_FAILURES = 8
"""Deaths in a row without a page handed over, after which a worker is not started again."""
_LONGEST_PAUSE_SECONDS = 8.0
_GRACE_SECONDS = 5.0


class Orders(msgspec.Struct, frozen=True):
    """What a child is told through its standard input."""

    meeting: Meeting
    hands: int


class Children:
    """Starts workers, watches them, stops them.

    Args:
        meeting: where they knock.
        hands: pages that each may have under way.
        pages_of: process id → pages handed over so far.
        note: hears of deaths.
        fail: told when none is left and none is started again.
    """

    def __init__(
        self,
        meeting: Meeting,
        hands: int,
        pages_of: Mapping[int, int],
        note: Callable[[str], None],
        fail: Callable[[PolyhouseError], None],
    ) -> None:
        self._orders = msgspec.json.encode(Orders(meeting, hands))
        self._pages_of = pages_of
        self._note = note
        self._fail = fail
        self._ending = False
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._kept = 0

    def start(self, count: int) -> None:
        """Start so many."""
        self._kept += count
        for number in range(1, count + 1):
            watcher = asyncio.create_task(self._keep(number))
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)

    def expect_end(self) -> None:
        """From now on nobody is started again."""
        self._ending = True

    async def stop(self) -> None:
        """Wait until all have left; those that do not are ended."""
        self._ending = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._watchers:
                await asyncio.wait(set(self._watchers), timeout=_GRACE_SECONDS)
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
        for watcher in set(self._watchers):
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _keep(self, number: int) -> None:
        failures = 0
        while not self._ending:
            what, pages = await self._life(number)
            if self._ending:
                return
            failures = 1 if pages else failures + 1
            if failures > MAX_FAILURES:
                self._note(f"{what}; it is not started again after {failures} deaths without a page")
                break
            self._note(f"{what}; it is started again")
            await asyncio.sleep(0 if failures == 1 else min(_LONGEST_PAUSE_SECONDS, 0.25 * 2**failures))
        # Not counted by the watchers: two that end in the same moment would each see the other.
        self._kept -= 1
        if not self._ending and not self._kept:
            self._fail(RetryableError("No worker process is left: all of them died again and again."))

    async def _life(self, number: int) -> tuple[str, int]:
        """One process from start to end: what became of it, and the pages it handed over."""
        try:
            process = await self._spawn()
        except OSError as error:
            return f"worker {number} could not be started: {error.strerror}", 0
        self._processes[number] = process
        code = await process.wait()
        del self._processes[number]
        return f"worker {number} (pid {process.pid}) {_ended(code)}", self._pages_of.get(process.pid, 0)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # A group of its own: Ctrl-C on a terminal reaches the owner, which ends the run at the next page.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "polyhouse.fleet",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": _import_path()},
        )
        if process.stdin is None:
            raise PolyhouseError("a worker was started without a standard input")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died already: `wait` tells
            process.stdin.write(self._orders)
            process.stdin.close()
        return process


def _import_path() -> str:
    """The folder this very package was imported from comes first, installed or not."""
    here = str(Path(polyhouse.__file__).parents[1])
    return os.pathsep.join(path for path in (here, os.environ.get("PYTHONPATH", "")) if path)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
