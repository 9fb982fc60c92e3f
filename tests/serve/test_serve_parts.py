"""The parts of a server that decide what is fresh, who must wait, and which form is answered."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.serve.coalesce import Fresh
from polyhouse.serve.forms import chosen_form, takes_gzip
from polyhouse.serve.limits import MOST_CLIENTS, ClientLimit
from polyhouse.serve.refusals import NotAcceptableError


async def test_many_callers_share_computations_and_none_gets_one_that_began_before_it_asked():
    begun = running = 0

    async def compute():
        nonlocal begun, running
        begun, running = begun + 1, running + 1
        assert running == 1, "one at a time"
        number = begun
        await asyncio.sleep(0.01)
        running -= 1
        return number

    fresh = Fresh(compute)

    async def caller(delay):
        await asyncio.sleep(delay)
        before = begun
        assert await fresh() > before

    await asyncio.gather(*(caller(number % 40 / 1000) for number in range(400)))
    assert begun < 40


async def test_an_error_goes_to_those_who_share_it_and_is_forgotten():
    outcomes = iter([RuntimeError("away"), 7])

    async def compute():
        outcome = next(outcomes)
        await asyncio.sleep(0.01)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    fresh = Fresh(compute)
    found = await asyncio.gather(fresh(), fresh(), return_exceptions=True)
    assert [type(one) for one in found] == [RuntimeError, RuntimeError]
    assert await fresh() == 7


async def test_a_caller_that_goes_away_takes_nobodys_answer_with_it():
    async def compute():
        await asyncio.sleep(0.02)
        return 1

    fresh = Fresh(compute)
    impatient, patient = asyncio.create_task(fresh()), asyncio.create_task(fresh())
    await asyncio.sleep(0.005)
    impatient.cancel()
    assert await patient == 1


@given(
    st.integers(1, 600), st.integers(1, 50), st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=300)
)  # fmt: skip
def test_nobody_passes_more_often_than_the_limit(per_minute, burst, waits):
    clock = [0.0]
    limit = ClientLimit(per_minute, burst, lambda: clock[0])
    passed = 0
    for wait in waits:
        clock[0] += wait
        passed += not limit.take("a")
    assert passed <= burst + clock[0] * per_minute / 60 + 1e-6
    rest = limit.wait("a")
    clock[0] += rest
    assert limit.take("a") == 0.0, "after the time it named, the next one passes"


def test_clients_have_limits_of_their_own_in_bounded_memory():
    limit = ClientLimit(60, 1, lambda: 0.0)
    assert [limit.take(f"client {number}") for number in range(MOST_CLIENTS + 1_000)] == [0.0] * (MOST_CLIENTS + 1_000)
    assert limit.take(f"client {MOST_CLIENTS + 999}") > 0
    assert limit.take("client 0") == 0.0, "the one that was quiet longest was forgotten"
    assert ClientLimit(0, 1).take("anybody") == 0.0


@pytest.mark.parametrize(
    ("header", "taken"),
    [("", False), ("gzip", True), ("br, GZIP", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False),
     ("x-gzip", False), ("gzip;q=1", True), ("gzip;q=x", False), ("identity", False)],
)  # fmt: skip
def test_compression_is_for_those_who_take_it(header, taken):
    assert takes_gzip(header) is taken


@given(st.text(max_size=60))
def test_any_accept_header_is_answered_or_refused(header):
    try:
        assert chosen_form("leaderboard", header).media_type
    except NotAcceptableError:
        assert header.strip()
