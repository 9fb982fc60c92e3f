"""The simulated Polymarket in a process of its own, for as long as a command needs it."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from polyhouse.errors import UpstreamUnavailableError

START_SECONDS = 120.0
START_SECONDS_PER_WALLET = 0.02


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where the simulated hosts answer."""

    gamma_url: str
    clob_url: str
    data_url: str


@contextmanager
def simulated_polymarket(
    seed: int, wallets: int, rate_scale: float, *, fills: int | None = None
) -> Iterator[Upstreams]:
    """Start the simulator on loopback and stop it at the end; it also ends when this process does.

    Args:
        seed: of its universe.
        wallets: how many it has.
        rate_scale: factor on its limits.
        fills: how many it has, by default as many a wallet as universes usually do.

    Raises:
        UpstreamUnavailableError: it did not start.
    """
    # A forked child would inherit engine threads and locks; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, seed, wallets, rate_scale, fills), daemon=True)
    process.start()
    theirs.close()
    try:
        try:
            if not ours.poll(START_SECONDS + START_SECONDS_PER_WALLET * wallets):
                raise UpstreamUnavailableError("the simulated Polymarket did not start in time")
            yield Upstreams(*ours.recv())
        except EOFError:
            raise UpstreamUnavailableError("the simulated Polymarket ended before it answered") from None
    finally:
        ours.close()
        process.join(timeout=10)
        if process.is_alive():
            process.terminate()
            process.join()


def _serve(pipe: Connection, seed: int, wallets: int, rate_scale: float, fills: int | None) -> None:
    from polyhouse.sim.server import SimServer
    from polyhouse.sim.universe import Universe

    # Ctrl-C reaches the whole group: the parent finishes its page first and needs answers for that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def main() -> None:
        async with SimServer(Universe(seed=seed, wallets=wallets, fills=fills), scale=rate_scale, seed=seed) as server:
            pipe.send((server.gamma_url, server.clob_url, server.data_url))
            await asyncio.to_thread(_wait_for_end, pipe)

    asyncio.run(main())


def _wait_for_end(pipe: Connection) -> None:
    """Nothing is ever sent: the pipe ends with the process at its other end."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        return
