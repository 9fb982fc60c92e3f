"""Progress on stderr: a bar on a terminal, a line every 10 % or 30 seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from polyhouse.cli.base import Run, say
from polyhouse.sync.progress import NullReporter, PhaseFigures, Reporter, Traffic

_LINE_SECONDS = 30.0
_LINE_SHARE = 0.1


class LineReporter:
    """Plain lines for logs: at the start and end of each phase, and every 10 % or 30 s between."""

    def __init__(
        self,
        write: Callable[[str], None] = say,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._monotonic = monotonic
        self._wall = wall
        self._traffic: Callable[[], Traffic] = Traffic
        self._figures: PhaseFigures | None = None
        self._last_time = monotonic()
        self._last_done = 0

    def watch(self, traffic: Callable[[], Traffic]) -> None:
        """Show requests per second from now on."""
        self._traffic = traffic

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Begin a phase and say so."""
        self.finish()
        self._last_time, self._last_done = self._monotonic(), 0
        self._figures = PhaseFigures(name, unit, total, self._last_time)
        size = f": {total:,} {unit}" if total is not None else f" (number of {unit} not known yet)"
        self._write(f"{name}{size}")

    def advance(self, n: int = 1, **counts: int) -> None:
        """Count, and write a line when one is due."""
        figures, now = self._figures, self._monotonic()
        if figures is None:
            return
        figures.advance(now, n, counts)
        total = figures.total or 0
        share_due = total and figures.done - self._last_done >= total * _LINE_SHARE
        if (share_due and figures.done < total) or now - self._last_time >= _LINE_SECONDS:
            self._last_time, self._last_done = now, figures.done
            self._write(f"{figures.name}: {', '.join(described(figures, now, self._wall(), self._traffic()))}")

    def note(self, text: str) -> None:
        """Write a sentence."""
        self._write(text)

    def finish(self) -> None:
        """Write the phase's last line."""
        if self._figures is not None:
            figures, self._figures = self._figures, None
            self._write(f"{figures.name}: done, {', '.join(summed_up(figures, self._monotonic()))}")


class BarReporter:
    """A live bar with counts, requests against the limit, rate, time left and the projected end."""

    def __init__(self, *, color: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._console = Console(stderr=True, no_color=None if color else True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._traffic: Callable[[], Traffic] = Traffic
        self._figures = PhaseFigures("", "", None, time.monotonic())
        self._painted = 0.0

    def watch(self, traffic: Callable[[], Traffic]) -> None:
        """Show requests per second from now on."""
        self._traffic = traffic

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """Show a new bar; one without an end while the total is unknown."""
        self.finish()
        self._figures = PhaseFigures(name, unit, total, time.monotonic())
        self._painted = 0.0
        self._progress.start()
        self._task = self._progress.add_task(name, total=total, detail=unit)

    def advance(self, n: int = 1, **counts: int) -> None:
        """Move the bar."""
        if self._task is None:
            return
        now = time.monotonic()
        self._figures.advance(now, n, counts)
        self._progress.update(self._task, advance=n)
        if now - self._painted >= 0.1:  # the bar itself is drawn ten times a second
            self._painted = now
            detail = bar_lines(self._figures, now, time.time(), self._traffic())
            self._progress.update(self._task, detail="\n".join(detail))

    def note(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def finish(self) -> None:
        """Replace the bar by one line that stays."""
        if self._task is None:
            return
        self._progress.stop()
        self._progress.remove_task(self._task)
        self._task = None
        line = f"{self._figures.name}: {', '.join(summed_up(self._figures, time.monotonic()))}"
        self._console.print(line, markup=False, soft_wrap=True)


def reporter_for(run: Run) -> Reporter:
    """The reporter that suits stderr."""
    import os

    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and os.environ.get("TTY_INTERACTIVE") != "0":
        return BarReporter(color=run.color is not False and not os.environ.get("NO_COLOR"))
    return LineReporter()


def described(figures: PhaseFigures, now: float, wall: float, traffic: Traffic) -> list[str]:
    """The parts of a progress line: how much, what came of it, how fast, when it ends.

    Args:
        figures: of the phase.
        now: the clock of the figures.
        wall: Unix seconds, for the projected end.
        traffic: requests per second and their limit.
    """
    pace = f"{figures.rate(now):,.1f} {figures.unit}/s"
    end = _end(figures, now, wall)
    return [_share(figures), *_outcome(figures), *_requests(traffic), pace, _elapsed(figures, now), *end]


def bar_lines(figures: PhaseFigures, now: float, wall: float, traffic: Traffic) -> list[str]:
    """The same in three lines that fit beside a bar on 80 columns; arguments as for ``described``."""
    end = _end(figures, now, wall)
    outcome = [part for part in _outcome(figures) if not part.endswith(" rows")] or _outcome(figures)
    pace = [*_requests(traffic), _elapsed(figures, now)]
    share = _share(figures).removesuffix(f" {figures.unit}")
    return [" · ".join(line) for line in ([share, *end], outcome, pace) if line]


def _requests(traffic: Traffic) -> list[str]:
    if not traffic.route:
        return []
    limit = f" of {traffic.limit_per_second:.1f}" if traffic.limit_per_second else ""
    return [f"{traffic.per_second:.1f}{limit} requests/s"]


def _elapsed(figures: PhaseFigures, now: float) -> str:
    return f"{duration(now - figures.started)} so far"


def _end(figures: PhaseFigures, now: float, wall: float) -> list[str]:
    left = figures.seconds_left(now)
    if left is None:
        return []
    return [f"about {duration(left)} left, until {clock_time(wall + left, wall)}"]


def summed_up(figures: PhaseFigures, now: float) -> list[str]:
    """The parts of a phase's last line."""
    elapsed = now - figures.started
    rate = figures.done / max(elapsed, 1e-9)
    return [_share(figures), *_outcome(figures), f"{rate:,.1f} {figures.unit}/s", duration(elapsed)]


def _share(figures: PhaseFigures) -> str:
    if figures.total is None:
        return f"{figures.done:,} {figures.unit}"
    return f"{figures.done}/{figures.total} ({figures.percent}%) {figures.unit}"


def _outcome(figures: PhaseFigures) -> list[str]:
    """Named counters. Of wallets, completed and failed ones always: no failure is worth saying, too."""
    counts = Counter(figures.counts)
    failed = counts.pop("failed", 0)
    if figures.name == "wallets":
        return [f"{figures.done - failed:,} completed", f"{failed:,} failed", *counters(counts)]
    return [*counters(counts), *([f"{failed:,} failed"] if failed else [])]


def counters(counts: Counter[str]) -> list[str]:
    """Named counters that are not zero, as ``12,000 rows``."""
    return [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]


def clock_time(moment: float, now: float) -> str:
    """A moment (Unix seconds) as ``14:05 UTC``; with its date if that is not today's."""
    at, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC).date()
    return f"{at:%H:%M} UTC" if at.date() == today else f"{at:%Y-%m-%d %H:%M} UTC"


def duration(seconds: float) -> str:
    """Seconds for people: ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


__all__ = ["BarReporter", "LineReporter", "NullReporter", "counters", "described", "duration", "reporter_for"]
