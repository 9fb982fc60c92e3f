"""Real answers of Polymarket, decoded by the sources as they were received."""

import json
import re
from collections import Counter

import msgspec
import pytest

from polyhouse.domain.categories import CATEGORIES
from polyhouse.sources import clob
from polyhouse.sources.data_api import activity, trades
from polyhouse.sources.data_api.activity_rows import INCOME_TYPES
from polyhouse.sources.data_api.envelope import RowsDecoder
from polyhouse.sources.gamma_rows import Batch
from polyhouse.sources.walk import SecondCounter

V2 = "Polymarket__py-sdk/tests/fixtures/data_v2"


def envelope(rows):
    return json.dumps(
        {"data": rows, "pagination": {"limit": 1000, "offset": 0, "has_more": False, "next_cursor": None}}
    ).encode()


def enveloped(path):
    """The recorded list inside an envelope, its numbers untouched."""
    return b'{"data":' + path.read_bytes() + b',"pagination":{"has_more":false,"next_cursor":null}}'


def as_v2(row):
    """A row of the older API under the names of the newer one; values stay as they are."""
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in row.items()}
    if "asset" in names:
        names["token_id"] = names.pop("asset")
    return names


def read_activity(rows):
    wallets = {row["proxy_wallet"] for row in rows}
    out, rejects = [], []
    for wallet in sorted(wallets):
        own = sorted((row for row in rows if row["proxy_wallet"] == wallet), key=lambda row: row["timestamp"])
        page = RowsDecoder(activity.ActivityRow).decode(envelope(own), "test")
        accepted, ignored = activity.PageReader(bytes.fromhex(wallet[2:]), SecondCounter()).read(page)
        assert page.fetched == len(accepted) + len(page.rejects) + ignored
        out += accepted
        rejects += page.rejects
    return out, rejects


def test_v2_activity(recorded):
    path = recorded / V2 / "activity.json"
    page = RowsDecoder(activity.ActivityRow).decode(enveloped(path), "test")
    page.rows.reverse()
    wallet = page.rows[0].proxy_wallet
    rows, _ = activity.PageReader(bytes.fromhex(wallet[2:]), SecondCounter()).read(page)
    assert page.rejects == []
    assert [(row[8], row[9], row[11], row[12]) for row in rows] == [
        # shares, cash, fee, price: 155.03 shares for 13.89215 $ of which 0.489749… $ are the fee
        (155_030_000, 13_892_150, 489_750, 86_450_364_400),
        (14_285_715, 13_285_715, 0, 930_000_003_500),
    ]


def test_v2_trades(recorded):
    page = trades.decoder.decode(enveloped(recorded / V2 / "trades.json"), "test")
    rows, _ = trades.PageReader(SecondCounter(), None, "test").read(page)
    assert page.rejects == []
    assert [(row[4], row[8], row[9], row[14]) for row in rows] == [
        ("BUY", 78_550_000, 48_701_000, 999),
        ("SELL", 70_000, 58_800, 999),
    ]


async def test_v2_lookups_and_published_figures(recorded, serve, instant_clock, walks):
    from aiohttp import web

    from polyhouse.sources.data_api import Holders, Positions, Resolutions, Values
    from polyhouse.sources.http import DATA, HttpClient

    async def handler(request):
        name = request.path.rpartition("/")[2]
        path = recorded / V2 / f"{name}.json"
        body = enveloped(path) if name != "value" else b'{"data":' + path.read_bytes() + b"}"
        return web.Response(body=body, content_type="application/json")

    condition = "0x02507350fc2b81c3af36c659a805adbda9b0a81e63a27b29cb273cdd7dbc072e"
    wallet = "0x7c3db723f1d4d8cb9c550095203b686cb11e5c6b"
    async with HttpClient(await serve(handler), DATA, clock=instant_clock) as client:
        (page,) = await walks.whole(Resolutions(client), Resolutions(client).partition([condition]))
        assert (page.fetched, page.rejected, page.notes) == (2, [], {"unresolved": 1, "without_payouts": 1})
        (page,) = await walks.whole(Positions(client), Positions(client).partition(wallet))
        got = walks.rows([page], "reported_positions")
        assert [(row["shares"], row["unrealized"]) for row in got] == [
            (400_000_000_000, 101_800_000_000), (400_000_000_000, -101_800_000_000),
        ]  # fmt: skip
        (page,) = await walks.whole(Holders(client), Holders(client).partition([condition]))
        assert [row["shares"] for row in walks.rows([page], "reported_holders")] == [1_878_772_390, 7_493_500_000_000]
        (page,) = await walks.whole(Values(client), Values(client).partition(wallet))
        assert walks.rows([page], "reported_values")[0]["value"] == 684_953_894_200


