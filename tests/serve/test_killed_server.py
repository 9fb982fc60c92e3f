"""Servers that are killed or stopped in the middle of a job: nothing that was asked or planned is lost."""

from __future__ import annotations

import signal
import time

import pytest
from api_server import Server, until

from polyhouse.cli.simulation import simulated_polymarket
from polyhouse.state import open_state

pytestmark = pytest.mark.timeout(400)
KEY = {"X-API-Key": "k"}


@pytest.fixture(scope="module")
def slow():
    """Settings for a simulated Polymarket: at the published limits a job takes a while, far above them a moment."""
    with simulated_polymarket(seed=3, wallets=14, rate_scale=30.0) as running:
        found = {"gamma_url": running.gamma_url, "clob_url": running.clob_url, "data_url": running.data_url}
        yield found | {"admin_api_key": "k"}


def job_of(server, number):
    return server.json(f"/api/admin/jobs/{number}", headers=KEY)[1]


def progress_of(server, number):
    found = job_of(server, number)
    return found["status"] == "running" and found["progress"] and found["progress"]["step"]


def test_a_killed_server_goes_on_with_its_jobs(tmp_path, slow):
    server = Server(tmp_path, **slow, rate_scale=0.3)
    numbers = [
        server.json("/api/admin/ingest", "POST", {"action": action}, KEY | {"Idempotency-Key": action})[1]["id"]
        for action in ("full", "discover")
    ]
    until(lambda: progress_of(server, numbers[0]))
    server.kill()
    server = Server(tmp_path, **slow, rate_scale=0.3)
    try:
        repeat = server.json("/api/admin/ingest", "POST", {"action": "full"}, KEY | {"Idempotency-Key": "full"})[1]
        assert repeat["id"] == numbers[0]
        # Until it is taken up again, the job shows how far the killed server came.
        until(lambda: job_of(server, numbers[0])["deaths"])
        until(lambda: progress_of(server, numbers[0]))
        assert job_of(server, numbers[0])["deaths"] == 1
        assert job_of(server, numbers[1])["status"] == "queued"
        assert server.stop() == 128 + signal.SIGTERM
    finally:
        server.kill()
    with open_state(f"sqlite:///{tmp_path}/state.db") as state:
        stopped = state.job(numbers[0])
        assert (stopped.status, stopped.deaths) == ("queued", 1), "a stop puts the job back and is no death"
    server = Server(tmp_path, **slow, rate_scale=30)
    try:
        for number in numbers:
            until(lambda number=number: job_of(server, number)["status"] not in {"queued", "running"})
            assert job_of(server, number)["status"] == "done", job_of(server, number)
        assert server.json("/api/status")[1]["wallets"]["completed"] > 5
        assert server.json("/api/leaderboard?min_units=0&min_gains_losses=0")[1]["count"] > 3
    finally:
        server.stop()


def test_a_running_job_is_cancelled_at_a_page_boundary_and_the_next_one_goes_on(tmp_path, slow):
    server = Server(tmp_path, **slow, rate_scale=0.3)
    try:
        number = server.json("/api/admin/ingest", "POST", {"action": "full"}, KEY)[1]["id"]
        until(lambda: progress_of(server, number))
        assert server.json(f"/api/admin/jobs/{number}/cancel", "POST", headers=KEY)[0] == 202
        until(lambda: job_of(server, number)["status"] == "cancelled")
        following = server.json("/api/admin/schedule/metrics/run", "POST", headers=KEY)[1]["id"]
        until(lambda: job_of(server, following)["status"] == "done")
        assert server.json("/api/admin/jobs?status=running", headers=KEY)[1]["count"] == 0
    finally:
        server.stop()


def test_times_of_plans_that_passed_while_no_server_ran_are_made_up_for_once(tmp_path, slow):
    hours_ago = time.time() - 5 * 3_600
    with open_state(f"sqlite:///{tmp_path}/state.db", now=lambda: hours_ago) as state:
        state.keep_schedule("top", "0 * * * *")
        state.keep_schedule("open-markets", "10,25,40,55 * * * *")
    plan = '{"top": "0 * * * *", "open-markets": "off", "incremental": "off", "full": "off", "everything": "off"}'
    server = Server(tmp_path, scheduled=True, schedule=plan, schedule_jitter_seconds=0, **slow, rate_scale=30)
    try:
        rows = until(lambda: server.json("/api/admin/jobs", headers=KEY)[1]["rows"])
        assert [(row["action"], row["origin"]) for row in rows] == [("top", "schedule:top")]
        until(lambda: job_of(server, rows[0]["id"])["status"] == "done")
        schedule = server.json("/api/status")[1]["schedule"]
        assert schedule["is_on"]
        assert [entry["plan"] for entry in schedule["next"]] == ["top"]
    finally:
        server.stop()
    server = Server(tmp_path, scheduled=True, schedule=plan, schedule_jitter_seconds=0, **slow, rate_scale=30)
    try:
        assert len(server.json("/api/admin/jobs", headers=KEY)[1]["rows"]) in {1, 2}, "two only across the full hour"
    finally:
        server.stop()
