import asyncio
import random

import pytest

from polyhouse.errors import (
    CircuitOpenError,
    CursorRejectedError,
    RateLimitedError,
    RetryableError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.sources.http import RetryPolicy
from polyhouse.sources.http.breaker import CircuitBreaker
from polyhouse.sources.http.retry import Backoff, RetryBudget, error_of, retry_after_seconds

NOW = 1_790_000_000.0  # Mon, 21 Sep 2026 14:13:20 GMT
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}
V2_ERROR = b'{"error":"boom","code":"internal","retryable":true,"trace_id":"t"}'

ERRORS = [
    # status, headers, body, cursor in the request, expected class
    (400, JSON, b'{"error":"invalid cursor"}', True, CursorRejectedError),
    (400, JSON, b'{"error":"invalid limit"}', False, UpstreamRefusedError),
    (401, JSON, b'{"error":"unauthorized"}', False, UpstreamRefusedError),
    (402, {}, b"", False, UpstreamRefusedError),
    (403, HTML, b"<html>blocked</html>", True, UpstreamRefusedError),
    (403, {"Content-Type": "text/plain"}, b"error code: 1015", False, RateLimitedError),
    (403, JSON, b'{"error":"forbidden"}', False, UpstreamRefusedError),
    (404, JSON, b'{"error":"not found"}', True, UpstreamRefusedError),
    (405, JSON, b"{}", False, UpstreamRefusedError),
    (408, JSON, V2_ERROR, False, UpstreamUnavailableError),
    (410, {}, b"", False, UpstreamRefusedError),
    (413, {}, b"", False, UpstreamRefusedError),
    (414, HTML, b"<html>too long</html>", False, UpstreamRefusedError),
    (418, {}, b"", False, UpstreamRefusedError),
    (422, JSON, b'{"type":"validation error","error":"offset"}', True, UpstreamRefusedError),
    (425, JSON, b'{"error":"matching engine restarting"}', False, UpstreamUnavailableError),
    (429, JSON, V2_ERROR, False, RateLimitedError),
    (429, HTML, b"<html>slow down</html>", True, RateLimitedError),
    (429, {"Content-Type": "text/plain"}, b"error code: 1015", False, RateLimitedError),
    (429, {}, b"", False, RateLimitedError),
    (431, {}, b"", False, UpstreamRefusedError),
    (451, {}, b"", False, UpstreamRefusedError),
    (500, JSON, b'{"type":"internal error","error":"cannot get the information"}', True, UpstreamUnavailableError),
    (500, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (501, {}, b"", False, UpstreamUnavailableError),
    (502, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (503, JSON, b'{"error":"cancel-only","code":"post_only_mode"}', False, UpstreamUnavailableError),
    (503, JSON, V2_ERROR, True, UpstreamUnavailableError),
    (504, {}, b"", False, UpstreamUnavailableError),
    (520, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (521, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (522, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (523, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (524, HTML, b"<html></html>", True, UpstreamUnavailableError),
    (525, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (526, HTML, b"<html></html>", False, UpstreamUnavailableError),
    (530, HTML, b"error code: 1016", False, UpstreamUnavailableError),
    (599, {}, b"", False, UpstreamUnavailableError),
    (204, {}, b"", False, UpstreamRefusedError),
    (400, JSON, b"{broken", True, CursorRejectedError),
]


@pytest.mark.parametrize(("status", "headers", "body", "cursor", "expected"), ERRORS)
def test_status_to_error_class(status, headers, body, cursor, expected):
    error = error_of(status, headers, body, where="data: GET /v2/trades", has_cursor=cursor, now=NOW)
    assert type(error) is expected
    assert str(status) in str(error)
    assert "<html" not in str(error)
    if isinstance(error, UpstreamRefusedError):
        assert error.status == status
    assert Backoff(RetryPolicy(), random.Random(1)).may_retry(error) is isinstance(error, RetryableError)


@pytest.mark.parametrize(
    ("text", "date", "expected"),
    [
        ("0", None, 0.0),
        ("5", None, 5.0),
        ("120", None, 120.0),
        ("1e9", None, 1e9),
        ("-1", None, None),
        ("soon", None, None),
        ("1.5", None, 1.5),
        ("inf", None, None),
        ("nan", None, None),
        ("", None, None),
        ("Mon, 21 Sep 2026 14:13:50 GMT", None, 30.0),
        ("Mon, 21 Sep 2026 14:00:00 GMT", None, 0.0),
        ("Mon, 21 Sep 2026 16:13:50 +0200", None, 30.0),
        ("Mon, 21 Sep 2026 14:13:50 GMT", "Mon, 21 Sep 2026 14:13:40 GMT", 10.0),  # our clock runs behind theirs
    ],
)
def test_retry_after(text, date, expected):
    headers = {"Retry-After": text} | ({"Date": date} if date else {})
    assert retry_after_seconds(headers, NOW) == expected


def test_a_wait_beyond_the_cap_is_not_retried_and_keeps_its_figure():
    error = error_of(429, {"Retry-After": "3600"}, b"", where="x", has_cursor=False, now=NOW)
    assert not Backoff(RetryPolicy(), random.Random(1)).may_retry(error)
    assert error.retry_after_seconds == 3600


def test_jitter_is_full():
    backoff = Backoff(RetryPolicy(base_seconds=0.5, cap_seconds=20.0), random.Random(7))
    for attempt, ceiling in ((1, 0.5), (2, 1.0), (4, 4.0), (6, 16.0), (7, 20.0), (60, 20.0)):
        draws = [backoff.jitter(attempt) for _ in range(10_000)]
        assert min(draws) >= 0
        assert max(draws) <= ceiling
        assert sum(draws) / len(draws) == pytest.approx(ceiling / 2, rel=0.03)


def test_the_budget_allows_a_tenth_of_extra_requests():
    budget = RetryBudget(20)
    granted = 0
    for _ in range(1_000):
        budget.earn()
        granted += budget.spend()
    assert 110 <= granted <= 120
    assert not RetryBudget(0).spend()


async def test_breaker_opens_after_five_failures_and_one_probe_closes_it(virtual_clock):
    breaker = CircuitBreaker("data", virtual_clock)
    for number in range(5):
        assert breaker.state == "closed", number
        assert await breaker.enter() is False
        breaker.failed(probe=False)
    assert breaker.state == "open"
    breaker.failed(probe=False)  # a late one does not prolong the pause

    started = virtual_clock.now
    passed = []

    async def worker(number):
        probe = await breaker.enter()
        passed.append((number, probe, virtual_clock.now - started))
        await virtual_clock.sleep(2.0)
        breaker.succeeded()

    await virtual_clock.run(asyncio.gather(*(worker(number) for number in range(4))))
    assert [probe for _, probe, _ in passed] == [True, False, False, False]
    assert passed[0][2] == pytest.approx(30.0)
    assert all(at >= 32.0 for _, _, at in passed[1:])
    assert breaker.state == "closed"


async def test_breaker_gives_up_when_the_probe_fails(virtual_clock):
    breaker = CircuitBreaker("data", virtual_clock)
    for _ in range(5):
        breaker.failed(probe=False)

    async def worker():
        probe = await breaker.enter()
        await virtual_clock.sleep(1.0)
        breaker.failed(probe=probe)
        return "probe"

    results = await virtual_clock.run(asyncio.gather(*(worker() for _ in range(3)), return_exceptions=True))
    assert results[0] == "probe"
    assert [type(result) for result in results[1:]] == [CircuitOpenError, CircuitOpenError]
    assert breaker.state == "open"


async def test_a_probe_that_takes_longer_than_the_pause_is_waited_for(virtual_clock):
    breaker = CircuitBreaker("data", virtual_clock, pause=0.05)
    for _ in range(5):
        breaker.failed(probe=False)
    virtual_clock.now += 0.05

    async def worker():
        probe = await breaker.enter()
        await virtual_clock.sleep(1.0)
        breaker.succeeded()
        return probe

    assert await virtual_clock.run(asyncio.gather(*(worker() for _ in range(3)))) == [True, False, False]


async def test_a_cancelled_probe_leaves_the_door_to_the_next(virtual_clock):
    breaker = CircuitBreaker("data", virtual_clock)
    for _ in range(5):
        breaker.failed(probe=False)
    assert await virtual_clock.run(breaker.enter()) is True
    breaker.abandoned(probe=True)
    assert await virtual_clock.run(breaker.enter()) is True


async def test_successes_in_between_keep_the_breaker_closed(virtual_clock):
    breaker = CircuitBreaker("data", virtual_clock)
    for _ in range(20):
        for _ in range(4):
            breaker.failed(probe=False)
        breaker.succeeded()
    assert breaker.state == "closed"
