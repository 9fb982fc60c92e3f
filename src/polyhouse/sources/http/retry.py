"""What is retried, how long we wait, and when we stop (upstream.md §8, reliability.md §6.1)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import isfinite
from typing import TypeVar

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from polyhouse.errors import (
    CircuitOpenError,
    CursorRejectedError,
    PolyhouseError,
    RateLimitedError,
    RetryableError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)

T = TypeVar("T")

_RETRYABLE_4XX = frozenset({408, 425})
_DETAIL_LENGTH = 200


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn the client is.

    Attributes:
        attempts: tries per request, the first one included.
        base_seconds: n-th wait is drawn evenly from 0 … min(cap, base · 2^(n-1)): full jitter.
        cap_seconds: upper end of that draw.
        retry_after_cap: a longer ``Retry-After`` is not waited for: the caller gets the figure.
        budget: retries that may be spent at once; each request earns a tenth of one back.
        breaker_failures: failures in a row that pause the host.
        breaker_pause: for how many seconds.
    """

    attempts: int = 6
    base_seconds: float = 0.5
    cap_seconds: float = 20.0
    retry_after_cap: float = 120.0
    budget: float = 20.0
    breaker_failures: int = 5
    breaker_pause: float = 30.0


class RetryBudget:
    """Keeps a dead host from getting more than a tenth of extra requests: a bucket of retries."""

    _EARNED_PER_REQUEST = 0.1

    def __init__(self, size: float) -> None:
        self._size = size
        self._left = size

    def earn(self) -> None:
        """One request was answered properly, or sent for the first time."""
        self._left = min(self._size, self._left + self._EARNED_PER_REQUEST)

    def spend(self) -> bool:
        """Take one retry; False = none left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _ErrorObject(msgspec.Struct):
    message: str | None = None


class _ErrorBody(msgspec.Struct):
    error: str | _ErrorObject | None = None
    message: str | None = None


_error_decoder = msgspec.json.Decoder(_ErrorBody)


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, *, where: str, has_cursor: bool, now: float
) -> PolyhouseError:
    """The error that an answer other than 200 stands for.

    Args:
        status: HTTP status.
        headers: response headers.
        body: the beginning of the body.
        where: host and path, without query.
        has_cursor: the request carried a page cursor.
        now: Unix seconds, to read ``Retry-After`` dates where the answer has no ``Date``.
    """
    detail = _detail(headers, body)
    message = f"{where} answered {status}" + (f": {detail}" if detail else "")
    wait = retry_after_seconds(headers, now)
    # Cloudflare's "error code: 1015" means rate limited, whatever the status beside it.
    if status == 429 or (status == 403 and body.lstrip().startswith(b"error code: 1015")):
        return RateLimitedError(message, retry_after_seconds=wait)
    if status >= 500 or status in _RETRYABLE_4XX:
        return UpstreamUnavailableError(message, retry_after_seconds=wait)
    if status == 400 and has_cursor:
        return CursorRejectedError(message, status=status)
    return UpstreamRefusedError(message, status=status)


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """``Retry-After`` as seconds from now; None if absent or not understandable. Never negative.

    An HTTP date is measured against the ``Date`` of the same answer, so that a wrong clock here does no harm.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _http_date(text)
        if until is None:
            return None
        sent = sent_at(headers)
        return max(0.0, until - (now if sent is None else sent))
    return seconds if isfinite(seconds) and seconds >= 0 else None


def sent_at(headers: Mapping[str, str]) -> float | None:
    """When an answer was made by the clock of who made it, Unix seconds; None if it does not say."""
    return _http_date(headers.get("Date", ""))


@lru_cache(maxsize=64)
def _http_date(text: str) -> float | None:
    """Remembered: all answers of a second say the same."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _detail(headers: Mapping[str, str], body: bytes) -> str:
    """The upstream's own words, one line, cut; a page of HTML says nothing and is named as such."""
    kind = headers.get("Content-Type", "")
    if "json" in kind:
        try:
            parsed = _error_decoder.decode(body)
        except msgspec.DecodeError:
            return ""
        error = parsed.error.message if isinstance(parsed.error, _ErrorObject) else parsed.error
        text = error or parsed.message or ""
    elif "html" in kind:
        text = "an HTML page"
    else:
        text = body[: _DETAIL_LENGTH * 4].decode("utf-8", "replace")
    return " ".join(text.split())[:_DETAIL_LENGTH]


class Backoff:
    """The decisions of one client, in the form tenacity asks for."""

    def __init__(self, policy: RetryPolicy, rng: random.Random) -> None:
        self.policy = policy
        self.budget = RetryBudget(policy.budget)
        self._random = rng

    async def repeated(
        self,
        attempt: Callable[[], Awaitable[T]],
        sleep: Callable[[float], Awaitable[None]],
        before_retry: Callable[[], None],
    ) -> T:
        """The result of ``attempt``, made again while it may succeed later; its last error if it does not.

        Args:
            attempt: one attempt.
            sleep: waits for so many seconds.
            before_retry: called before each wait.
        """
        try:
            return await attempt()
        except RetryableError as error:
            failed = [error]

        # Most requests need no second attempt, and the machinery of one costs as much CPU as ten rows: it takes over
        # with the outcome of the first.
        async def next_attempt() -> T:
            if failed:
                raise failed.pop()
            return await attempt()

        retrying = AsyncRetrying(
            sleep=sleep,
            retry=retry_if_exception(self.may_retry),
            stop=self.is_over,
            wait=self.wait_seconds,
            before_sleep=lambda _state: before_retry(),
            reraise=True,
        )
        return await retrying(next_attempt)

    def may_retry(self, error: BaseException) -> bool:
        """Only what may succeed later, and only if the upstream does not ask for a longer wait than ours."""
        if not isinstance(error, RetryableError) or isinstance(error, CircuitOpenError):
            return False
        wait = getattr(error, "retry_after_seconds", None)
        return wait is None or wait <= self.policy.retry_after_cap

    def is_over(self, state: RetryCallState) -> bool:
        """No attempts left, or the budget of retries is used up. Being throttled is no failure and costs nothing."""
        if state.attempt_number >= self.policy.attempts:
            return True
        error = state.outcome.exception() if state.outcome else None
        return not isinstance(error, RateLimitedError) and not self.budget.spend()

    def wait_seconds(self, state: RetryCallState) -> float:
        """Full jitter. Where the upstream named a time, the route is paused anyway: the jitter spreads the return."""
        return self.jitter(state.attempt_number)

    def jitter(self, attempt: int) -> float:
        """Evenly from 0 to min(cap, base · 2^(attempt-1))."""
        ceiling = min(self.policy.cap_seconds, self.policy.base_seconds * 2 ** min(attempt - 1, 30))
        return self._random.uniform(0.0, ceiling)
