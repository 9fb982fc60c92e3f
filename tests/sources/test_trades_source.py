import random
from collections import Counter

import pytest

from polyhouse.errors import BadInputError, ConfigError, UpstreamContractError
from polyhouse.sources.data_api import MarketTrades

CONDITIONS = ["0x" + "0a" * 32, "0x" + "0b" * 32]
T0 = 1_788_886_609


def row(**changes):
    return {
        "proxy_wallet": "0x" + "7c" * 20, "side": "BUY", "token_id": "12", "condition_id": CONDITIONS[0], "size": 78.55,
        "price": 0.62, "timestamp": T0, "outcome_index": 999, "title": "t", "name": "n",
        "transaction_hash": "0x" + "8b" * 32,
    } | changes  # fmt: skip


def feed(rng, count):
    """A feed, newest first, with crowded seconds and equal rows; some rows are takers' (marked by ``_taker``)."""
    rows, ts = [], T0
    for _ in range(count):
        ts -= rng.choice((0, 0, 0, 1, 5))
        market = rng.randrange(2)
        rows.append(
            row(
                timestamp=ts,
                size=rng.choice((1, 2)),
                proxy_wallet="0x" + rng.choice(("11", "22")) * 20,
                condition_id=CONDITIONS[market],
                token_id=str(12 + market),
                _taker=rng.random() < 0.4,
            )
        )
    return rows


@pytest.fixture
def trades_api(fake_data_api):
    def select(query):
        takers_only = query.get("taker_only", "true") == "true"
        return [r for r in fake_data_api.rows if r.get("_taker", False) or not takers_only]

    fake_data_api.select = select
    return fake_data_api


def comparable(rows):
    return [{name: value for name, value in r.items() if name != "role"} for r in rows]


async def test_a_fill_becomes_an_exact_observation(data_client, trades_api, walks):
    trades_api.rows = [row(_taker=True), row(timestamp=T0 - 1)]
    stream = MarketTrades(data_client)
    pages = await walks.whole(stream, stream.partition([CONDITIONS[0]]))
    taker, maker = walks.rows(pages)
    assert taker == {
        "wallet": b"\x7c" * 20, "token": (12).to_bytes(32, "big"), "condition": b"\x0a" * 32, "tx": b"\x8b" * 32,
        "kind": "BUY", "ts": T0, "pos": 2**32 - 1, "ordinal": 0, "shares": 78_550_000, "cash": 48_701_000,
        "usdc_gross": 48_701_000, "fee_usdc": 0, "price_e12": 620_000_000_000, "role": "TAKER", "outcome": 999,
        "label": "", "flags": "", "source": "trades", "fee_net": 0, "fee_asset": "", "shares_gross": 78_550_000,
    }  # fmt: skip
    assert (maker["role"], maker["pos"]) == ("MAKER", 2**32 - 1)
    assert pages[-1].position == {"head_ts": T0}
    assert pages[-1].notes == {"taker_rows_read": 1}
    common = {"condition": CONDITIONS[0], "filter_type": "TOKENS", "filter_amount": "0.000001", "limit": "1000"}
    assert trades_api.queries == [common | {"taker_only": "false"}, common | {"taker_only": "true"}]


