"""Fills from the order subgraph: everything of the V1 era, with what the subgraph itself loses."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from aiohttp import web

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.domain.ids import format_address, format_hash, format_token, parse_address
from polyhouse.errors import UpstreamContractError, UpstreamUnavailableError
from polyhouse.ports import Partition
from polyhouse.sim.goldsky_api import raw_fills
from polyhouse.sources.goldsky import SUBGRAPH, GoldskyFills
from polyhouse.sources.http import HttpClient


def expected(server):
    """(wallet, tx, order) → last fill of the V1 era, and how many fills stand behind each."""
    last, counts = {}, Counter()
    for fill in raw_fills(server.world):
        if fill.version == 1:
            key = fill.log.fields["maker"], fill.tx, fill.log.fields["order"]
            last[key] = fill
            counts[key] += 1
    return last, counts


async def everyone(client, tools, page_limit):
    stream = GoldskyFills(client, page_limit=page_limit)
    pages = [page for part in stream.partitions() for page in await tools.whole(stream, part)]
    assert [reject for page in pages for reject in page.rejected] == []
    return tools.rows(pages)


@pytest.mark.parametrize("page_limit", [3, 1_000])
async def test_every_row_of_the_subgraph_arrives_once_whatever_the_page_size(server, tools, page_limit):
    last, counts = expected(server)
    assert max(counts.values()) > 1, "the universe has no order that fills twice in a transaction"
    async with HttpClient(server.subgraph_url, SUBGRAPH, rate_scale=1_000.0) as client:
        rows = await everyone(client, tools, page_limit)
    found = {
        (format_address(row["wallet"]), format_hash(row["tx"]), format_hash(row["order_hash"])): row for row in rows
    }
    assert len(found) == len(rows) == len(last) > 500
    assert max(row["ts"] for row in rows) < CLOB_V2_CUTOVER_TS
    for key, row in found.items():
        fill = last[key]
        fee = int(fill.log.fields["fee"])
        assert (row["shares_gross"], row["usdc_gross"], row["fee_net"]) == (fill.shares, fill.usdc, fee)
        assert row["kind"] == ("BUY" if fill.buys else "SELL")
        assert format_token(row["token"]) == fill.token
        bought = fee if fill.buys else 0
        assert (row["shares"], row["cash"]) == (fill.shares - bought, fill.usdc - (fee - bought))
        assert row["fee_asset"] == ("" if not fee else "shares" if fill.buys else "usdc")
        is_taker = fill.log.fields["taker"] in {"EX1", "NEX1"}
        assert row["role"] == ("TAKER" if is_taker else "MAKER")
        assert row["flags"] == ("collapsible gross" if fee or is_taker else "collapsible")


async def test_a_wallets_walk_in_pieces_equals_one_walk_and_goes_on_from_its_end(server, tools):
    busiest = Counter(wallet for wallet, _, _ in expected(server)[0]).most_common(1)[0][0]
    async with HttpClient(server.subgraph_url, SUBGRAPH, rate_scale=1_000.0) as client:
        stream = GoldskyFills(client, page_limit=7)
        partition = stream.partition(busiest)
        whole = await tools.whole(stream, partition)
        assert tools.rows(await tools.pieces(lambda: GoldskyFills(client, page_limit=7), partition)) == tools.rows(
            whole
        )
        again = await tools.whole(stream, partition, whole[-1].position)
        newest = max(row["ts"] for row in tools.rows(whole))
        assert tools.rows(again) == [row for row in tools.rows(whole) if row["ts"] == newest]


async def test_equal_fills_of_one_transaction_get_different_ordinals(tools):
    row = {
        "transactionHash": "0x" + "ab" * 32, "timestamp": "1700000000", "maker": "0x" + "11" * 20,
        "taker": "0x" + "22" * 20, "makerAssetId": "0", "takerAssetId": "7", "makerAmountFilled": "50",
        "takerAmountFilled": "100", "fee": "0",
    }  # fmt: skip
    rows = [row | {"id": f"0xab_{n}", "orderHash": "0x" + f"{n:064x}"} for n in range(5)]
    asked = []

    async def answer(request: web.Request) -> web.Response:
        where = (await request.json())["variables"]["where"]
        asked.append(where)
        left = [r for r in rows if r["id"] > where.get("id_gt", "") and "timestamp_gt" not in where][:2]
        return web.json_response({"data": {"orderFilledEvents": left}})

    async with serving(answer) as url, HttpClient(url, SUBGRAPH, rate_scale=1_000.0) as client:
        stream = GoldskyFills(client, page_limit=2)
        pages = await tools.whole(stream, stream.partition("0x" + "11" * 20))
        assert [r["ordinal"] for r in tools.rows(pages)] == [0, 1, 2, 3, 4]
        pieces = await tools.pieces(lambda: GoldskyFills(client, page_limit=2), stream.partition("0x" + "11" * 20))
        assert [r["ordinal"] for r in tools.rows(pieces)] == [0, 1, 2, 3, 4]
    assert [sorted(where) for where in asked[:5]] == [
        ["maker", "timestamp_gte", "timestamp_lt"],
        ["id_gt", "maker", "timestamp", "timestamp_lt"],
        ["id_gt", "maker", "timestamp", "timestamp_lt"],
        ["id_gt", "maker", "timestamp", "timestamp_lt"],
        ["maker", "timestamp_gt", "timestamp_lt"],
    ]


def serving(handler):
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def run():
        app = web.Application()
        app.router.add_post("/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return run()


async def test_errors_inside_a_200_are_retried_and_then_reported(server, tools):
    wallet = server.world.universe.wallets[0]
    async with HttpClient(server.subgraph_url, SUBGRAPH, rate_scale=1_000.0, policy=tools.patient) as client:
        stream = GoldskyFills(client)
        server.faults.set([{"route": "subgraph/*", "kind": "errors", "times": 2}])
        assert (await tools.whole(stream, stream.partition(wallet)))[-1].is_last
        server.faults.set([{"route": "subgraph/*", "kind": "errors"}])
        with pytest.raises(UpstreamUnavailableError, match="statement timeout"):
            await tools.whole(stream, stream.partition(wallet))


async def test_rows_out_of_order_and_bad_rows(tools):
    good = {
        "id": "0xa_1", "transactionHash": "0x" + "ab" * 32, "timestamp": "1700000000", "orderHash": "0x" + "01" * 32,
        "maker": "0x" + "11" * 20, "taker": "0x" + "22" * 20, "makerAssetId": "0", "takerAssetId": "7",
        "makerAmountFilled": "50", "takerAmountFilled": "100", "fee": "0",
    }  # fmt: skip
    later = {"timestamp": "1700000009"}
    rows = [
        good,
        good | later | {"id": "0xb_1", "takerAssetId": "0"},
        good | later | {"id": "0xb_2", "makerAmountFilled": "-1"},
        good | later | {"id": "0xb_3", "fee": "101"},
        good | later | {"id": "0xb_4", "maker": "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"},
        good | later | {"id": "0xb_5", "makerAmountFilled": "x"},
        good | later | {"id": "0xb_6", "makerAmountFilled": "0", "takerAmountFilled": "0"},
    ]

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"data": {"orderFilledEvents": rows}})

    async with serving(answer) as url, HttpClient(url, SUBGRAPH, rate_scale=1_000.0) as client:
        stream = GoldskyFills(client)
        everyone = Partition(stream.name, "all", {"from": 1})
        (page,) = await tools.whole(stream, everyone)
        assert [reject.reason for reject in page.rejected] == [
            "no_collateral", "bad_value", "bad_value", "infrastructure", "bad_value",
        ]  # fmt: skip
        assert (page.fetched, page.ignored, len(tools.rows([page]))) == (7, 1, 1)
        rows.append(good)
        with pytest.raises(UpstreamContractError, match="ascending"):
            await tools.whole(stream, everyone)


async def test_another_wallets_rows_are_refused(tools, server):
    wallets = sorted({wallet for wallet, _, _ in expected(server)[0]})[:2]
    rows = defaultdict(list)
    async with HttpClient(server.subgraph_url, SUBGRAPH, rate_scale=1_000.0) as client:
        stream = GoldskyFills(client)
        for wallet in wallets:
            rows[wallet] = tools.rows(await tools.whole(stream, stream.partition(wallet)))
    for wallet in wallets:
        assert {row["wallet"] for row in rows[wallet]} == {parse_address(wallet)}
