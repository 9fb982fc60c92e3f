"""The rules by SQL and the rules in Python are one set of rules; and what they are."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import EXCHANGE, TOKEN, csv_text, order_row

HASH = "0x" + "ab" * 32
BAD_NUMBERS = (
    "",
    "-1",
    "007",
    "1.5",
    "1e6",
    "nan",
    "9" * 19,
    " 5",
    "5 ",
    "+5",
    "0x10",
    "1_0",
    "٣",
    "18446744073709551617",
)


def _amount():
    return st.one_of(
        st.integers(0, 3).map(str), st.integers(1, 10**18 - 1).map(str), st.sampled_from(BAD_NUMBERS),
        st.integers(10**17, 10**20).map(str),
    )  # fmt: skip


def _hex(size):
    good = st.integers(1, 4).map(lambda n: f"0x{n:0{size}x}")
    bad = st.sampled_from(
        ("", "0x", "0x1", f"{1:0{size + 2}x}", "0x" + "g" * size, "0x" + "1" * (size + 2), "x0" + "1" * size)
    )
    return st.one_of(good, good, good, good, good.map(lambda text: "0x" + text[2:].upper()), bad)


ASSET = st.one_of(
    st.just("0"), st.just("0"), st.just(TOKEN), st.just("7"),
    st.sampled_from((str(2**256), str(2**256 - 1), "1" * 79, "-5", "01", "0x12", "12a", "")),
)  # fmt: skip
TIMES = st.one_of(
    st.sampled_from(("1700000000", "1700000001", "1790000000")),
    st.sampled_from(
        (
            "0",
            "1300000000",
            "5000000000",
            "1700000000000",
            "2023-11-14",
            "-1",
            "",
            "01700000000",
            "9999999999999999999999",
        )
    ),
)
ROW = st.fixed_dictionaries(
    {
        "timestamp": TIMES, "maker": st.one_of(_hex(40), st.just(EXCHANGE)), "makerAssetId": ASSET,
        "makerAmountFilled": _amount(), "taker": st.one_of(_hex(40), st.just(EXCHANGE)), "takerAssetId": ASSET,
        "takerAmountFilled": _amount(), "transactionHash": _hex(64),
        "orderHash": st.one_of(st.just(""), _hex(64)),
        "id": st.one_of(st.just(""), st.just("a"), st.builds(lambda a, b: f"{a}_{b}", _hex(64), _hex(64))),
        "fee": st.one_of(st.just(""), st.just("0"), _amount()),
        "logIndex": st.one_of(st.just(""), st.sampled_from(("0", "5", "4294967295", "4294967296", "-1", "05", "x"))),
    }
)  # fmt: skip


def _mostly_good(row):
    """A row that is true in all but one field, so that the later rules are reached too."""
    good = order_row(2, makerAmountFilled="400", takerAmountFilled="1000", orderHash="", id="", fee="", logIndex="")
    return st.sampled_from(sorted(row)).map(lambda name: good | {name: row[name]})


ROWS = st.lists(st.one_of(ROW, ROW.flatmap(_mostly_good), ROW.flatmap(_mostly_good)), min_size=1, max_size=40)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_both_paths_give_the_same_rows_and_the_same_reasons(rows, stores, load, stored, rejected, tmp_path):
    rows = rows + rows[: len(rows) // 3]
    (tmp_path / "rows.csv").write_text(csv_text(rows), encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    results = []
    for name, shift in (("rows.csv", 1), ("rows.jsonl", 0)):
        stores.warehouse.command("TRUNCATE TABLE observations")
        (report,) = load(tmp_path / name)
        counts = (report.rows_read, report.rows_new, report.rows_repeated, report.rows_rejected, report.rows_ignored)
        results.append((stored(), counts, [(line - shift, reason) for line, reason in rejected(report)]))
        assert report.rows_read == sum(counts[1:])
    assert results[0] == results[1]


@pytest.fixture
def one(load, stores, tmp_path):
    def _one(**changes):
        stores.warehouse.command("TRUNCATE TABLE observations")
        (tmp_path / "one.csv").write_text(csv_text([order_row(**changes)]), encoding="utf-8")
        (report,) = load(tmp_path / "one.csv")
        names = (
            "kind", "shares", "cash", "shares_gross", "usdc_gross", "fee_net", "fee_asset", "fee_usdc", "role",
            "counterparty", "source", "pos", "order_hash",
        )  # fmt: skip
        rows = stores.warehouse.query(f"SELECT {', '.join(names)} FROM observations FINAL").rows
        assert len(rows) == report.rows_new
        return dict(zip(names, rows[0], strict=True)) if rows else None

    return _one


def test_a_buy_belongs_to_its_maker_and_a_fee_of_v1_is_taken_in_shares(one):
    assert one(fee=2_000_000) == {
        "kind": "BUY", "shares": 98_000_000, "cash": 45_000_000, "shares_gross": 100_000_000,
        "usdc_gross": 45_000_000, "fee_net": 2_000_000, "fee_asset": "shares", "fee_usdc": 900_000, "role": "TAKER",
        "counterparty": bytes(20), "source": "dump", "pos": 0, "order_hash": bytes(32),
    }  # fmt: skip


def test_a_sale_of_v1_pays_its_fee_in_cash_and_a_maker_row_names_the_taker(one):
    other = "0x" + "77" * 20
    row = one(
        makerAssetId=TOKEN, takerAssetId=0, makerAmountFilled=100_000_000, takerAmountFilled=45_000_000, fee=900_000,
        taker=other, logIndex=17, orderHash=HASH,
    )  # fmt: skip
    assert (row["kind"], row["shares"], row["cash"], row["fee_usdc"]) == ("SELL", 100_000_000, 44_100_000, 900_000)
    assert (row["role"], row["counterparty"], row["pos"]) == ("MAKER", bytes.fromhex("77" * 20), 17)
    assert row["order_hash"] == bytes.fromhex("ab" * 32)


def test_after_the_cutover_a_buy_pays_its_fee_on_top(one):
    row = one(timestamp=1_777_374_000, fee=900_000)
    assert (row["shares"], row["cash"], row["fee_asset"]) == (100_000_000, 45_900_000, "usdc")
    row = one(timestamp=1_777_373_999, fee=900_000)
    assert (row["shares"], row["cash"], row["fee_asset"]) == (99_100_000, 45_000_000, "shares")


def test_an_id_of_the_public_subgraph_tells_source_and_order(one):
    row = one(id=f"0x{1:064x}_{HASH}")
    assert (row["source"], row["order_hash"]) == ("subgraph", bytes.fromhex("ab" * 32))


def test_a_fill_of_nothing_is_ignored_and_cash_for_nothing_is_kept(one):
    assert one(makerAmountFilled=0, takerAmountFilled=0) is None
    assert one(takerAmountFilled=0)["cash"] == 45_000_000
