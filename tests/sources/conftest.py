"""Clocks that tests control, and real servers on loopback."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web


class VirtualClock:
    """Time that moves only when every task waits for it."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self._sleepers: list[tuple[float, int, asyncio.Future]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._count), future))
        await future

    async def run(self, work: Awaitable):
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(30):
                await asyncio.sleep(0)
            if not task.done() and self._sleepers:
                at, _, future = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not future.done():
                    future.set_result(None)
        return task.result()


class InstantClock:
    """Every sleep is over at once and moves the time; for tests with real sockets."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def virtual_clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def instant_clock() -> InstantClock:
    return InstantClock()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Callable], Awaitable[str]]]:
    """``await serve(handler)`` → base URL of a server that gives every GET to the handler."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def recorded() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "recorded"
    if not folder.is_dir():
        pytest.skip("the recorded responses are not beside this repository (../shared/recorded)")
    return folder
