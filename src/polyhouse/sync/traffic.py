"""Requests per second against the limit, from the counters of the HTTP clients."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from polyhouse.sources.http.limits import WINDOW_SECONDS
from polyhouse.sources.http.metrics import RouteStats
from polyhouse.sync.progress import Traffic


class TrafficMeter:
    """Turns counters that only grow into a rate over the last moments.

    Args:
        counters: the counters of every class of routes, as they stand now.
        monotonic: seconds that never run backwards.
        window: seconds that the limits span, and over which the rate is taken: a sliding window lets requests through
            in bursts, a shorter look would show only those.
    """

    def __init__(
        self,
        counters: Callable[[], Iterable[RouteStats]],
        monotonic: Callable[[], float],
        window: float = WINDOW_SECONDS,
    ) -> None:
        self._counters = counters
        self._monotonic = monotonic
        self._window = window
        self._samples: deque[tuple[float, dict[str, int]]] = deque([(monotonic(), {})])
        self._limits: dict[str, int] = {}

    def __call__(self) -> Traffic:
        """Look at the counters and say what they show."""
        now = self._monotonic()
        stats = list(self._counters())
        seen = {one.name: one.requests for one in stats}
        while len(self._samples) > 1 and now - self._samples[1][0] >= self._window:
            self._samples.popleft()
        at, before = self._samples[0]
        if now - self._samples[-1][0] >= self._window / 20:
            self._samples.append((now, seen))
        span = max(now - at, self._window)
        rates = {name: (count - before.get(name, 0)) / span for name, count in seen.items()}
        if not rates:
            return Traffic()
        busiest = max(stats, key=lambda one: (rates[one.name], one.requests))
        return Traffic(sum(seen.values()), busiest.name, rates[busiest.name], busiest.limit / self._window)
