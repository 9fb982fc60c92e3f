import random

import pytest

from polyhouse import tables
from polyhouse.errors import BadInputError, CursorRejectedError, UpstreamContractError
from polyhouse.sources.data_api import Activity

WALLET = "0x" + "7c" * 20
CONDITION = "0x" + "0a" * 32
TOKEN = "98255364887669934733864645030488537034263699416357729920734267612805930214172"
TX = "0x" + "a6" * 32
T0 = 1_788_886_609


def row(**changes):
    return {
        "proxy_wallet": WALLET, "timestamp": T0, "condition_id": CONDITION, "type": "TRADE", "size": 14.285715,
        "usdc_size": 13.285715, "transaction_hash": TX, "price": 0.9300000035, "token_id": TOKEN, "side": "BUY",
        "outcome_index": 0, "title": "A title", "name": "Car",
    } | changes  # fmt: skip


def cash_row(kind, **changes):
    return row(type=kind, condition_id="", token_id="", side="", price=0, outcome_index=999, **changes)


async def read(client, walks, rows, api):
    api.rows = rows
    stream = Activity(client)
    pages = await walks.whole(stream, stream.partition(WALLET))
    return walks.rows(pages), [reject for page in pages for reject in page.rejected], pages


async def test_a_trade_becomes_an_exact_observation(data_client, fake_data_api, walks):
    (got,), rejects, (page,) = await read(data_client, walks, [row()], fake_data_api)
    assert rejects == []
    assert got == {
        "wallet": b"\x7c" * 20, "token": int(TOKEN).to_bytes(32, "big"), "condition": b"\x0a" * 32, "tx": b"\xa6" * 32,
        "kind": "BUY", "ts": T0, "pos": 1, "ordinal": 0, "shares": 14_285_715, "cash": 13_285_715,
        "usdc_gross": 13_285_715, "fee_usdc": 0, "price_e12": 930_000_003_500, "role": "", "outcome": 0, "label": "",
        "flags": "", "source": "activity", "fee_net": 0, "fee_asset": "", "shares_gross": 14_285_715,
    }  # fmt: skip
    assert set(got) <= set(tables.OBSERVATIONS.columns)
    assert (page.fetched, page.is_last, page.position["from"]) == (1, True, T0)
    assert fake_data_api.queries == [
        {
            "user": WALLET, "sort_direction": "ASC", "start": "1", "exclude_deposits_withdrawals": "false",
            "limit": "1000",
        }
    ]  # fmt: skip


async def test_fees_are_what_the_cash_says(data_client, fake_data_api, walks):
    buy = row(size=100, price=0.5, usdc_size=51.25)
    sell = row(size=100, price=0.5, usdc_size=48.75, side="SELL")
    (bought, sold), _, _ = await read(data_client, walks, [buy, sell], fake_data_api)
    assert (bought["cash"], bought["fee_usdc"], bought["usdc_gross"]) == (51_250_000, 1_250_000, 50_000_000)
    assert (sold["cash"], sold["fee_usdc"], sold["usdc_gross"]) == (48_750_000, 1_250_000, 50_000_000)
    assert (bought["fee_asset"], bought["fee_net"]) == ("usdc", 1_250_000)


