"""Jobs, schedules, keys and the audit log, on both engines."""

from __future__ import annotations

import threading

import pytest

from polyhouse.errors import BadInputError
from polyhouse.state import open_state
from polyhouse.state.jobs import JOB_LEASE_SECONDS, MOST_DEATHS, JobRequest, KeyReusedError

A_KEY = JobRequest(b"k" * 32, b"f" * 32)


def started(state, action="process"):
    state.add_job(action, "key:test")
    return state.claim_job()


def test_a_job_waits_is_claimed_and_ends(state, clock):
    job, is_new = state.add_job("discover", "key:ann")
    assert (is_new, job.status, job.origin, job.created_at) == (True, "queued", "key:ann", clock.now)
    clock.now += 5
    claimed = state.claim_job()
    assert (claimed.id, claimed.status, claimed.started_at) == (job.id, "running", clock.now)
    assert claimed.lease_until == clock.now + JOB_LEASE_SECONDS
    assert state.claim_job() is None
    state.keep_job(job.id, {"phase": "wallets", "done": 3})
    assert state.job(job.id).progress == {"phase": "wallets", "done": 3}
    state.finish_job(job.id, "partial", result={"counts": {"trades": 7}})
    ended = state.job(job.id)
    assert (ended.status, ended.result, ended.finished_at) == ("partial", {"counts": {"trades": 7}}, clock.now)


def test_asking_again_answers_with_the_job_that_waits(state):
    first, _ = state.add_job("process", "key:ann")
    again, is_new = state.add_job("process", "key:bob")
    assert (again.id, is_new) == (first.id, False)
    other, _ = state.add_job("discover", "key:bob")
    assert other.id > first.id
    state.claim_job()
    behind, is_new = state.add_job("process", "key:bob")
    assert is_new
    assert behind.id > first.id
    assert [job.id for job in state.jobs(status="queued")] == [behind.id, other.id]


def test_one_job_of_an_action_runs_at_a_time_the_oldest_first(state):
    first, _ = state.add_job("process", "a")
    assert state.claim_job().id == first.id
    state.add_job("process", "a")
    other, _ = state.add_job("discover", "a")
    assert state.claim_job().id == other.id
    assert state.claim_job() is None
    state.finish_job(first.id, "done")
    assert state.claim_job().action == "process"


def test_an_idempotency_key_answers_with_the_same_job_also_when_that_is_over(state):
    job, _ = state.add_job("process", "key:ann", A_KEY)
    state.claim_job()
    state.finish_job(job.id, "done")
    again, is_new = state.add_job("process", "key:ann", A_KEY)
    assert (again.id, is_new, again.status) == (job.id, False, "done")
    with pytest.raises(KeyReusedError):
        state.add_job("discover", "key:ann", JobRequest(A_KEY.key, b"g" * 32))
    assert len(state.jobs()) == 1


def test_a_thousand_triggers_make_one_job(state_url, clock):
    with open_state(state_url, now=clock) as state:
        found = set()

        def ask():
            for _ in range(50):
                found.add(state.add_job("full", "key:many")[0].id)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 1


def test_cancelling_ends_a_waiting_job_and_asks_a_running_one(state):
    waiting, _ = state.add_job("process", "a")
    assert state.cancel_job(waiting.id).status == "cancelled"
    running = started(state)
    assert state.cancel_job(running.id).status == "running"
    assert state.keep_job(running.id, None).cancel_asked
    state.put_back_job(running.id)
    assert state.job(running.id).status == "cancelled"
    assert state.cancel_job(running.id).status == "cancelled"
    assert state.cancel_job(99) is None
    assert state.claim_job() is None


def test_a_server_that_stops_puts_its_job_back_and_one_that_dies_loses_it(state_url, clock):
    with open_state(state_url, now=clock, worker="one") as one, open_state(state_url, now=clock, worker="two") as two:
        job = started(one)
        assert two.claim_job() is None
        one.put_back_job(job.id)
        taken = two.claim_job()
        assert (taken.id, taken.deaths, taken.worker) == (job.id, 0, "two")
        assert one.keep_job(job.id, None) is None
        one.finish_job(job.id, "done")
        assert two.job(job.id).status == "running"
        clock.now += JOB_LEASE_SECONDS
        back = one.claim_job()
        assert (back.id, back.deaths, back.worker) == (job.id, 1, "one")


