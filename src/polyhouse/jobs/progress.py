"""How far a job is, as a small document that is kept in the state store."""

from __future__ import annotations

import time
from typing import Any

from polyhouse.sync.progress import PhaseFigures

_MOST_NOTES = 20


class JobProgress:
    """A reporter that remembers: the step, its counts, the last sentences."""

    def __init__(self) -> None:
        self._figures: PhaseFigures | None = None
        self._notes: list[str] = []
        self._changes = 0

    @property
    def changes(self) -> int:
        """Grows with whatever the document would say differently."""
        return self._changes

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """See ``Reporter``."""
        self._figures = PhaseFigures(name, unit, total, time.monotonic())
        self._changes += 1

    def advance(self, n: int = 1, **counts: int) -> None:
        """See ``Reporter``."""
        if self._figures is not None:
            self._figures.advance(time.monotonic(), n, counts)
            self._changes += 1

    def note(self, text: str) -> None:
        """See ``Reporter``."""
        self._notes.append(text[:500])
        del self._notes[:-_MOST_NOTES]
        self._changes += 1

    def finish(self) -> None:
        """See ``Reporter``. The figures of the phase stay until the next one begins."""

    def document(self) -> dict[str, Any]:
        """``{"step", "unit", "total", "done", "percent", "counts", "eta_seconds", "notes"}``, whole numbers."""
        figures = self._figures
        if figures is None:
            return {
                "step": "", "unit": "", "total": None, "done": 0, "percent": None, "counts": {}, "eta_seconds": None,
                "notes": list(self._notes),
            }  # fmt: skip
        left = figures.seconds_left(time.monotonic())
        return {
            "step": figures.name, "unit": figures.unit, "total": figures.total, "done": figures.done,
            "percent": figures.percent, "counts": dict(figures.counts),
            "eta_seconds": None if left is None else round(left), "notes": list(self._notes),
        }  # fmt: skip