async def test_every_type_of_row(data_client, fake_data_api, walks):
    nothing = {"token_id": "", "side": "", "price": 0, "outcome_index": 999}
    rows = [
        row(type="SPLIT", size=10, usdc_size=10, **nothing),
        row(type="MERGE", size=2538.2661200000002, usdc_size=2538.2661200000002, **nothing),  # the wire's own noise
        row(type="REDEEM", size=0, usdc_size=0, **nothing),
        row(type="REDEEM", size=5, usdc_size=2.5, price=0, side="", outcome_index=1),
        row(type="CONVERSION", size=3, usdc_size=0, **nothing),
        cash_row("MAKER_REBATE", size=1.1734, usdc_size=1.1734),
        cash_row("REWARD", size=108.3333, usdc_size=108.3333),
        cash_row("YIELD", size=1, usdc_size=1),
        cash_row("TAKER_REBATE", size=1, usdc_size=1),
        cash_row("REFERRAL_REWARD", size=1, usdc_size=1),
        cash_row("DEPOSIT", size=500, usdc_size=500),
        cash_row("WITHDRAWAL", size=20, usdc_size=20),
        cash_row("TIP", size=2, usdc_size=2) | {"side": "OUT"},
    ]
    got, rejects, _ = await read(data_client, walks, rows, fake_data_api)
    assert rejects == []
    assert [(r["kind"], r["shares"], r["cash"], r["label"], r["flags"]) for r in got] == [
        ("SPLIT", 10_000_000, 10_000_000, "", ""),
        ("MERGE", 2_538_266_120, 2_538_266_120, "", ""),
        ("REDEEM", 0, 0, "", ""),
        ("REDEEM", 5_000_000, 2_500_000, "", ""),
        ("CONVERT", 3_000_000, 0, "", "leg"),
        ("INCOME", 0, 1_173_400, "MAKER_REBATE", ""),
        ("INCOME", 0, 108_333_300, "REWARD", ""),
        ("INCOME", 0, 1_000_000, "YIELD", ""),
        ("INCOME", 0, 1_000_000, "TAKER_REBATE", ""),
        ("INCOME", 0, 1_000_000, "REFERRAL_REWARD", ""),
        ("DEPOSIT", 0, 500_000_000, "", ""),
        ("WITHDRAWAL", 0, 20_000_000, "", ""),
        ("TIP", 0, 2_000_000, "", "out"),
    ]
    assert all(r["kind"] in tables.KINDS for r in got)
    assert [r["pos"] for r in got] == list(range(1, 14))
    assert got[3]["token"] == int(TOKEN).to_bytes(32, "big")
    assert (got[3]["outcome"], got[0]["outcome"], got[0]["token"]) == (1, 999, bytes(32))


BAD = {
    "unknown_type": row(type="LOTTERY"),
    "bad_side": row(side=""),
    "foreign_wallet": row(proxy_wallet="0x" + "11" * 20),
    "bad_time": row(timestamp=T0 * 1000),
    "protocol_v2": row(condition_id="0x" + "ab" * 31),
    "bad_value": row(size=-1),
    "shape": row(timestamp={"seconds": 1}),
}


@pytest.mark.parametrize("reason", BAD)
async def test_a_bad_row_costs_only_itself(data_client, fake_data_api, walks, reason):
    later = row(timestamp=T0 + 5)
    got, rejects, (page,) = await read(data_client, walks, [row(), BAD[reason], later], fake_data_api)
    assert [r["ts"] for r in got] == [T0, T0 + 5]
    assert [reject.reason for reject in rejects] == [reason]
    assert '"name":"Car"' in rejects[0].raw.replace(" ", "")
    assert rejects[0].where.startswith(f"data.activity {WALLET}: ")
    assert page.fetched == 3


MANGLED = {
    "scientific overflow": {"size": 1e300},
    "seven decimals of dollars": {"usdc_size": 1.23456789},
    "null size": {"size": None},
    "text size": {"size": "12,5"},
    "short tx": {"transaction_hash": "0xab"},
    "no tx": {"transaction_hash": None},
    "spaces in token": {"token_id": " 12"},
    "hex junk": {"condition_id": "0x" + "zz" * 32},
    "condition missing": {"condition_id": ""},
    "token over 256 bits": {"token_id": str(1 << 256)},
    "combo": {"is_combo": True},
    "migration": {"type": "MIGRATION"},
    "time before polymarket": {"timestamp": 0},
    "wallet is a number": {"proxy_wallet": 7},
    "price of a million": {"price": 5_000_000},
}


@pytest.mark.parametrize("name", MANGLED)
async def test_mangled_values_are_quarantined(data_client, fake_data_api, walks, name):
    got, rejects, _ = await read(data_client, walks, [row(**MANGLED[name])], fake_data_api)
    assert (got, len(rejects)) == ([], 1)


async def test_lenient_where_nothing_is_lost(data_client, fake_data_api, walks):
    changed = row(
        proxy_wallet=WALLET.upper().replace("0X", "0x"),
        size="14.285715",
        outcome_index=None,
        condition_id=CONDITION.upper().replace("0X", "0x"),
        brand_new_key={"deep": [1]},
        timestamp=str(T0),
    )
    (got,), rejects, _ = await read(data_client, walks, [changed], fake_data_api)
    assert rejects == []
    assert (got["shares"], got["outcome"], got["condition"]) == (14_285_715, 999, b"\x0a" * 32)


async def test_a_fill_of_nothing_for_nothing_is_counted_as_ignored(data_client, fake_data_api, walks):
    got, _, (page,) = await read(data_client, walks, [row(size=0, usdc_size=0), row()], fake_data_api)
    assert len(got) == 1
    assert (page.fetched, page.ignored, page.notes) == (2, 1, {"zero_rows": 1})
    assert got[0]["pos"] == 2