def test_the_only_owner_of_a_store_takes_over_at_once(state_url, clock):
    with open_state(state_url, now=clock, worker="killed") as killed:
        job = started(killed)
    with open_state(state_url, now=clock, worker="next") as state:
        assert state.claim_job(is_owner=True).id == job.id
        assert state.claim_job(is_owner=True) is None


def test_a_job_that_kills_its_server_again_and_again_is_failed(state, clock):
    job = started(state)
    for _ in range(MOST_DEATHS):
        clock.now += JOB_LEASE_SECONDS
        state.claim_job()
    failed = state.job(job.id)
    assert (failed.status, failed.error_code, failed.deaths) == ("failed", "INTERRUPTED", MOST_DEATHS)


def test_jobs_are_listed_newest_first_page_by_page(state):
    ids = [state.add_job(action, "a")[0].id for action in ("discover", "process", "full")]
    assert [job.id for job in state.jobs(limit=2)] == [ids[2], ids[1]]
    assert [job.id for job in state.jobs(before=ids[1])] == [ids[0]]


def test_a_time_of_a_plan_becomes_a_job_once_over_all_processes(state_url, clock):
    with open_state(state_url, now=clock) as one, open_state(state_url, now=clock) as two:
        begun = one.keep_schedule("top", "0 * * * *")
        assert (begun.last_slot, begun.last_job) == (clock.now, 0)
        assert two.keep_schedule("top", "0 * * * *") == begun
        slot = clock.now + 3600
        job = one.take_slot("top", slot, "top")
        assert (job.action, job.origin) == ("top", "schedule:top")
        assert two.take_slot("top", slot, "top") is None
        assert two.take_slot("top", slot - 1, "top") is None
        assert two.schedule("top").last_job == job.id
        assert two.take_slot("top", slot + 3600, "top").id == job.id  # still waiting: one is enough
        clock.now += 10
        assert one.keep_schedule("top", "5 * * * *").last_slot == clock.now
        assert one.take_slot("unknown", slot, "top") is None


def test_a_key_is_stored_as_its_digest_and_found_by_its_secret_only(state, state_url, clock):
    secret = state.create_key("ann", ["ingest", "read"])
    assert secret.startswith("ph_")
    key = state.key_of(secret)
    assert (key.name, key.scopes, key.hint) == ("ann", ("read", "ingest"), secret[:8])
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "ph_\udcff", "\0", "é" * 40, "x" * 100_000):
        assert state.key_of(wrong) is None
    if state_url.startswith("sqlite"):
        for suffix in ("", "-wal"):
            with open(state_url.removeprefix("sqlite:///") + suffix, "rb") as file:  # noqa: PTH123
                assert secret.encode() not in file.read()


def test_keys_end_by_revocation_and_by_time(state, clock):
    assert not state.has_keys()
    first, second = state.create_key("first", ["read"]), state.create_key("second", ["read"], days=1)
    assert state.has_keys()
    assert state.revoke_key("first")
    assert not state.revoke_key("first")
    assert state.key_of(first) is None
    assert state.key_of(second).name == "second"
    clock.now += 86_400
    assert state.key_of(second) is None
    assert not state.has_keys()
    assert [(key.name, bool(key.revoked_at)) for key in state.list_keys()] == [("first", True), ("second", False)]


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["read"]), ("x", []), ("x", ["root"]), ("taken", ["read"]), ("a\nb", ["read"])]
)
def test_impossible_keys_are_refused(state, name, scopes):
    state.create_key("taken", ["read"])
    with pytest.raises(BadInputError):
        state.create_key(name, scopes)


def test_the_audit_log_is_read_newest_first(state, clock):
    state.log("ann", "job.start", outcome="202", target="process", address="127.0.0.1", request="r1")
    clock.now += 1
    state.log("-", "job.start", outcome="401")
    newest, oldest = state.audit_log()
    assert (newest.actor, newest.outcome, newest.at) == ("-", "401", clock.now)
    assert (oldest.actor, oldest.target, oldest.request) == ("ann", "process", "r1")
    assert state.audit_log(before=newest.id) == [oldest]
