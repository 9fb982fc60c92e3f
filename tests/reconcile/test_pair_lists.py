"""The two lists of pairs of the first Data API: walls, repeated pages, retired routes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.ports import Page
from polyhouse.sim import data_v1_boards
from polyhouse.sim.positions import wallet_positions
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.data_api import ClosedPositions, Positions
from polyhouse.sources.data_v1_positions import ClosedPositionsV1, PositionsV1
from polyhouse.sources.http import DATA, HttpClient, RetryPolicy

RECORDED = Path(__file__).parents[3] / "shared" / "recorded" / "jm709__pscanner" / "tests" / "fixtures"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe(seed=4, wallets=25, fills=1_200)


@pytest.fixture
async def server(universe: Universe) -> AsyncIterator[SimServer]:
    async with SimServer(universe, enforce_limits=False) as running:
        yield running


@pytest.fixture
async def client(server: SimServer) -> AsyncIterator[HttpClient]:
    async with HttpClient(server.data_url, DATA, rate_scale=1_000.0, policy=ONCE) as opened:
        yield opened


def busiest(server: SimServer) -> str:
    world, universe = server.world, server.world.universe
    assert isinstance(universe, Universe)
    return max(universe.wallets, key=lambda name: len(wallet_positions(world, world.views.wallet_id(name) or 0)))


async def read(stream: Any, wallet: str) -> list[Page]:
    return [page async for page in stream.pages(stream.partition(wallet), {})]


def rows(pages: list[Page], table: str = "reported_pairs") -> dict[bytes, dict[str, Any]]:
    found: dict[bytes, dict[str, Any]] = {}
    for page in pages:
        columns = page.tables.get(table, {})
        for values in zip(*columns.values(), strict=True):
            row = dict(zip(columns, values, strict=True))
            assert row["token"] not in found
            found[row["token"]] = row
    return found


async def test_both_lists_are_every_token_a_wallet_ever_had(server: SimServer, client: HttpClient) -> None:
    wallet = busiest(server)
    held, closed = PositionsV1(client, page_limit=7), ClosedPositionsV1(client, page_limit=5)
    pages = await read(held, wallet), await read(closed, wallet)
    first, second = rows(pages[0]), rows(pages[1])
    world = server.world
    known = wallet_positions(world, world.views.wallet_id(wallet) or 0)
    ends = first.pop(bytes(32)), second.pop(bytes(32))
    assert [end["shares"] for end in ends] == [len(first), len(second)]
    assert len(first) > 7
    assert len(second) > 5
    assert set(first) == {int(one.token).to_bytes(32, "big") for one in known if one.size > 0}
    assert set(second) == {int(one.token).to_bytes(32, "big") for one in known if one.size == 0 and one.entry.bought}
    # The same figures as in the second version, digit by digit.
    newer = rows(await read(ClosedPositions(client, page_limit=6), wallet))
    assert newer.pop(bytes(32))["shares"] == len(newer) == len(second)
    assert {token: row["realized"] for token, row in newer.items()} == {
        token: row["realized"] for token, row in second.items()
    }
    opened = rows(await read(Positions(client), wallet), "reported_positions")
    assert {token: (row["shares"], row["unrealized"]) for token, row in opened.items()} == {
        token: (row["shares"], row["unrealized"]) for token, row in first.items()
    }


async def test_the_wall_is_passed_from_the_other_end(
    server: SimServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = busiest(server)
    whole = rows(await read(ClosedPositionsV1(client, page_limit=3), wallet))
    monkeypatch.setattr(data_v1_boards, "CLOSED_WALL", (len(whole) - 1) // 2 + 1)
    pages = await read(ClosedPositionsV1(client, page_limit=3), wallet)
    assert set(rows(pages)) == set(whole)
    assert sum(page.notes.get("rows_again", 0) for page in pages) > 0
    assert all(page.position == {} for page in pages[:-1])
    monkeypatch.setattr(data_v1_boards, "CLOSED_WALL", 3)
    with pytest.raises(UpstreamContractError, match="longer than the route can show"):
        await read(ClosedPositionsV1(client, page_limit=3), wallet)


async def test_a_repeated_page_is_taken_as_the_wall(
    server: SimServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = busiest(server)
    whole = rows(await read(ClosedPositionsV1(client, page_limit=3), wallet))
    real = data_v1_boards.closed_positions

    def stuck(world: Any, query: Any) -> Any:
        offset = min(int(query["offset"][0]), len(whole) // 6 * 3)
        return real(world, dict(query) | {"offset": [str(offset)]})

    from polyhouse.sim import gateway

    monkeypatch.setitem(gateway.EXACT, "data/closed-positions", stuck)
    assert set(rows(await read(ClosedPositionsV1(client, page_limit=3), wallet))) == set(whole)


async def test_a_wallet_without_positions_has_an_empty_list_that_was_read(client: HttpClient) -> None:
    for stream in (PositionsV1(client), ClosedPositionsV1(client), ClosedPositions(client)):
        (page,) = await read(stream, "0x" + "12" * 20)
        assert page.is_last
        assert [row["shares"] for row in rows([page]).values()] == [0]


class _Recorded:
    """A client that gives a recorded answer, then nothing."""

    def __init__(self, body: bytes) -> None:
        self._bodies = [body, b"[]"]
        self.clock = self

    def time(self) -> float:
        return 1_790_000_000.0

    async def get(self, path: str, params: dict[str, Any], decode: Callable[[bytes], Any]) -> Any:
        assert path in {"/positions", "/closed-positions"}
        assert params["offset"] == (0 if len(self._bodies) == 2 else 5)
        return decode(self._bodies.pop(0))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers (../shared/recorded) are not here")
@pytest.mark.parametrize(
    ("stream", "name", "figure"),
    [(PositionsV1, "positions", "cashPnl"), (ClosedPositionsV1, "closed_positions", "realizedPnl")],
)
async def test_recorded_answers_are_read_to_the_micro(stream: Any, name: str, figure: str) -> None:
    body = (RECORDED / f"{name}.json").read_bytes()
    saved = json.loads(body, parse_float=Decimal)
    source = stream(_Recorded(body))
    pages = await read(source, saved[0]["proxyWallet"])
    assert not [reject for page in pages for reject in page.rejected]
    found = rows(pages)
    column = "unrealized" if figure == "cashPnl" else "realized"
    for row in saved:
        kept = found[int(row["asset"]).to_bytes(32, "big")]
        assert (kept[column], kept["bought"]) == (row[figure] * 1_000_000, row["totalBought"] * 1_000_000)
    assert found[bytes(32)]["shares"] == len(saved) == 5
