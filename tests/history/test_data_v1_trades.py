"""The trades of the first Data API against those of the second: the same fills, whatever moves, repeats or ends."""

from __future__ import annotations

from collections import Counter

import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.ports import Partition
from polyhouse.sim import data_v1_api, gateway
from polyhouse.sim.server import SimServer
from polyhouse.sim.wire import Reply
from polyhouse.sim.world import Quirks
from polyhouse.sources.data_api import Activity, MarketTrades
from polyhouse.sources.data_v1_trades import TradesV1

KEY = ("wallet", "token", "ts", "tx", "kind", "shares", "cash", "price_e12", "ordinal")


def keys(rows):
    return Counter({tuple(row[name] for name in KEY): 1 for row in rows})


def busiest(server):
    fills = Counter(
        log.fields["maker"]
        for tx in server.world.universe.transactions(until=server.world.now) for log in tx.logs
        if log.t == "OrderFilled"
    )  # fmt: skip
    return fills.most_common(1)[0][0]


async def fills_of(client, tools, wallet):
    rows = tools.rows(await tools.whole(Activity(client), Activity(client).partition(wallet)))
    return {key[:6] + key[8:] for key in keys(row for row in rows if row["kind"] in {"BUY", "SELL"})}


def short(rows):
    """Without cash and price: the ledger of a wallet knows the cash itself, a trade only its price."""
    return {key[:6] + key[8:] for key in keys(rows)}


async def test_markets_and_wallets_have_the_fills_of_the_second_version(server, tools):
    async with tools.data_client(server) as client:
        old, new = TradesV1(client, page_limit=60), MarketTrades(client)
        conditions = [market.meta.condition_id for market in server.world.catalog.markets]
        seen = 0
        for condition in conditions[:25]:
            pages = await tools.whole(old, old.partition(condition))
            assert not [reject for page in pages for reject in page.rejected]
            rows = tools.rows(pages)
            assert keys(rows) == keys(tools.rows(await tools.whole(new, new.partition([condition]))))
            assert {(row["pos"], row["role"], row["source"]) for row in rows} <= {(0, "", "trades")}
            assert pages[-1].is_last
            seen += len(rows)
        assert seen > 200
        wallet = busiest(server)
        assert short(tools.rows(await tools.whole(old, old.partition(wallet)))) == await fills_of(client, tools, wallet)
        pieces = await tools.pieces(lambda: TradesV1(client, page_limit=60), old.partition(wallet))
        assert short(tools.rows(pieces)) == await fills_of(client, tools, wallet)


async def test_rows_that_arrive_meanwhile_move_nothing_out_of_sight(server, tools, monkeypatch):
    """The feed grows between two pages: by less than what is asked for again, by more, and by more than a page."""
    real, asked, hidden = data_v1_api.trades, [], [40]

    def growing(world, query):
        document = real(world, dict(query) | {"offset": ["0"], "limit": ["10000"]}).doc
        rows = document[hidden[0] :]
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        asked.append(offset)
        hidden[0] = max(0, hidden[0] - (3, 9, 28)[len(asked) % 3])
        return Reply(rows[offset : offset + limit])

    wallet = busiest(server)
    async with tools.data_client(server) as client:
        want = await fills_of(client, tools, wallet)
        stream = TradesV1(client, page_limit=20)
        newest = tools.rows(await tools.whole(stream, stream.partition(wallet)))[:40]
        monkeypatch.setitem(gateway.EXACT, "data/trades", growing)
        pages = await tools.whole(stream, stream.partition(wallet))
        # Each row once, with the ordinal it has; those that arrived during the walk belong to the next one.
        assert short(tools.rows(pages)) >= want - short(newest)
        assert short(tools.rows(pages)) <= want
        assert 0 in asked[1:], "the feed never moved so far that the place was lost"
        later = await tools.whole(stream, stream.partition(wallet), dict(pages[-1].position))
        assert short(tools.rows(pages)) | short(tools.rows(later)) == want
        assert len(tools.rows(later)) < len(want)


async def test_behind_the_wall_each_side_is_read_by_itself(server, tools, monkeypatch):
    wallet = busiest(server)
    async with tools.data_client(server) as client:
        stream = TradesV1(client, page_limit=20)
        rows = tools.rows(await tools.whole(stream, stream.partition(wallet)))
        sides = Counter(row["kind"] for row in rows)
        assert len(rows) > max(sides.values()) + 40
        monkeypatch.setattr(data_v1_api, "OFFSET_WALL", max(sides.values()))
        walled = await tools.whole(stream, stream.partition(wallet))
        assert {page.position.get("side") for page in walled[:-1]} == {"", "BUY", "SELL"}
        assert keys(tools.rows(walled)) == keys(rows)
        assert walled[-1].is_last
        pieces = await tools.pieces(lambda: TradesV1(client, page_limit=20), stream.partition(wallet))
        assert keys(tools.rows(pieces)) == keys(rows)


async def test_what_no_side_reaches_fails_every_time_while_newer_rows_are_read(server, tools, monkeypatch):
    wallet = busiest(server)
    monkeypatch.setattr(data_v1_api, "OFFSET_WALL", 30)
    pages = []

    async def walk(position):
        async with tools.data_client(server) as client:
            stream = TradesV1(client, page_limit=20)
            async for page in stream.pages(stream.partition(wallet), position):
                pages.append(page)

    with pytest.raises(UpstreamContractError, match="lie behind the route's wall"):
        await walk({})
    position = dict(pages[-1].position)
    assert not pages[-1].is_last
    assert position["gap"] > 0
    first = len(tools.rows(pages))
    pages.clear()
    with pytest.raises(UpstreamContractError, match=f"before second {position['gap']}"):
        await walk(position)
    assert pages[-1].position == position
    assert 0 < len(tools.rows(pages)) < first


async def test_a_repeated_page_is_the_wall_and_is_not_stored(universe, tools):
    async with SimServer(universe, enforce_limits=False) as server, tools.data_client(server) as client:
        wallet = busiest(server)
        stream = TradesV1(client, page_limit=40)
        rows = tools.rows(await tools.whole(stream, stream.partition(wallet)))
        most = max(Counter(row["kind"] for row in rows).values())
    async with (
        SimServer(universe, enforce_limits=False, quirks=Quirks(repeat_past_offset=most + 1)) as server,
        tools.data_client(server) as client,
    ):
        stream = TradesV1(client, page_limit=40)
        pages = await tools.whole(stream, stream.partition(wallet))
    assert keys(tools.rows(pages)) == keys(rows)
    repeated = [page for page in pages if page.notes.get("repeated_pages")]
    assert repeated
    assert all(page.fetched == page.ignored and not page.tables for page in repeated)


async def test_the_next_walk_reads_only_what_is_new(server, tools):
    wallet = busiest(server)
    async with tools.data_client(server) as client:
        stream = TradesV1(client, page_limit=20)
        pages = await tools.whole(stream, Partition(stream.name, wallet))
        again = await tools.whole(stream, Partition(stream.name, wallet), dict(pages[-1].position))
        assert again[-1].is_last
        assert keys(tools.rows(again)) <= keys(tools.rows(pages))
        assert len(again) < len(pages) / 3
