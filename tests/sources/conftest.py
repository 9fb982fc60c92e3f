"""Clocks that tests control, and real servers on loopback."""

import asyncio
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web


class VirtualClock:
    """Time that moves only when every task waits for it."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self._sleepers: list[tuple[float, int, asyncio.Future]] = []
        self._count = itertools.count()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._count), future))
        await future

    async def run(self, work: Awaitable):
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(30):
                await asyncio.sleep(0)
            if not task.done() and self._sleepers:
                at, _, future = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not future.done():
                    future.set_result(None)
        return task.result()


class InstantClock:
    """Every sleep is over at once and moves the time; for tests with real sockets."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def virtual_clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def instant_clock() -> InstantClock:
    return InstantClock()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Callable], Awaitable[str]]]:
    """``await serve(handler)`` → base URL of a server that gives every GET to the handler."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def recorded() -> Path:
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "recorded"
    if not folder.is_dir():
        pytest.skip("the recorded responses are not beside this repository (../shared/recorded)")
    return folder


class FakeDataApi:
    """Rows behind the envelope of the Data API, cut into pages; cursors are ``c<offset>``."""

    def __init__(self, rows=()) -> None:
        self.rows = list(rows)
        self.queries: list[dict[str, str]] = []
        self.change = None  # function of (document, query) → document, to break answers

    def select(self, query):
        return self.rows

    async def __call__(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.queries.append(query)
        rows = self.select(query)
        start = int(query.get("cursor", "c0")[1:])
        limit = int(query.get("limit", 100))
        following = start + limit if start + limit < len(rows) else None
        document = {
            "data": rows[start : start + limit] or None,
            "pagination": {
                "limit": limit,
                "offset": 0,
                "has_more": following is not None,
                "next_cursor": None if following is None else f"c{following}",
            },
        }
        if self.change is not None:
            document = self.change(document, query)
        return web.json_response(document)


@pytest.fixture
def fake_data_api() -> FakeDataApi:
    return FakeDataApi()


@pytest.fixture
async def data_client(serve, fake_data_api, instant_clock):
    from polyhouse.sources.http import DATA, HttpClient

    async with HttpClient(await serve(fake_data_api), DATA, clock=instant_clock, rate_scale=1_000.0) as client:
        yield client


async def walk_to_the_end(stream, partition, position=None):
    """All pages of one walk."""
    return [page async for page in stream.pages(partition, position or {})]


async def walk_in_pieces(stream_factory, partition, position=None):
    """The same walk, stopped after every page and taken up again from the stored position by a new stream."""
    position, pages = dict(position or {}), []
    while True:
        walk = stream_factory().pages(partition, json.loads(json.dumps(position)))
        page = await anext(walk)
        await walk.aclose()
        pages.append(page)
        position = dict(page.position)
        if page.is_last:
            return pages


def rows_of(pages, table="observations"):
    """The rows of all pages as dictionaries."""
    rows = []
    for page in pages:
        filled = page.tables.get(table)
        if filled:
            assert len({len(values) for values in filled.values()}) == 1
            rows += [dict(zip(filled, values, strict=True)) for values in zip(*filled.values(), strict=True)]
    return rows


@pytest.fixture
def walks():
    """The three helpers above, for tests that cannot import this file."""
    return SimpleNamespace(whole=walk_to_the_end, pieces=walk_in_pieces, rows=rows_of)
