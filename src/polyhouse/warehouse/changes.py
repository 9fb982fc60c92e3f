"""What this process changed in a store, counted: whoever keeps an answer sees at a glance whether it may be old."""

from __future__ import annotations

import threading


class Changes:
    """Counts of acknowledged changes; safe for threads.

    Attributes:
        batches: inserts into observation tables.
        statements: every change, those included.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.batches = 0
        self.statements = 0

    def note(self, *, is_batch: bool = False) -> None:
        """One more change, which readers see from now on."""
        with self._lock:
            self.batches += is_batch
            self.statements += 1
