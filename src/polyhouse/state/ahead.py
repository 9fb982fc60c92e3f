"""Checkpoints that were read for many partitions at once, shortly before each of them is asked for.

A checkpoint costs half a millisecond when it is asked for alone, and two hundredths when two hundred are: the statement
is the same. What was read ahead is given out once, while it is young, and not at all if this process moved the
checkpoint meanwhile. Other processes do not move it either: who reads ahead holds the leases of the wallets, and what
was read is forgotten long before they end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from polyhouse.ports import Checkpoint

LONGEST_SECONDS = 30.0
"""After this time a checkpoint is asked for again; earlier where leases are short."""

Key = tuple[str, str]
"""Stream and partition."""


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What was read ahead of one partition: its checkpoint, None if it was never read."""

    checkpoint: Checkpoint | None


class AheadOfTime:
    """Keeps what was read ahead; safe for use by several threads.

    Args:
        monotonic: seconds of a clock that only goes forwards.

    Attributes:
        longest_seconds: what is older is not given out.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.longest_seconds = LONGEST_SECONDS
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[Key, tuple[float, Checkpoint | None]] = {}
        self._moves = 0

    def moves(self) -> int:
        """How often checkpoints were moved; asked before they are read."""
        return self._moves

    def keep(self, keys: Iterable[Key], found: Mapping[Key, Checkpoint], moves: int) -> None:
        """These partitions were read and these of them have a checkpoint.

        Nothing is kept if a checkpoint was moved since ``moves`` was asked for: it might be one of these.
        """
        now = self._monotonic()
        with self._lock:
            if moves != self._moves:
                return
            # What nobody asked for in time belongs to walks that never began.
            self._kept = {key: one for key, one in self._kept.items() if now - one[0] <= self.longest_seconds}
            self._kept.update((key, (now, found.get(key))) for key in keys)

    def take(self, key: Key) -> ReadAhead | None:
        """What was read ahead of this partition, once; None if nothing was, or too long ago."""
        with self._lock:
            read_at, checkpoint = self._kept.pop(key, (None, None))
        if read_at is None or self._monotonic() - read_at > self.longest_seconds:
            return None
        return ReadAhead(checkpoint)

    def moved(self, keys: Iterable[Key] | None) -> None:
        """These checkpoints are others now; None: any may be."""
        with self._lock:
            self._moves += 1
            if keys is None:
                self._kept.clear()
                return
            for key in keys:
                self._kept.pop(key, None)