def history(rng):
    """A history with crowded seconds and rows that are equal in every field."""
    rows, ts = [], T0
    for _ in range(rng.randrange(1, 40)):
        ts += rng.choice((0, 0, 0, 1, 7))
        kind = rng.choice(("TRADE", "TRADE", "TRADE", "SPLIT", "REWARD"))
        if kind == "TRADE":
            rows.append(
                row(timestamp=ts, size=rng.choice((1, 2)), usdc_size=0.5, price=0.5, side=rng.choice(("BUY", "SELL")))
            )
        elif kind == "SPLIT":
            rows.append(row(type="SPLIT", timestamp=ts, size=1, usdc_size=1, token_id="", side="", price=0))
        else:
            rows.append(cash_row("REWARD", timestamp=ts, size=1, usdc_size=1))
        if rng.random() < 0.1:
            rows.append(row(timestamp=ts, type="UNHEARD_OF"))
    return rows


async def test_cutting_the_walk_anywhere_changes_no_row(data_client, fake_data_api, walks):
    rng = random.Random(11)
    for _ in range(40):
        fake_data_api.rows = history(rng)
        whole_stream = Activity(data_client)
        partition = whole_stream.partition(WALLET)
        whole = await walks.whole(whole_stream, partition)
        limit = rng.randrange(1, 9)
        pieces = await walks.pieces(lambda limit=limit: Activity(data_client, page_limit=limit), partition)
        assert walks.rows(pieces) == walks.rows(whole)
        assert pieces[-1].position["from"] == whole[-1].position["from"]
        keys = [
            (r["ts"], r["tx"], r["token"], r["kind"], r["shares"], r["cash"], r["ordinal"]) for r in walks.rows(whole)
        ]
        assert len(set(keys)) == len(keys)


