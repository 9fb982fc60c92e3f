"""What a run tells the person who waits for it."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Receives the progress of a run. Called from the event loop only; must return at once."""

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """A new phase begins; ``total`` units are expected (None = not known yet)."""
        ...

    def advance(self, n: int = 1, **counts: int) -> None:
        """``n`` more units are done; ``counts`` are added to the phase's named counters (rows, failed, …)."""
        ...

    def note(self, text: str) -> None:
        """One sentence for the user: a limit that bit, a partition that failed, a rewind."""
        ...

    def finish(self) -> None:
        """The current phase is over."""
        ...


class NullReporter:
    """Says nothing."""

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Ignore."""

    def advance(self, n: int = 1, **counts: int) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""
