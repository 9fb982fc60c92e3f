"""One small universe for all server tests, and a plain HTTP client that returns status, headers and body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest

from polyhouse.sim.model import Log, Transaction
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def doc(self) -> Any:
        return msgspec.json.decode(self.body)


class Browser:
    """GET with repeated keys, no retries."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, url: str, **params: Any) -> Answer:
        pairs = [(k, str(x)) for k, v in params.items() for x in (v if isinstance(v, list | tuple) else [v])]
        async with self.session.get(url, params=pairs) as response:
            return Answer(response.status, response.headers, await response.read())

    async def post(self, url: str, doc: Any) -> Answer:
        async with self.session.post(url, json=doc) as response:
            return Answer(response.status, response.headers, await response.read())

    async def walk(self, url: str, **params: Any) -> list[Any]:
        """Every row of a Data API feed."""
        rows: list[Any] = []
        for _ in range(10_000):
            answer = await self.get(url, **params)
            assert answer.status == 200, answer.body
            rows += answer.doc["data"]
            cursor = answer.doc["pagination"]["next_cursor"]
            assert answer.doc["pagination"]["has_more"] == (cursor is not None)
            if cursor is None:
                return rows
            params["cursor"] = cursor
        raise AssertionError("the walk does not end")


@pytest.fixture(scope="session")
def universe() -> Universe:
    return Universe(seed=7, wallets=60, fills=3000)


@pytest.fixture(scope="session")
def logs(universe: Universe) -> list[tuple[Transaction, Log]]:
    """Every log that happened until now."""
    return [(tx, log) for tx in universe.transactions() for log in tx.logs]


@pytest.fixture
async def server(universe: Universe) -> AsyncIterator[SimServer]:
    async with SimServer(universe, enforce_limits=False) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(session)


@pytest.fixture(scope="session")
def fills_of(logs: list[tuple[Transaction, Log]]) -> Callable[[str], list[Log]]:
    """Fills of one wallet that the upstream shows."""

    def find(wallet: str) -> list[Log]:
        return [log for _, log in logs if log.t == "OrderFilled" and log.fields["maker"] == wallet]

    return find