ACTIVITY_FILES = {
    "jm709__pscanner/tests/fixtures/activity.json": {},
    "edulabrador__polymarket-smart-money/tests/fixtures/activity_all.json": {},
    "edulabrador__polymarket-smart-money/tests/fixtures/activity.json": {},
    **{
        f"sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/activity_{name}.json": rejected
        for name, rejected in {
            "combo_w1": {"protocol_v2": 1},
            "merge_h2": {},
            "rebates_w0": {},
            "redeem_no_asset_w0": {},
            "trade_redeem_w": {},
        }.items()
    },
    "nuxxor__polymarket-bosona/data/bosona/activity.EXCERPT.jsonl": {},
}


@pytest.mark.parametrize("name", ACTIVITY_FILES)
def test_older_activity_rows_mean_the_same(recorded, name):
    text = (recorded / name).read_text()
    raw = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)
    rows = [as_v2(row) for row in raw]
    accepted, rejects = read_activity(rows)
    assert Counter(reject.reason for reject in rejects) == ACTIVITY_FILES[name]
    assert len(accepted) + len(rejects) == len(rows)
    expected = Counter(
        row["side"] if row["type"] == "TRADE" else "INCOME" if row["type"] in INCOME_TYPES else row["type"]
        for row in rows
        if len(row["condition_id"]) != 64
    )
    assert Counter(row[4] for row in accepted) == expected


def test_gamma_events_of_2022(recorded):
    document = json.loads((recorded / "alemxral__polytrading/gamma_data.json").read_text())
    rows = (
        document
        if isinstance(document, list)
        else next(value for value in document.values() if isinstance(value, list))
    )
    batch = Batch("test")
    for row in rows:
        batch.add_event(msgspec.Raw(json.dumps(row).encode()))
    assert batch.fetched == batch.accepted + len(batch.rejects) + batch.ignored
    assert len(batch.events) == 340
    assert {row[4] for row in batch.events} <= set(CATEGORIES)
    # What is rejected is what the offline proof cannot accept; everything else is taken.
    assert {reject.reason for reject in batch.rejects} <= {"token_mismatch", "not_binary", "bad_value"}
    assert len(batch.tokens) > 0.9 * (len(batch.tokens) + len(batch.rejects))


def test_gamma_markets_and_their_tokens(recorded):
    path = recorded / "borat14011-sudo__wom-polymarket-strategy/polymarket-backtest/data/raw/markets.json"
    rows = json.loads(path.read_text())
    batch = Batch("test")
    for row in rows:
        batch.add_market(msgspec.Raw(json.dumps(row).encode()))
    assert batch.fetched == batch.accepted + len(batch.rejects) + batch.ignored
    assert batch.rejects == []
    assert len(batch.markets) == 600
    assert len({row[0] for row in batch.markets}) == 596
    assert len(batch.tokens) == 1_200  # every token id was recomputed and agrees
    assert sum(row[7] for row in batch.markets) == 236


def test_clob_page(recorded):
    path = recorded / "borat14011-sudo__wom-polymarket-strategy/clob_response_bytes.json"
    page = msgspec.json.decode(path.read_bytes(), type=clob.MarketsPage)
    batch = clob._read(page.data, "test")
    assert clob.offset_of(page.next_cursor) == 1_000
    assert batch.ignored == 54
    assert len({row[0] for row in batch.markets}) == 946
    assert len(batch.markets) + batch.ignored == 1_000
    assert {reject.reason for reject in batch.rejects} <= {"token_mismatch"}
    assert Counter(row[-3] for row in batch.markets)["WINNER_0"] > 100


def test_a_fifty_fifty_market(recorded):
    path = (
        recorded / "sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/clob_market_5050.json"
    )
    batch = clob._read([msgspec.Raw(path.read_bytes())], "test")
    assert (batch.markets[0][-3], batch.markets[0][-2], len(batch.tokens)) == ("SPLIT", [500_000, 500_000], 2)
