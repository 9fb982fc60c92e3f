"""One budget of requests for everything that a process does at the same time."""

from __future__ import annotations

from polyhouse.sources.http.clock import SystemClock
from polyhouse.sources.http.lanes import RouteLanes, build_lanes
from polyhouse.sources.http.limits import CLOB, DATA, GAMMA, WINDOW_SECONDS
from polyhouse.sources.http.retry import RetryPolicy


def shared_lanes(rate_scale: float) -> dict[str, RouteLanes]:
    """The limits of each host, by its name, for several clients of one event loop.

    Args:
        rate_scale: factor on every limit (``POLYHOUSE_RATE_SCALE``).
    """
    clock, cap = SystemClock(), RetryPolicy().retry_after_cap
    return {limits.name: build_lanes(limits, clock, rate_scale, WINDOW_SECONDS, cap) for limits in (GAMMA, CLOB, DATA)}
