"""The clock of a server: each time of a plan becomes a job once, missed ones are made up for once. Both engines."""

from __future__ import annotations

import pytest

from polyhouse.errors import RetryableError
from polyhouse.jobs.plans import plans, schedule_document
from polyhouse.jobs.schedule import Schedule
from polyhouse.state import open_state

HOUR = 3_600
START = 1_800_000_000 // HOUR * HOUR + 600
ONLY_TOP = dict.fromkeys(("incremental", "open-markets", "full", "everything"), "off") | {"top": "0 * * * *"}


class Clock:
    now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else f"sqlite:///{tmp_path}/s.db"


def seen_to(url, clock, woken, chosen=ONLY_TOP):
    """What a server does at its start, or when APScheduler calls."""
    with open_state(url, now=clock) as state:
        schedule = Schedule(chosen, 0, state, lambda: woken.append(clock.now), clock)
        for plan in plans(chosen):
            if plan.rule is not None:
                schedule.see_to(plan)
        return [(job.action, job.status) for job in state.jobs()]


def test_a_new_schedule_begins_now_and_each_hour_is_one_job(url, clock):
    woken = []
    assert seen_to(url, clock, woken) == []
    clock.now = START + HOUR
    assert seen_to(url, clock, woken) == [("top", "queued")]
    assert seen_to(url, clock, woken) == [("top", "queued")]
    assert len(woken) == 1
    with open_state(url, now=clock) as state:
        state.finish_job(state.claim_job().id, "done")
    clock.now += HOUR
    assert seen_to(url, clock, woken) == [("top", "queued"), ("top", "done")]


def test_times_that_passed_without_a_server_are_one_job(url, clock):
    seen_to(url, clock, [])
    clock.now = START + 49 * HOUR
    assert seen_to(url, clock, []) == [("top", "queued")]
    clock.now += 60
    assert seen_to(url, clock, []) == [("top", "queued")]


def test_two_servers_make_one_job_of_a_time(url, clock):
    seen_to(url, clock, [])
    clock.now += HOUR
    with open_state(url, now=clock) as one, open_state(url, now=clock) as two:
        (plan,) = [plan for plan in plans(ONLY_TOP) if plan.rule is not None]
        for state in (one, two, one):
            Schedule(ONLY_TOP, 0, state, lambda: None, clock).see_to(plan)
        assert len(one.jobs()) == 1
        assert one.claim_job() is not None
        assert two.claim_job() is None, "one run at a time, over all processes"


def test_a_new_rule_begins_now(url, clock):
    seen_to(url, clock, [])
    clock.now += 10 * HOUR
    assert seen_to(url, clock, [], ONLY_TOP | {"top": "30 * * * *"}) == []
    clock.now += HOUR
    assert seen_to(url, clock, [], ONLY_TOP | {"top": "30 * * * *"}) == [("top", "queued")]


def test_a_state_store_that_is_away_loses_no_time(tmp_path, clock):
    with open_state(f"sqlite:///{tmp_path}/s.db", now=clock) as state:
        schedule = Schedule(ONLY_TOP, 0, state, lambda: None, clock)
        (plan,) = [plan for plan in plans(ONLY_TOP) if plan.rule is not None]
        schedule.see_to(plan)
        clock.now += HOUR

        def away(*_arguments):
            raise RetryableError("away")

        whole, state.take_slot = state.take_slot, away
        schedule.see_to(plan)
        assert state.jobs() == []
        state.take_slot = whole
        schedule.see_to(plan)
        assert len(state.jobs()) == 1


def test_the_document_shows_the_next_time_and_the_last_job(url, clock):
    seen_to(url, clock, [])
    clock.now += HOUR
    seen_to(url, clock, [])
    with open_state(url, now=clock) as state:
        state.finish_job(state.claim_job().id, "partial")
        document = schedule_document(ONLY_TOP, state, clock.now)
    rows = {row["plan"]: row for row in document["rows"]}
    assert rows["full"] | {"summary": ""} == {
        "plan": "full", "summary": "", "rule": None, "next_at": None, "last_job": None,
    }  # fmt: skip
    assert rows["top"]["next_at"] == "2027-01-15T10:00:00Z"
    assert rows["top"]["last_job"]["status"] == "partial"
