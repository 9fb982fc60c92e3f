"""One build at a time: it works in tables beside the published ones, which it has for itself.

On an embedded store the threads of its only process take turns. On servers the turn is kept in the state store and
renewed while the build goes on; a machine that dies in the middle lets the others wait for a minute, and the next build
begins by clearing up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from polyhouse.errors import RetryableError

BUILD = "build"
TURN_SECONDS = 60
_ASK_SECONDS = 0.5
_here = threading.RLock()
"""A process has one embedded store open."""


class Turns(Protocol):
    """The part of the state store that keeps turns."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it."""
        ...

    def take_turn(self, name: str, seconds: int) -> bool:
        """Take or keep the turn; False while somebody else has it."""
        ...

    def end_turn(self, name: str) -> None:
        """Let others have it."""
        ...


@contextmanager
def building(state: Turns) -> Iterator[None]:
    """Wait until nobody else builds, and keep them from it while the block runs. Blocks its thread.

    Raises:
        RetryableError: the state store does not answer.
    """
    if not state.is_shared:
        with _here:
            yield
        return
    while not state.take_turn(BUILD, TURN_SECONDS):
        time.sleep(_ASK_SECONDS)
    over = threading.Event()

    def keep() -> None:
        while not over.wait(TURN_SECONDS / 5):
            with suppress(RetryableError):  # more follow before the turn ends
                state.take_turn(BUILD, TURN_SECONDS)

    keeper = threading.Thread(target=keep, name="build-turn", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        state.end_turn(BUILD)