async def test_a_rejected_cursor_restarts_at_its_second_with_equal_rows(data_client, fake_data_api, walks):
    rng = random.Random(12)
    for _ in range(10):
        rows = [row(timestamp=T0 + rng.choice((0, 0, 1)) + n // 4, size=rng.choice((1, 2))) for n in range(30)]
        rows.sort(key=lambda r: r["timestamp"])
        fake_data_api.rows = rows
        fake_data_api.select = lambda query, rows=rows: [r for r in rows if r["timestamp"] >= int(query["start"])]
        stream = Activity(data_client, page_limit=5)
        partition = stream.partition(WALLET)
        whole = walks.rows(await walks.whole(stream, partition))
        walk = stream.pages(partition, {})
        first = [await anext(walk), await anext(walk), await anext(walk)]
        restart = stream.restart_position(first[-1].position)
        assert set(restart) == {"start"}
        again = walks.rows(await walks.whole(stream, partition, restart))
        seen = walks.rows(first)
        merged = {tuple(r.items()) for r in seen} | {tuple(r.items()) for r in again}
        assert merged == {tuple(r.items()) for r in whole}
        assert min(r["ts"] for r in again) >= seen[-1]["ts"]


async def test_the_next_walk_reads_ten_minutes_again(data_client, fake_data_api, walks):
    stream = Activity(data_client)
    partition = stream.partition(WALLET)
    fake_data_api.rows = [row(timestamp=T0)]
    (page,) = await walks.whole(stream, partition, {"from": T0 - 60})
    assert fake_data_api.queries[-1]["start"] == str(T0 - 660)
    assert page.position["from"] == T0
    fake_data_api.rows = []
    (page,) = await walks.whole(stream, partition, {"from": T0})
    assert (page.fetched, page.position, page.tables) == (0, {"from": T0}, {})


async def test_older_than_the_window_of_the_feed_means_the_whole_wallet(
    data_client, fake_data_api, walks, instant_clock
):
    stream = Activity(data_client)
    await walks.whole(stream, stream.partition(WALLET), {"from": int(instant_clock.now) - 1_100 * 86_400})
    assert fake_data_api.queries[-1]["start"] == "1"


async def test_an_empty_wallet_is_proven_empty(data_client, fake_data_api, walks):
    got, rejects, (page,) = await read(data_client, walks, [], fake_data_api)
    assert (got, rejects, page.is_last, page.fetched, page.position) == ([], [], True, 0, {"from": 0})


def contradict(document, query):
    document["pagination"]["has_more"] = not document["pagination"]["has_more"]
    return document


def same_cursor(document, query):
    document["pagination"] |= {"has_more": True, "next_cursor": "c2"}
    return document


CONTRACT = {
    "has_more contradicts": contradict,
    "cursor repeats": same_cursor,
    "no pagination": lambda document, query: {"data": document["data"]},
    "no data": lambda document, query: {"pagination": document["pagination"]},
    "data is an object": lambda document, query: document | {"data": {"rows": []}},
    "an array": lambda document, query: document["data"],
    "rows backwards": lambda document, query: document | {"data": document["data"][::-1]},
}


@pytest.mark.parametrize("name", CONTRACT)
async def test_answers_that_cannot_be_true_stop_the_walk(data_client, fake_data_api, walks, name):
    fake_data_api.rows = [row(timestamp=T0 + n) for n in range(6)]
    fake_data_api.change = CONTRACT[name]
    stream = Activity(data_client, page_limit=2)
    with pytest.raises(UpstreamContractError):
        await walks.whole(stream, stream.partition(WALLET))


async def test_a_page_that_comes_twice_is_noticed(data_client, fake_data_api, walks):
    fake_data_api.rows = [row(timestamp=T0 + n) for n in range(6)]
    pages = {}

    def stale(document, query):
        """The second page shows the rows of the first one again."""
        pages[query.get("cursor")] = document["data"]
        return document | {"data": pages[None]} if query.get("cursor") == "c2" else document

    fake_data_api.change = stale
    stream = Activity(data_client, page_limit=2)
    with pytest.raises(UpstreamContractError, match="ascending"):
        await walks.whole(stream, stream.partition(WALLET))


async def test_a_page_within_one_second_that_comes_twice_is_noticed(data_client, fake_data_api, walks):
    fake_data_api.rows = [row(size=n + 1, usdc_size=1) for n in range(300)]
    fake_data_api.change = lambda document, query: document | {"data": fake_data_api.rows[:100]}
    stream = Activity(data_client, page_limit=100)
    with pytest.raises(UpstreamContractError, match="same page twice"):
        await walks.whole(stream, stream.partition(WALLET))


async def test_a_repeated_cursor_is_noticed_across_a_restart(data_client, fake_data_api, walks):
    fake_data_api.rows = [row(timestamp=T0 + n) for n in range(9)]
    stream = Activity(data_client, page_limit=3)
    walk = stream.pages(stream.partition(WALLET), {})
    first = await anext(walk)
    fake_data_api.change = lambda document, query: document | {"pagination": {"has_more": True, "next_cursor": "c3"}}
    with pytest.raises(UpstreamContractError, match="repeated a page cursor"):
        await walks.whole(stream, stream.partition(WALLET), first.position)


async def test_an_error_is_never_an_empty_page(data_client, fake_data_api, walks, serve, instant_clock):
    from aiohttp import web

    from polyhouse.sources.http import DATA, HttpClient

    async def expired(request):
        return web.json_response({"error": "invalid cursor", "code": "invalid_request"}, status=400)

    async with HttpClient(await serve(expired), DATA, clock=instant_clock) as client:
        stream = Activity(client)
        position = {"start": 1, "cursor": "old", "seen": [], "second": {"ts": T0, "places": {"": 3}, "same": {}}}
        with pytest.raises(CursorRejectedError):
            await walks.whole(stream, stream.partition(WALLET), position)
        assert stream.restart_position(position) == {"start": T0}


async def test_a_partition_key_must_be_a_wallet(data_client, walks):
    stream = Activity(data_client)
    with pytest.raises(BadInputError):
        await walks.whole(stream, stream.partition("0x12"))


async def test_ten_minutes_that_are_as_they_were_are_not_written_again(data_client, fake_data_api, walks):
    stream = Activity(data_client)
    partition = stream.partition(WALLET)
    fake_data_api.rows = [row(timestamp=T0 - 700), row(timestamp=T0), row(timestamp=T0)]
    (first,) = await walks.whole(stream, partition)
    fake_data_api.rows = [row(timestamp=T0), row(timestamp=T0)]
    (same,) = await walks.whole(stream, partition, first.position)
    assert (same.fetched, same.ignored, same.notes, same.tables) == (2, 2, {"repeated_rows": 2}, {})
    assert same.position == first.position
    fake_data_api.rows = [row(timestamp=T0, outcome_index=999), row(timestamp=T0)]
    (relabelled,) = await walks.whole(stream, partition, first.position)
    assert len(walks.rows([relabelled])) == 2, "another label is news"
    fake_data_api.rows = [row(timestamp=T0), row(timestamp=T0), row(timestamp=T0)]
    (sibling,) = await walks.whole(stream, partition, first.position)
    assert len(walks.rows([sibling])) == 3, "one more row of the same second is news"
