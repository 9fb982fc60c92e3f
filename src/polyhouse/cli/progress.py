"""Progress on stderr: a bar on a terminal, a line every 10 % or 30 seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from polyhouse.cli.base import Run, say
from polyhouse.sync.progress import NullReporter, Reporter

_LINE_SECONDS = 30.0
_LINE_SHARE = 0.1


class LineReporter:
    """Plain lines for logs: at the start and end of each phase, and every 10 % or 30 s between."""

    def __init__(self, write: Callable[[str], None] = say, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._monotonic = monotonic
        self._name = ""
        self._unit = ""
        self._total: int | None = None
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._started = self._last_time = monotonic()
        self._last_done = 0

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Begin a phase and say so."""
        if self._name:
            self.finish()
        self._name, self._unit, self._total, self._done = name, unit, total, 0
        self._counts.clear()
        self._started = self._last_time = self._monotonic()
        self._last_done = 0
        size = f": {total:,} {unit}" if total is not None else f" (number of {unit} not known yet)"
        self._write(f"{name}{size}")

    def advance(self, n: int = 1, **counts: int) -> None:
        """Count, and write a line when one is due."""
        self._done += n
        self._counts.update(counts)
        now = self._monotonic()
        share_due = self._total and self._done - self._last_done >= self._total * _LINE_SHARE
        if (share_due and self._done < (self._total or 0)) or now - self._last_time >= _LINE_SECONDS:
            self._last_time, self._last_done = now, self._done
            self._write(f"{self._name}: {self._describe(now)}")

    def note(self, text: str) -> None:
        """Write a sentence."""
        self._write(text)

    def finish(self) -> None:
        """Write the phase's last line."""
        if self._name:
            self._write(f"{self._name}: done, {self._describe(self._monotonic(), eta=False)}")
        self._name = ""

    def _describe(self, now: float, *, eta: bool = True) -> str:
        elapsed = max(now - self._started, 1e-9)
        rate = self._done / elapsed
        parts = [f"{self._done:,}{f'/{self._total:,}' if self._total is not None else ''} {self._unit}"]
        parts += counters(self._counts)
        parts.append(f"{rate:,.1f} {self._unit}/s")
        if eta and self._total and rate > 0:
            parts.append(f"about {duration((self._total - self._done) / rate)} left")
        else:
            parts.append(duration(elapsed))
        return ", ".join(parts)


class BarReporter:
    """A live bar with counts, rate and time left."""

    def __init__(self, *, color: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._console = Console(stderr=True, no_color=None if color else True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            Remaining(),
            console=self._console,
            transient=True,
            speed_estimate_period=300,
        )
        self._task: Any = None
        self._name = ""
        self._unit = ""
        self._done = 0
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Show a new bar; one without an end while the total is unknown."""
        self.finish()
        self._name, self._unit, self._done = name, unit, 0
        self._counts.clear()
        self._started = time.monotonic()
        self._progress.start()
        self._task = self._progress.add_task(name, total=total, detail=unit)

    def advance(self, n: int = 1, **counts: int) -> None:
        """Move the bar."""
        if self._task is None:
            return
        self._done += n
        self._counts.update(counts)
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        detail = " ".join([f"{self._unit} {rate:,.0f}/s", *counters(self._counts)])
        self._progress.update(self._task, advance=n, detail=detail)

    def note(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False)

    def finish(self) -> None:
        """Replace the bar by one line that stays."""
        if self._task is None:
            return
        self._progress.stop()
        self._progress.remove_task(self._task)
        self._task = None
        elapsed = duration(time.monotonic() - self._started)
        line = ", ".join([f"{self._done:,} {self._unit}", *counters(self._counts), elapsed])
        self._console.print(f"{self._name}: {line}", markup=False)


def reporter_for(run: Run) -> Reporter:
    """The reporter that suits stderr."""
    import os

    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0":
        return BarReporter(color=run.color is not False and not os.environ.get("NO_COLOR"))
    return LineReporter()


def counters(counts: Counter[str]) -> list[str]:
    """Named counters that are not zero, as ``12,000 rows``."""
    return [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]


def duration(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


__all__ = ["BarReporter", "LineReporter", "NullReporter", "counters", "duration", "reporter_for"]
