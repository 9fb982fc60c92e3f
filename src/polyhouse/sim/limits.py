"""Sliding-window rate limits of the simulated upstreams (upstream §3), and how a refused request is told so."""

from __future__ import annotations

import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from math import ceil

from polyhouse.sim.wire import Reply

WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LimitClass:
    """``limit`` requests per window for all paths (host first, without a leading slash) that match ``pattern``."""

    name: str
    pattern: re.Pattern[str]
    limit: int


def _class(name: str, pattern: str, limit: int) -> LimitClass:
    return LimitClass(name, re.compile(pattern), limit)


PUBLISHED = (
    _class("all", r"", 15_000),
    _class("gamma", r"gamma/", 4_000),
    _class("gamma events", r"gamma/events(/keyset)?$", 500),
    _class("gamma markets", r"gamma/markets(/keyset)?$", 300),
    _class("gamma listings", r"gamma/(events|markets)(/keyset)?$", 900),
    _class("gamma tags", r"gamma/(tags|comments)", 200),
    _class("clob", r"clob/", 9_000),
    _class("clob ledger", r"clob/(trades|orders|notifications|order)$", 900),
    _class("clob prices-history", r"clob/prices-history", 1_000),
    _class("data", r"data/", 1_000),
    _class("data trades", r"data/(v2/)?trades$", 200),
    _class("data positions", r"data/v2/positions$", 200),
    _class("data v1 positions", r"data/(closed-)?positions$", 150),
    _class("data activity", r"data/v2/activity", 400),
    _class("data holders", r"data/v2/holders$", 400),
    _class("data user-pnl", r"data/v2/user-pnl$", 400),
)
"""Published limits, and the measured ones of the v2 routes."""


class Limiter:
    """Counts accepted requests per class; a request over any limit is refused and not counted.

    Args:
        scale: factor on every limit (at least one request stays allowed).
        window: seconds a window spans.
        seed: decides which form a 429 takes.
        clock: monotonic seconds.
        now: Unix seconds, as of the answers' ``Date``.
    """

    def __init__(
        self,
        *,
        scale: float = 1.0,
        window: float = WINDOW_SECONDS,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        classes: tuple[LimitClass, ...] = PUBLISHED,
    ) -> None:
        self.window = window
        self.refused: Counter[str] = Counter()
        self._clock = clock
        self._now = now
        self._random = random.Random(seed)
        self._classes = [(entry, max(1, int(entry.limit * scale)), deque[float]()) for entry in classes]

    def limit_of(self, path: str) -> int:
        """The tightest limit that applies to a path."""
        return min(limit for entry, limit, _ in self._classes if entry.pattern.match(path))

    def check(self, path: str) -> Reply | None:
        """Count a request, or say how it is refused."""
        now = self._clock()
        matching = [item for item in self._classes if item[0].pattern.match(path)]
        for entry, limit, times in matching:
            while times and times[0] <= now - self.window:
                times.popleft()
            if len(times) >= limit:
                self.refused[entry.name] += 1
                return self._refusal(path, times[0] + self.window - now)
        for _, _, times in matching:
            times.append(now)
        return None

    def _refusal(self, path: str, wait: float) -> Reply:
        form = self._random.choice(("seconds", "date", "silent", "cloudflare"))
        if form == "cloudflare":
            return Reply(status=429, body=b"error code: 1015", content_type="text/html; charset=UTF-8")
        headers = {}
        if form == "seconds":
            headers["Retry-After"] = str(max(1, ceil(wait)))
        elif form == "date":
            # HTTP dates have whole seconds: one more, so that waiting until then is waiting long enough.
            until = datetime.fromtimestamp(self._now() + wait + 1, UTC)
            headers["Retry-After"] = format_datetime(until.replace(microsecond=0), usegmt=True)
        doc: dict[str, object] = {"error": "Too many requests"}
        if path.startswith("data/v2/"):
            doc = {"error": "rate limited", "code": "rate_limited", "retryable": True, "trace_id": "sim-limited"}
        return Reply(doc, status=429, headers=headers)
