"""What a run tells the person who waits for it, and the arithmetic of progress that all who show it share."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from polyhouse.sync.report import RunStatus

_PACE_SECONDS = 300.0
_SAMPLE_SECONDS = 1.0


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


class RunObserver(Protocol):
    """Hears which run is going on, and which wallet it finished last. Must return at once."""

    def begin(self, run: int, command: str) -> None:
        """A run with this number starts."""
        ...

    def wallet(self, address: bytes) -> None:
        """A wallet is finished, well or not."""
        ...

    def end(self, status: RunStatus) -> None:
        """The run is over."""
        ...


class NullObserver:
    """Does not listen."""

    def begin(self, run: int, command: str) -> None:
        """Ignore."""

    def wallet(self, address: bytes) -> None:
        """Ignore."""

    def end(self, status: RunStatus) -> None:
        """Ignore."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of this process.

    Attributes:
        requests: all of them so far, retries included.
        route: the busiest class of routes lately (``host.class``), "" before the first request.
        per_second: requests of that class per second, lately.
        limit_per_second: what that class allows, slow-downs included; 0 = not known.
    """

    requests: int = 0
    route: str = ""
    per_second: float = 0.0
    limit_per_second: float = 0.0


@runtime_checkable
class ShowsTraffic(Protocol):
    """A reporter that can show requests per second beside the progress."""

    def watch(self, traffic: Callable[[], Traffic]) -> None:
        """Ask ``traffic`` whenever the figures are shown."""
        ...


@dataclass(slots=True)
class PhaseFigures:
    """How far one phase is. Times are seconds of any one monotonic clock."""

    name: str
    unit: str
    total: int | None
    started: float
    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def advance(self, now: float, n: int, counts: dict[str, int]) -> None:
        """Count ``n`` units and add to the named counters."""
        self.done += n
        self.counts.update(counts)
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self.done))
            while now - self._samples[0][0] > _PACE_SECONDS:
                self._samples.popleft()

    def rate(self, now: float) -> float:
        """Units per second over the last five minutes, or since the beginning."""
        at, done = self.started, 0
        if now - self.started > _PACE_SECONDS and self._samples and now - self._samples[0][0] > _SAMPLE_SECONDS:
            at, done = self._samples[0]
        return (self.done - done) / max(now - at, 1e-9)

    def seconds_left(self, now: float) -> float | None:
        """At the present rate; None if the total or the rate is not known."""
        rate = self.rate(now)
        if self.total is None or rate <= 0:
            return None
        return max(0, self.total - self.done) / rate

    @property
    def percent(self) -> int | None:
        """Whole percent of the total, never rounded up; None if the total is not known."""
        if self.total is None:
            return None
        return 100 if not self.total else min(100, self.done * 100 // self.total)
