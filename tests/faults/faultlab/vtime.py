"""Virtual time in one thread: sleeping costs nothing, threads run in place, a process can freeze or die."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable
from typing import Any

START = 1_780_000_000
"""Unix seconds at which a world begins; the loop counts from there."""


class Crash(BaseException):
    """The process died here."""


class StuckError(AssertionError):
    """Nothing will ever happen again, or far too much happens: the liveness promise is broken."""


class Life:
    """One process from its start to its end: alive, frozen for a while, or dead.

    Attributes:
        latency: seconds (before, after) that a call in a thread takes.
        skew: by how much its wall clock is wrong.
    """

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.loop = loop
        self.dead = False
        self.frozen_until = 0.0
        self.skew = 0.0
        self.latency: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)
        self.on_die: list[Callable[[], None]] = []

    @property
    def wall(self) -> float:
        """Unix seconds by this process's clock."""
        return START + self.loop.now + self.skew

    def freeze(self, seconds: float) -> None:
        """The whole process stands still: a suspended machine, a long collection, a full disk."""
        self.frozen_until = max(self.frozen_until, self.loop.now + seconds)

    def die(self) -> None:
        """SIGKILL: from here on every call of this process dies."""
        if not self.dead:
            self.dead = True
            for hook in self.on_die:
                hook()
        raise Crash

    def must_live(self) -> None:
        """Dies again if the process is dead."""
        if self.dead:
            raise Crash

    async def thaw(self) -> None:
        """Wait while the process is frozen."""
        if self.frozen_until > self.loop.now:
            await asyncio.sleep(self.frozen_until - self.loop.now)
            await self.thaw()  # something else may have stopped it again
        self.must_live()


current: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Same seed, same schedule: time moves to the next thing that is due, and threads are calls in order."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.ends_at = float("inf")
        self._free: dict[Any, float] = {}
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                if timeout is None:
                    raise StuckError("nothing is scheduled and somebody waits")
                if timeout > 0:
                    loop.now += timeout
                    if loop.now > loop.ends_at:
                        raise StuckError("it goes on for ever")
                return []

        super().__init__(Selector())
        self.set_exception_handler(lambda *_: None)  # a dead process has nobody to hear of its errors
        self._clock_resolution = 1e-6  # finer steps than a float of this size can hold would never end a wait

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Run ``func`` as a thread would: now, or after the waits of its process; a pool of one keeps its order."""
        future = self.create_future()
        life = current.get()
        before, after = life.latency() if life is not None else (0.0, 0.0)
        start = self.now + before
        if life is not None:
            start = max(start, life.frozen_until)
        if executor is not None:
            start = max(start, self._free.get(executor, 0.0))
            self._free[executor] = start + after

        def run() -> None:
            if future.cancelled() and start > self.now:
                return
            try:
                if life is not None:
                    life.must_live()
                result = func(*args)
            except (Crash, Exception) as error:  # noqa: BLE001 - as a real executor does
                self._later(after, future, None, error)
            else:
                self._later(after, future, result, None)

        if start <= self.now:
            run()
        else:
            self.call_at(start, run)
        return future

    def _later(self, seconds: float, future: Any, result: Any, error: BaseException | None) -> None:
        def deliver() -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        if seconds > 0:
            self.call_later(seconds, deliver)
        else:
            deliver()


class LifeClock:
    """The clock of one process: the world's, wrong by its skew, and standing still while the process is frozen."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def time(self) -> float:
        return self._life.wall

    def monotonic(self) -> float:
        return self._life.loop.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._life.thaw()
