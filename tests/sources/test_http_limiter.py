import asyncio
import random
import time

import pytest
from aiohttp import web

from polyhouse.errors import RateLimitedError
from polyhouse.sources.http import HostLimits, HttpClient, RouteClass
from polyhouse.sources.http.limiter import SlidingWindow


def busiest_window(times, window):
    """The most events in any half-open window of this length."""
    times = sorted(times)
    first = most = 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


async def test_no_window_of_the_server_ever_holds_more_than_the_limit(virtual_clock):
    limiter = SlidingWindow(20, virtual_clock, window=10.0)
    rng = random.Random(3)
    arrivals = []

    async def request():
        await limiter.acquire()
        await virtual_clock.sleep(rng.uniform(0.0, 4.0))  # on the way
        arrivals.append(virtual_clock.now)
        await virtual_clock.sleep(rng.uniform(0.0, 4.0))  # the answer
        limiter.release()

    started = virtual_clock.now
    await virtual_clock.run(asyncio.gather(*(request() for _ in range(200))))
    assert len(arrivals) == 200
    assert busiest_window(arrivals, 10.0) <= 20
    # Not slower than the latency makes it: each place comes back after at most 8 + 10 seconds.
    assert virtual_clock.now - started <= 10 * 18.0


async def test_full_rate_is_used(virtual_clock):
    limiter = SlidingWindow(50, virtual_clock, window=10.0)

    async def request():
        await limiter.acquire()
        limiter.release()

    started = virtual_clock.now
    await virtual_clock.run(asyncio.gather(*(request() for _ in range(500))))
    # 450 of them have to wait for a place; the last window's requests are spread over nine tenths of it.
    assert 90.0 <= virtual_clock.now - started <= 99.0


async def test_grants_are_spread_so_that_later_windows_need_no_burst(virtual_clock):
    limiter = SlidingWindow(100, virtual_clock, window=10.0)
    grants = []
    slots = asyncio.Semaphore(6)  # enough for the mean rate and a third more, by far too few for bursts
    rng = random.Random(1)

    async def request():
        async with slots:
            await limiter.acquire()
            grants.append(virtual_clock.now)
            await virtual_clock.sleep(rng.uniform(0.3, 0.6))
            limiter.release()

    await virtual_clock.run(asyncio.gather(*(request() for _ in range(1_000))))
    assert busiest_window(grants, 1.0) <= 100 * 1.05 / 10 + 100 * 0.1 + 1
    windows = [later - earlier for earlier, later in zip(grants, grants[100:], strict=False)]
    assert sum(windows) / len(windows) <= (10.0 + 0.45) * 1.01  # one mean latency a window, and nothing on top


async def test_a_place_counts_from_the_beginning_of_the_answer(serve):
    finish = asyncio.Event()

    async def handler(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b"[")
        await finish.wait()
        await response.write(b"]")
        return response

    limits = HostLimits("test", 1_000, (RouteClass("rows", ("/rows",), 1),))
    async with HttpClient(await serve(handler), limits, rate_scale=1.0, window=0.05) as client:
        first = asyncio.create_task(client.get("/rows", None, len))
        while not client.snapshot() or client.snapshot()[0].used:  # noqa: ASYNC110 - a counter, not an event
            await asyncio.sleep(0.01)
        assert not first.done()
        second = asyncio.create_task(client.get("/rows", None, len))
        while client.snapshot()[0].requests < 2:  # noqa: ASYNC110 - a counter, not an event
            await asyncio.sleep(0.01)
        finish.set()
        assert await asyncio.gather(first, second) == [2, 2]


async def test_first_come_first_served(virtual_clock):
    limiter = SlidingWindow(3, virtual_clock, window=10.0)
    order = []

    async def request(number):
        await limiter.acquire()
        order.append(number)
        limiter.release()

    await virtual_clock.run(asyncio.gather(*(request(number) for number in range(30))))
    assert order == list(range(30))


async def test_a_cancelled_place_is_free_at_once(virtual_clock):
    limiter = SlidingWindow(1, virtual_clock, window=10.0)
    await virtual_clock.run(limiter.acquire())
    limiter.cancel()
    before = virtual_clock.now
    await virtual_clock.run(limiter.acquire())
    assert virtual_clock.now == before
    assert limiter.used == 1


async def test_refusals_slow_down_and_quiet_windows_bring_the_rate_back(virtual_clock):
    limiter = SlidingWindow(100, virtual_clock, window=10.0)
    limiter.slow_down()
    limiter.slow_down()  # the same moment: one refusal, not two
    assert limiter.effective_limit == 70
    await virtual_clock.run(virtual_clock.sleep(2.0))
    limiter.slow_down()
    assert limiter.effective_limit == 48
    await virtual_clock.run(virtual_clock.sleep(10.0))
    assert limiter.effective_limit == 59
    await virtual_clock.run(virtual_clock.sleep(100.0))
    assert limiter.effective_limit == 100


async def test_a_pause_holds_everybody(virtual_clock):
    limiter = SlidingWindow(100, virtual_clock, window=10.0)
    limiter.pause(30.0)
    started = virtual_clock.now
    await virtual_clock.run(asyncio.gather(*(limiter.acquire() for _ in range(5))))
    assert virtual_clock.now - started == pytest.approx(30.0)


async def test_a_pause_beyond_patience_names_the_figure(virtual_clock):
    limiter = SlidingWindow(100, virtual_clock, window=10.0, patience=120.0)
    limiter.pause(3_600.0)
    with pytest.raises(RateLimitedError) as caught:
        await virtual_clock.run(limiter.acquire())
    assert caught.value.retry_after_seconds == pytest.approx(3_600.0)
    assert limiter.used == 0


async def test_a_real_server_never_counts_more_than_the_limit(serve):
    arrivals = []
    rng = random.Random(5)

    async def handler(request):
        arrivals.append(time.monotonic())
        await asyncio.sleep(rng.uniform(0.0, 0.03))
        return web.json_response({})

    limits = HostLimits("test", 1_000, (RouteClass("rows", ("/rows",), 20),))
    async with HttpClient(await serve(handler), limits, rate_scale=1.0, window=0.4) as client:
        await asyncio.gather(*(client.get("/rows", None, len) for _ in range(100)))
        stats = client.snapshot()[0]
    assert len(arrivals) == 100
    assert busiest_window(arrivals, 0.4) <= 20
    assert arrivals[-1] - arrivals[0] < 4.0
    assert (stats.name, stats.requests, stats.errors, stats.limit) == ("test.rows", 100, 0, 20)


async def test_groups_and_totals_bind_classes_together(serve):
    arrivals = []

    async def handler(request):
        arrivals.append(time.monotonic())
        return web.json_response({})

    limits = HostLimits(
        "test", 1_000, (RouteClass("a", ("/a",), 30, "both"), RouteClass("b", ("/b",), 30, "both")), {"both": 10}
    )
    async with HttpClient(await serve(handler), limits, rate_scale=1.0, window=0.3) as client:
        await asyncio.gather(*(client.get("/a" if n % 2 else "/b", None, len) for n in range(40)))
    assert busiest_window(arrivals, 0.3) <= 10
