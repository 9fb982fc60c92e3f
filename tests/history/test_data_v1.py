"""The first Data API against the second: the same rows, whatever the walls."""

from __future__ import annotations

from collections import Counter

import aiohttp
import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.sim import data_v1_api
from polyhouse.sim.server import SimServer
from polyhouse.sim.world import Quirks
from polyhouse.sources.data_api import Activity
from polyhouse.sources.data_v1 import ActivityV1
from polyhouse.sources.http import DATA, HttpClient


def client_of(server, tools):
    return HttpClient(
        server.data_url, DATA, rate_scale=1_000.0, policy=tools.patient, clock=tools.clock(server)
    )  # fmt: skip


def busiest(universe):
    fills = Counter(
        log.fields["maker"] for tx in universe.transactions(until=universe.now) for log in tx.logs
        if log.t == "OrderFilled"
    )  # fmt: skip
    return fills.most_common(1)[0][0]


def merged(rows):
    """What the store keeps: the newest row of each natural key."""
    kept = {}
    for row in rows:
        place = b"" if any(row["token"]) else row["condition"]
        key = tuple(row[name] for name in ("token", "ts", "tx", "kind", "shares", "cash", "price_e12", "label"))
        kept[(*key, place, row["ordinal"])] = row
    return kept


async def both(server, tools, wallet, page_limit=500):
    async with client_of(server, tools) as client:
        old, new = ActivityV1(client, page_limit=page_limit), Activity(client)
        pages = await tools.whole(old, old.partition(wallet))
        newer = tools.rows(await tools.whole(new, new.partition(wallet)))
        pieces = await tools.pieces(lambda: ActivityV1(client, page_limit=page_limit), old.partition(wallet))
    return pages, newer, pieces


async def test_all_wallets_have_the_same_rows_as_in_the_second_version(server, tools):
    async with client_of(server, tools) as client:
        old, new = ActivityV1(client), Activity(client)
        kinds = Counter()
        for wallet in server.world.universe.wallets:
            pages = await tools.whole(old, old.partition(wallet))
            assert [reject for page in pages for reject in page.rejected] == []
            rows = tools.rows(pages)
            assert rows == tools.rows(await tools.whole(new, new.partition(wallet)))
            kinds.update(row["kind"] for row in rows)
    assert {"BUY", "SELL", "SPLIT", "MERGE", "REDEEM", "INCOME"} <= set(kinds)


async def test_the_wall_is_passed_by_sliding(server, tools, monkeypatch):
    monkeypatch.setattr(data_v1_api, "OFFSET_WALL", 40)
    pages, newer, pieces = await both(server, tools, busiest(server.world.universe), page_limit=20)
    assert len({page.position.get("start") for page in pages}) > 3
    assert merged(tools.rows(pages)) == merged(tools.rows(pieces)) == merged(newer)
    assert len(merged(newer)) == len(newer)


async def test_repeated_pages_are_counted_and_not_stored(universe, tools):
    quirks = Quirks(repeat_past_offset=250)
    async with SimServer(universe, enforce_limits=False, quirks=quirks) as server:
        pages, newer, pieces = await both(server, tools, busiest(universe), page_limit=120)
    repeated = [page for page in pages if page.notes.get("repeated_pages")]
    assert repeated
    assert all(page.fetched == page.ignored and not page.tables for page in repeated)
    assert merged(tools.rows(pages)) == merged(tools.rows(pieces)) == merged(newer)


async def test_a_second_behind_the_wall_is_an_error_and_no_gap(server, tools, monkeypatch):
    monkeypatch.setattr(data_v1_api, "OFFSET_WALL", 1)
    wallet = busiest(server.world.universe)
    async with client_of(server, tools) as client:
        stream = ActivityV1(client, page_limit=2)
        rows = tools.rows(await tools.whole(Activity(client), Activity(client).partition(wallet)))
        assert max(Counter(row["ts"] for row in rows).values()) > 2, "no second of this wallet is crowded"
        with pytest.raises(UpstreamContractError, match="cannot be reached"):
            await tools.whole(stream, stream.partition(wallet))


async def test_a_start_that_the_route_moves_is_noticed(server, tools, monkeypatch):
    """Two walls at once: offsets end, and an old start is silently moved on."""
    wallet = busiest(server.world.universe)
    monkeypatch.setattr(data_v1_api, "OFFSET_WALL", 40)
    real = data_v1_api.activity

    def moved(world, query):
        start = int(query["start"][0])
        return real(world, dict(query) | {"start": [str(start if start == 1 else start + 864_000)]})

    from polyhouse.sim import gateway

    monkeypatch.setitem(gateway.EXACT, "data/activity", moved)
    async with client_of(server, tools) as client:
        stream = ActivityV1(client, page_limit=20)
        with pytest.raises(UpstreamContractError, match="the route begins at"):
            await tools.whole(stream, stream.partition(wallet))


async def test_the_trades_of_the_first_version_show_takers_unless_asked_and_end_at_the_wall(server):
    exchanges = {"EX1", "NEX1", "EX2", "NEX2"}
    takers = Counter(
        log.fields["taker"] in exchanges
        for tx in server.world.universe.transactions(until=server.world.now) for log in tx.logs
        if log.t == "OrderFilled"
    )  # fmt: skip
    async with aiohttp.ClientSession() as session:

        async def get(**params):
            async with session.get(f"{server.data_url}/trades", params=params) as response:
                return response.status, await response.json()

        status, rows = await get(limit=10_000)
        assert (status, len(rows)) == (200, takers[True])
        assert len((await get(limit=10_000, takerOnly="false"))[1]) == takers.total()
        assert {"proxyWallet", "conditionId", "asset", "transactionHash"} <= set(rows[0])
        assert not {"type", "usdcSize"} & set(rows[0])
        status, answer = await get(limit=10, offset=3_001)
        assert (status, answer) == (400, {"error": "max historical activity offset of 3000 exceeded"})
