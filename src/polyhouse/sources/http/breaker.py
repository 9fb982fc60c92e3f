"""Circuit breaker of one host: failures in a row pause it, then one request tries whether it is back."""

from __future__ import annotations

from polyhouse.errors import CircuitOpenError
from polyhouse.ports import Clock

_POLL_SECONDS = 0.25


class CircuitBreaker:
    """Closed → (``threshold`` failures in a row) → open for ``pause`` seconds → half-open: one probe decides.

    Only failures of the host count (5xx, no answer, broken bodies). A refusal (4xx, 429) shows that the host works.
    """

    def __init__(self, name: str, clock: Clock, *, threshold: int = 5, pause: float = 30.0) -> None:
        self.name = name
        self._clock = clock
        self._threshold = threshold
        self._pause = pause
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False
        self._probe_failed = False

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self._open_until is None:
            return "closed"
        return "open" if self._clock.monotonic() < self._open_until else "half-open"

    async def enter(self) -> bool:
        """Wait until a request may be sent; True = it is the probe, and its outcome must be reported.

        A task waits out one pause, and the probe behind it. If the host is still down then, the task gives up; and
        while it stays down, tasks that come during a pause are told at once instead of waiting out another one.

        Raises:
            CircuitOpenError: the host did not come back within one pause and a half, or the probe failed.
        """
        waited = 0.0
        while True:
            wait = self._wait_seconds()
            if wait <= 0:
                self._probing = self._open_until is not None
                return self._probing
            # A probe that is under way decides soon, however short the pause is.
            if not self._probing and (waited + wait > self._pause * 1.5 or self._probe_failed):
                raise CircuitOpenError(
                    f"{self.name}: {self._failures} failures in a row, the host is left alone for {self._pause:.0f} s",
                    hint="Nothing is lost: the same command goes on from where it stopped.",
                )
            await self._clock.sleep(wait)
            waited += wait

    def succeeded(self) -> None:
        """The host answered."""
        self._failures = 0
        self._open_until = None
        self._probing = False
        self._probe_failed = False

    def failed(self, *, probe: bool) -> None:
        """The host failed to answer. Late failures of requests sent before the pause do not prolong it."""
        if probe:
            self._probing = False
            self._probe_failed = True
        elif self._open_until is not None:
            return
        self._failures += 1
        if probe or self._failures >= self._threshold:
            self._open_until = self._clock.monotonic() + self._pause

    def abandoned(self, *, probe: bool) -> None:
        """The request was cancelled: it says nothing about the host."""
        if probe:
            self._probing = False

    def _wait_seconds(self) -> float:
        if self._open_until is None:
            return 0.0
        remaining = self._open_until - self._clock.monotonic()
        if remaining > 0:
            return remaining
        return _POLL_SECONDS if self._probing else 0.0
