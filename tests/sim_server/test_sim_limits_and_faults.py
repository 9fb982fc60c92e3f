"""Rate limits, faults, cache, compression and control of the simulated upstreams."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
import pytest

from polyhouse.errors import BadInputError
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.limits import Limiter
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_window_slides_and_refused_requests_do_not_count():
    clock = FakeClock()
    limiter = Limiter(scale=0.05, clock=clock)  # trades: 10 in 10 s
    assert limiter.limit_of("data/v2/trades") == 10
    accepted = []
    for _ in range(300):
        if limiter.check("data/v2/trades") is None:
            accepted.append(clock.now)
        clock.now += 0.25
    for start in accepted:
        assert sum(start <= moment < start + 10 for moment in accepted) <= 10
    assert len(accepted) == 80  # 75 seconds of 10 per 10 s
    assert limiter.refused["data trades"] == 220
    assert limiter.check("data/v2/value") is None


def test_429_comes_in_all_four_forms():
    limiter = Limiter(scale=0.005, clock=FakeClock())
    replies = [reply for _ in range(200) if (reply := limiter.check("data/v2/trades")) is not None]
    headers = [reply.headers.get("Retry-After") for reply in replies]
    assert any(text is not None and text.isdigit() and 1 <= int(text) <= 10 for text in headers)
    assert any(text is not None and not text.isdigit() and parsedate_to_datetime(text) for text in headers)
    cloudflare = [reply for reply in replies if reply.body == b"error code: 1015"]
    assert cloudflare
    assert all(reply.content_type.startswith("text/html") for reply in cloudflare)
    silent = [reply for reply in replies if reply.body is None and not reply.headers]
    assert all(reply.doc["code"] == "rate_limited" for reply in silent)
    assert silent
    assert {reply.status for reply in replies} == {429}


async def test_limits_over_http_with_a_short_window(universe, browser):
    async with SimServer(universe, scale=0.05, limit_window=1.0) as server:
        url = f"{server.data_url}/v2/trades"
        answers = [await browser.get(url, limit=1) for _ in range(25)]
        assert [answer.status for answer in answers[:10]] == [200] * 10
        assert 429 in [answer.status for answer in answers[10:]]
        assert server.throttled["data/v2/trades"] == sum(answer.status == 429 for answer in answers)
        assert server.requests["data/v2/trades"] == 25
        await asyncio.sleep(1.05)
        assert (await browser.get(url, limit=1)).status == 200


@pytest.mark.parametrize(
    ("path", "status", "keys"),
    [
        ("gamma/events/keyset", 500, {"type", "error"}),
        ("clob/markets", 425, {"error"}),
        ("data/v2/trades", 503, {"error", "code", "retryable", "trace_id"}),
    ],
)
async def test_status_faults_have_the_shape_of_their_host(universe, browser, path, status, keys):
    plan = FaultPlan([Fault(path, "status", status=status, times=1, retry_after="3")])
    async with SimServer(universe, faults=plan) as server:
        answer = await browser.get(f"{server.base_url}/{path}")
        assert answer.status == status
        assert set(answer.doc) == keys
        assert answer.headers["Retry-After"] == "3"
        assert (await browser.get(f"{server.base_url}/{path}")).status == 200
        assert plan.fired == {f"{path}:status": 1}


async def test_broken_bodies(universe, browser):
    plan = FaultPlan()
    async with SimServer(universe, faults=plan) as server:
        url = f"{server.data_url}/v2/trades"
        plan.set([Fault("data/*", "html")])
        blocked = await browser.get(url)
        assert (blocked.status, blocked.headers["Content-Type"]) == (403, "text/html; charset=UTF-8")
        plan.set([Fault("data/*", "html", status=200)])
        assert (await browser.get(url)).body.startswith(b"<!DOCTYPE html>")
        plan.set([Fault("data/*", "empty")])
        empty = await browser.get(url)
        assert (empty.status, empty.body) == (200, b"")
        plan.set([Fault("data/*", "truncated")])
        cut = await browser.get(url)
        assert cut.status == 200
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(cut.body)
        plan.set([Fault("data/*", "reset", times=1)])
        with pytest.raises(aiohttp.ClientError):
            await browser.get(url)
        assert (await browser.get(url)).status == 200


async def test_slow_and_hanging_answers(universe, browser):
    plan = FaultPlan([Fault("data/v2/status", "slow", seconds=0.2, times=1)])
    async with SimServer(universe, faults=plan) as server:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert (await browser.get(f"{server.data_url}/v2/status")).status == 200
        assert loop.time() - begun >= 0.2
        plan.set([Fault("data/v2/status", "hang", seconds=30)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(browser.get(f"{server.data_url}/v2/status"), 0.2)
        plan.set([Fault("data/v2/status", "hang", seconds=0.05)])
        with pytest.raises(aiohttp.ClientError):
            await browser.get(f"{server.data_url}/v2/status")


async def test_repeated_pages_and_cursors(universe, browser):
    plan = FaultPlan()
    async with SimServer(universe, faults=plan) as server:
        url, user = f"{server.data_url}/v2/activity", universe.wallets[1]
        first = (await browser.get(url, user=user, start=1, limit=3)).doc
        cursor = first["pagination"]["next_cursor"]
        plan.set([Fault("data/v2/activity", "repeat_page", times=1)])
        repeated = (await browser.get(url, user=user, start=1, limit=3, cursor=cursor)).doc
        assert repeated["data"] == first["data"]
        assert repeated["pagination"]["next_cursor"] != cursor
        plan.set([Fault("data/v2/activity", "repeat_cursor", times=1)])
        again = (await browser.get(url, user=user, start=1, limit=3, cursor=cursor)).doc
        assert again["data"] != first["data"]
        assert again["pagination"] == {"limit": 3, "offset": 0, "has_more": True, "next_cursor": cursor}
        gamma = f"{server.gamma_url}/events/keyset"
        place = (await browser.get(gamma, limit=2)).doc["next_cursor"]
        plan.set([Fault("gamma/events/keyset", "repeat_cursor")])
        assert (await browser.get(gamma, limit=2, after_cursor=place)).doc["next_cursor"] == place


async def test_stale_head(browser):
    plan = FaultPlan([Fault("data/v2/trades", "stale_head")])
    async with SimServer(Universe(seed=5, wallets=40, fills=2000), faults=plan) as server:
        url = f"{server.data_url}/v2/trades"
        before = (await browser.get(url)).doc["data"]
        await server.advance(5 * 86_400)
        assert (await browser.get(url)).doc["data"] == before
        plan.set([])
        assert (await browser.get(url)).doc["data"] != before


async def test_cdn_cache_follows_simulated_time(browser):
    async with SimServer(Universe(seed=5, wallets=40, fills=2000), cache=True) as server:
        url = f"{server.data_url}/v2/trades"
        first = await browser.get(url, limit=50)
        hit = await browser.get(url, limit=50)
        assert hit.body == first.body
        assert hit.headers["x-trace-id"] == first.headers["x-trace-id"]
        varied = await browser.get(url, limit=51)
        assert varied.headers["x-trace-id"] != first.headers["x-trace-id"]
        await server.advance(299)
        assert (await browser.get(url, limit=50)).headers["x-trace-id"] == first.headers["x-trace-id"]
        await server.advance(1)
        assert (await browser.get(url, limit=50)).headers["x-trace-id"] != first.headers["x-trace-id"]


async def test_gzip_when_asked_for(server):
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        url = f"{server.data_url}/v2/trades"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            body = await packed.read()
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
            assert "Content-Encoding" not in plain.headers
            assert gzip.decompress(body) == await plain.read()


def test_probabilities_are_seeded_and_rules_have_bounds():
    rule = Fault("data/*", "status", probability=0.3, after=5, times=4)
    runs = []
    for _ in range(2):
        plan = FaultPlan([rule], seed=11)
        runs.append([plan.decide("data/v2/trades") is not None for _ in range(100)])
    assert runs[0] == runs[1]
    assert sum(runs[0]) == 4
    assert not any(runs[0][:5])
    assert plan.decide("gamma/events") is None
    for bad in ({"route": "x"}, {"route": "x", "kind": "status", "colour": 1}, {"route": "x", "kind": "meteor"}):
        with pytest.raises(BadInputError):
            FaultPlan([bad])
    with pytest.raises(BadInputError):
        Fault("x", "status", probability=2)


async def test_faults_over_the_control_route(server, browser):
    answer = await browser.post(f"{server.base_url}/_sim/faults", {"faults": [{"route": "clob/*", "kind": "empty"}]})
    assert answer.doc["faults"][0]["kind"] == "empty"
    assert (await browser.get(f"{server.clob_url}/markets")).body == b""
    stats = (await browser.get(f"{server.base_url}/_sim/stats")).doc
    assert stats["faults_fired"] == {"clob/*:empty": 1}
    assert stats["requests"] == {"clob/markets": 1}
    for path, doc in (("faults", {"faults": [{"kind": "empty"}]}), ("advance", {}), ("advance", {"seconds": -1})):
        assert (await browser.post(f"{server.base_url}/_sim/{path}", doc)).status == 400
    assert (await browser.get(f"{server.base_url}/_sim/nothing")).status == 404


def test_server_in_a_thread(universe):
    import urllib.request

    with ServerThread(SimServer(universe, enforce_limits=False)) as thread:
        with urllib.request.urlopen(f"{thread.server.data_url}/v2/status", timeout=10) as answer:
            assert json.load(answer)["data"]["serving"]["lag_seconds"] == 4
        assert thread.advance(0) == 0


def test_server_as_a_process():
    import urllib.request

    command = [sys.executable, "-m", "polyhouse.sim.server", "--wallets", "20", "--fills", "300", "--seed", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ), text=True) as process:
        urls = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"{urls['gamma_url']}/events/keyset?limit=1", timeout=10) as answer:
            assert len(json.load(answer)["events"]) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
