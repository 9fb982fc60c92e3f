"""A server that follows live trades: what happens in the simulated Polymarket is in its feed and in its numbers, also
while a job runs, and whenever the server is killed.
"""

import http.server
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress

import pytest
from api_server import Server, polyhouse, until
from live_polymarket import HOUR, Simulated, fills, live_settings, new_fills, told, transactions

KEY = {"X-API-Key": "k"}
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def simulated(tmp_path):
    running = Simulated(tmp_path)
    yield running
    running.process.terminate()
    running.process.communicate(timeout=30)


@pytest.fixture
def slow_gamma(simulated):
    """Gamma, whose list of events never ends its answer; everything else is as always."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/events"):
                time.sleep(600)
            try:
                with urllib.request.urlopen(simulated.settings["gamma_url"] + self.path, timeout=30) as answer:
                    content, status, kind = answer.read(), answer.status, answer.headers["Content-Type"]
            except urllib.error.HTTPError as error:
                content, status, kind = error.read(), error.code, error.headers["Content-Type"]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()


def test_what_happens_is_in_the_feed_and_in_the_numbers_also_while_a_job_runs(tmp_path, simulated, slow_gamma):
    settings = live_settings(simulated) | {"admin_api_key": "k"}
    assert polyhouse(tmp_path, "run", **settings).returncode == 0
    began = simulated.advance(0)
    server = Server(tmp_path, scheduled=True, **settings | {"gamma_url": slow_gamma})
    try:
        before = server.json("/api/status")[1]["trades"]
        first = new_fills(simulated, began)
        until(
            lambda: server.json("/api/status")[1]["trades"] > before and first <= transactions(told(server)),
            seconds=120,
        )
        job = server.json("/api/admin/schedule/everything/run", "POST", headers=KEY)[1]["id"]
        until(lambda: server.json(f"/api/admin/jobs/{job}", headers=KEY)[1]["status"] == "running")
        paused = simulated.advance(0)
        second = new_fills(simulated, paused)
        until(lambda: second <= transactions(told(server)), seconds=60)
        known = told(server)
        assert server.json(f"/api/admin/jobs/{job}", headers=KEY)[1]["status"] == "running"
        assert len(known) == len(set(known)), "each trade is told once"
        assert transactions(known) <= fills(began, simulated.advance(0))
    finally:
        server.kill()


def stored(server):
    """Transactions of the last hours of which the store has rows, built or not."""
    (file,) = server.home.glob("serve-*.token")
    statement = (
        "SELECT DISTINCT lower(hex(tx)) AS tx_hex FROM observations WHERE kind IN ('BUY', 'SELL') AND ts >"
        " (SELECT max(ts) FROM observations WHERE kind IN ('BUY', 'SELL')) - INTERVAL 18 HOUR"
    )
    body = {"command": "sql", "arguments": {"statement": statement}}
    _, found = server.json("/internal/query", "POST", body, {"Authorization": f"Bearer {file.read_text()}"})
    return {bytes.fromhex(row[0]) for row in found["rows"]}


def test_a_server_that_is_killed_in_live_commits_loses_no_trade_and_tells_none_twice(tmp_path, simulated):
    settings = live_settings(simulated)
    assert polyhouse(tmp_path, "run", **settings).returncode == 0
    began = simulated.advance(0)
    places = ("K8", "L1", None)
    for number, place in enumerate(places):
        server = Server(tmp_path, scheduled=True, **settings, **({"failpoint": place} if place else {}))
        try:
            if number:  # nothing new has happened since the kill: what it left must be built and told by itself
                until(lambda server=server: stored(server) <= transactions(told(server)), seconds=120)
            for _ in range(240 if place else 0):
                simulated.advance(6 * HOUR)
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(timeout=1)
                    break
            if place:
                assert server.process.poll() == -9, f"it was to be killed at {place}"
                continue
            known = told(server)
            assert len(known) == len(set(known)) > 0
            assert transactions(known) <= fills(began, simulated.advance(0))
            ids = [event["id"] for event in server.json("/api/feed?limit=1000")[1]["events"]]
            assert ids == sorted(set(ids))
        finally:
            server.kill()