async def test_cutting_the_walk_anywhere_changes_no_row_and_no_role(data_client, trades_api, walks):
    rng = random.Random(21)
    for _ in range(40):
        trades_api.rows = feed(rng, rng.randrange(1, 60))
        stream = MarketTrades(data_client)
        partition = stream.partition(CONDITIONS)
        whole = walks.rows(await walks.whole(stream, partition))
        limit = rng.randrange(1, 9)
        pieces = await walks.pieces(lambda limit=limit: MarketTrades(data_client, page_limit=limit), partition)
        assert walks.rows(pieces) == whole
        # Which of several equal rows is the taker's cannot be known, how many are can.
        expected = Counter(
            (r["proxy_wallet"], r["timestamp"], r["size"], r["condition_id"]) for r in trades_api.rows if r["_taker"]
        )
        found = Counter(
            ("0x" + r["wallet"].hex(), r["ts"], r["shares"] // 10**6, "0x" + r["condition"].hex())
            for r in whole
            if r["role"] == "TAKER"
        )
        assert found == expected
        keys = [(r["ts"], r["wallet"], r["condition"], r["shares"], r["ordinal"]) for r in whole]
        assert len(set(keys)) == len(keys)


async def test_prices_that_differ_only_beyond_our_digits_stay_two_rows(data_client, trades_api, walks):
    trades_api.rows = [row(price=0.1234567890121, size=1), row(price=0.1234567890122, size=1)]
    stream = MarketTrades(data_client)
    rows = walks.rows(await walks.whole(stream, stream.partition(CONDITIONS)))
    assert len({(r["shares"], r["cash"], r["price_e12"], r["ordinal"]) for r in rows}) == 2


async def test_places_do_not_depend_on_the_company_of_a_condition(data_client, trades_api, walks):
    every = feed(random.Random(22), 60)
    trades_api.rows = every
    stream = MarketTrades(data_client, roles=False)
    together = walks.rows(await walks.whole(stream, stream.partition(CONDITIONS)))
    alone = []
    for condition in CONDITIONS:
        trades_api.rows = [r for r in every if r["condition_id"] == condition]
        alone += walks.rows(await walks.whole(stream, stream.partition([condition])))
    assert sorted(map(str, alone)) == sorted(map(str, together))
    assert {r["role"] for r in alone} == {""}


async def test_the_next_walk_stops_where_the_last_one_was(data_client, trades_api, walks):
    trades_api.rows = [row(timestamp=T0 - 100 * n) for n in range(40)]
    stream = MarketTrades(data_client, page_limit=5)
    partition = stream.partition(CONDITIONS)
    pages = await walks.whole(stream, partition, {"head_ts": T0 - 500})
    times = [r["ts"] for r in walks.rows(pages)]
    assert min(times) <= T0 - 1_100  # ten minutes of overlap
    assert len(times) == 15  # and not one page more
    assert pages[-1].is_last
    assert pages[-1].position == {"head_ts": T0}
    assert {page.position.get("stop") for page in pages[:-1]} == {T0 - 1_100}
    assert stream.restart_position(pages[0].position) == {"stop": T0 - 1_100}


async def test_rows_that_come_while_walking_belong_to_the_next_walk(data_client, trades_api, walks):
    old = [row(timestamp=T0 - n) for n in range(10)]
    trades_api.rows = old
    stream = MarketTrades(data_client, page_limit=4, roles=False)
    partition = stream.partition(CONDITIONS)
    pages = await walks.whole(stream, partition)
    assert pages[-1].position == {"head_ts": T0}
    trades_api.rows = [row(timestamp=T0 + 1), row(timestamp=T0, size=3), *old]
    again = walks.rows(await walks.whole(stream, partition, pages[-1].position))
    assert (again[0]["ts"], again[1]["shares"], len(again)) == (T0 + 1, 3_000_000, 12)


async def test_bad_rows_are_quarantined_and_counted(data_client, trades_api, walks):
    trades_api.rows = [
        row(),
        row(side="HOLD"),
        row(condition_id="0x" + "ab" * 31),
        row(size="NaN"),
        row(price=-0.5),
        row(timestamp=T0 * 1000, _taker=True),
        row(token_id=None),
        row(size=0, price=0),
        row(timestamp=T0 - 1),
    ]
    stream = MarketTrades(data_client)
    (page,) = await walks.whole(stream, stream.partition(CONDITIONS))
    assert [reject.reason for reject in page.rejected].count("bad_value") == 2
    assert {reject.reason for reject in page.rejected} == {"bad_side", "protocol_v2", "bad_value", "bad_time", "shape"}
    assert (page.fetched, len(page.rejected), page.ignored) == (9, 6, 1)
    assert len(walks.rows([page])) == 2


async def test_rows_in_ascending_order_are_refused(data_client, trades_api, walks):
    trades_api.rows = [row(timestamp=T0 + n) for n in range(3)]
    stream = MarketTrades(data_client)
    with pytest.raises(UpstreamContractError, match="descending"):
        await walks.whole(stream, stream.partition(CONDITIONS))


async def test_a_repeated_page_of_takers_is_refused(data_client, trades_api, walks):
    trades_api.rows = [row(timestamp=T0 - n, _taker=True) for n in range(6)]

    def stale(document, query):
        again = query["taker_only"] == "true" and query.get("cursor") == "c2"
        return document | {"data": trades_api.rows[:2]} if again else document

    trades_api.change = stale
    stream = MarketTrades(data_client, page_limit=2)
    with pytest.raises(UpstreamContractError, match="takers: rows are not in descending order"):
        await walks.whole(stream, stream.partition(CONDITIONS))


@pytest.mark.parametrize(
    ("conditions", "error"),
    [([], ConfigError), (["0x" + f"{n:064x}" for n in range(21)], ConfigError), (["0x12"], BadInputError)],
)
async def test_partitions_that_cannot_be_asked_for(data_client, walks, conditions, error):
    stream = MarketTrades(data_client)
    with pytest.raises(error):
        await walks.whole(stream, stream.partition(conditions))


async def test_the_key_of_a_batch_does_not_depend_on_order(data_client):
    stream = MarketTrades(data_client)
    assert stream.partition(CONDITIONS) == stream.partition(
        [text.upper().replace("0X", "0x") for text in CONDITIONS[::-1]]
    )
