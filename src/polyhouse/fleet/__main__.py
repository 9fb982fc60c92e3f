"""A worker process as the owner starts it: orders on standard input, exit code 3 when the owner is gone."""

from __future__ import annotations

import asyncio
import signal
import sys

import msgspec

from polyhouse.collecting import seldom
from polyhouse.errors import PolyhouseError
from polyhouse.fleet.children import Orders
from polyhouse.fleet.worker import work


async def main() -> int:
    """Work as ordered; SIGTERM hands over the page under way and leaves."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        with seldom():
            await work(orders.meeting, hands=orders.hands, stop=stop)
    except PolyhouseError as error:
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
