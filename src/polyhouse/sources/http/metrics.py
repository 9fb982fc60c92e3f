"""Counters per class of route, for ``status`` and the run report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class RouteStats:
    """What happened on one class of routes since the client was opened.

    Attributes:
        name: ``host.route``.
        requests: requests sent, retries included.
        errors: requests that ended in any error.
        throttled: answers 429.
        retries: requests that repeat an earlier one.
        bytes: bytes of bodies after decompression.
        seconds: time between sending and the end of the body, summed over requests.
        limit: requests per ten seconds as they stand now, slow-downs included.
        used: requests in the current window.
    """

    name: str
    requests: int = 0
    errors: int = 0
    throttled: int = 0
    retries: int = 0
    bytes: int = 0
    seconds: float = 0.0
    limit: int = 0
    used: int = 0
