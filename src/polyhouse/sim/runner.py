"""The simulated Polymarket for callers without an event loop: in a thread, or as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from polyhouse.sim.reorgs import Reorg
from polyhouse.sim.server import SimServer


class ServerThread:
    """Runs a server in a background thread: ``with ServerThread(SimServer(universe)) as server: …``.

    Args:
        server: a server that has not been entered yet.
    """

    def __init__(self, server: SimServer) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated-polymarket", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread and listen."""
        self._thread.start()
        try:
            self._call(self.server.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and end the thread."""
        try:
            self._call(self.server.__aexit__(kind, error, trace))
        finally:
            self._stop()

    def advance(self, seconds: int) -> int:
        """Let simulated time pass; returns the number of new transactions."""
        return int(self._call(self.server.advance(seconds)))

    def reorg(self, depth: int, vanish: int = 20) -> Reorg:
        """Replace the newest blocks of the simulated chain."""
        result: Reorg = self._call(self.server.reorg(depth, vanish))
        return result

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def serve_until_signal(server: SimServer, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``announce`` gets one JSON line with the URLs once requests are answered."""

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with server:
            announce(msgspec.json.encode(server.stats()).decode())
            await stop.wait()

    asyncio.run(serve())
