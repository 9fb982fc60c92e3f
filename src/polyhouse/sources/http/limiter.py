"""A sliding-window limiter that all tasks of a process share.

A request holds its place in the window from the grant until one window after its answer *began* (status and headers),
or after it failed. Why no window of the server can then hold more than the limit, whatever the latency: let request B
be granted the place of request A. The server counted A before it began to answer, so A arrived no later than that
moment; B is sent at least one window after it, and arrives after it was sent. So the arrivals of one place lie a window
apart.

Two other rules were considered. *Until one window after the sending* saves the latency (0.25 s in 10.25 s: 2.4 % of the
rate) and is wrong: A may need a second to arrive (a new connection, a lost packet) and B a millisecond, and then they
meet in one window; that difference has no bound, so no margin makes the rule right. *Until the end of the answer* is
right, but counts the time in which a large body travels and is decoded, in which the server counts nothing.

Grants are spread over the window: a tenth of the limit at once (a stall is made up for in a moment), else 5 % faster
than the limit itself. Without that a run sends a window's requests in one burst and then waits, and every later burst
must be as fast as the first, or its places come back late for ever: with the latency of the upstream and 24 requests
under way that cost 5 % of the rate.

Tasks are served in the order in which they came.
"""

from __future__ import annotations

import asyncio
from collections import deque

from polyhouse.errors import RateLimitedError
from polyhouse.ports import Clock
from polyhouse.sources.http.limits import WINDOW_SECONDS

_HEADROOM = 1.05
_AT_ONCE = 0.1
_SLOWDOWN = 0.7
_RECOVERY = 0.1
_FLOOR = 0.05


class SlidingWindow:
    """At most ``limit`` requests in any window, with adaptive slow-down and recovery.

    Args:
        limit: requests per window, at least 1.
        clock: time and sleep.
        window: length of the window in seconds.
        patience: the longest pause a task sits out; beyond it ``acquire`` raises.
    """

    def __init__(self, limit: int, clock: Clock, *, window: float = WINDOW_SECONDS, patience: float = 120.0) -> None:
        self.limit = max(1, limit)
        self._clock = clock
        self._window = window
        self._patience = patience
        self._recent: deque[float] = deque()
        self._in_flight = 0
        self._turn = asyncio.Lock()  # wakes its waiters in the order they came
        self._freed = asyncio.Event()
        self._paused_until = 0.0
        self._next_grant = 0.0
        self._share = 1.0
        self._share_since = 0.0

    @property
    def effective_limit(self) -> int:
        """The limit as it stands now, after slow-downs and recovery."""
        self._recover()
        return max(1, int(self.limit * self._share))

    @property
    def used(self) -> int:
        """Requests in the current window, those in flight included."""
        self._expire()
        return len(self._recent) + self._in_flight

    @property
    def is_paused(self) -> bool:
        """Whether a pause is running."""
        return self._clock.monotonic() < self._paused_until

    @property
    def pause_left(self) -> float:
        """Seconds until the pause is over, 0 = none is running."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    async def acquire(self) -> None:
        """Wait for a place in the window and take it; give it back with ``release`` or ``cancel``.

        Raises:
            RateLimitedError: the upstream asked for a longer pause than anybody should wait here.
        """
        async with self._turn:
            while True:
                wait = self._wait_seconds()
                if wait is None:
                    self._freed.clear()
                    await self._freed.wait()
                elif wait > 0:
                    await self._clock.sleep(wait)
                else:
                    break
            self._in_flight += 1
            self._space_out()

    def release(self) -> None:
        """The answer has begun (or will never come): the place becomes free one window from now."""
        self._in_flight -= 1
        self._recent.append(self._clock.monotonic())
        self._freed.set()

    def cancel(self) -> None:
        """Nothing was sent: the place is free at once."""
        self._in_flight -= 1
        self._freed.set()

    def pause(self, seconds: float) -> None:
        """Nobody goes on for so many seconds (Retry-After)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def slow_down(self) -> None:
        """The upstream refused for load: take 70 % of the present rate, at most once per tenth of a window."""
        self._recover()
        now = self._clock.monotonic()
        if self._share < 1.0 and now - self._share_since < self._window / 10:
            return
        self._share = max(_FLOOR, self._share * _SLOWDOWN)
        self._share_since = now

    def _recover(self) -> None:
        """One tenth of the full rate comes back for every window without a refusal."""
        if self._share >= 1.0:
            return
        windows = int((self._clock.monotonic() - self._share_since) / self._window)
        if windows > 0:
            self._share = min(1.0, self._share + windows * _RECOVERY)
            self._share_since += windows * self._window

    def _space_out(self) -> None:
        """A place was granted: when may the next one be?"""
        limit = self.effective_limit
        spacing = self._window / (limit * _HEADROOM)
        saved = self._clock.monotonic() - spacing * max(1.0, limit * _AT_ONCE)
        self._next_grant = max(self._next_grant, saved) + spacing

    def _expire(self) -> None:
        horizon = self._clock.monotonic() - self._window
        while self._recent and self._recent[0] <= horizon:
            self._recent.popleft()

    def _wait_seconds(self) -> float | None:
        """Seconds until a place may be free, 0 = now, None = when a request in flight comes back."""
        now = self._clock.monotonic()
        pause = self._paused_until - now
        if pause > self._patience:
            raise RateLimitedError(
                f"the upstream asked for a pause of {pause:.0f} s, more than the {self._patience:.0f} s we wait",
                retry_after_seconds=pause,
            )
        if pause > 0:
            return pause
        limit = self.effective_limit
        if self.used < limit:
            return max(0.0, self._next_grant - now)
        # After a slow-down several places have to expire before the next one is free.
        index = self.used - limit
        return self._recent[index] + self._window - now if index < len(self._recent) else None
