"""Fills: decoding, matches, fees and refunds, each number worked by hand from accounting §§1.3–1.9."""

import pytest

from polyhouse.errors import UpstreamContractError

M = 1_000_000


def pick(fill, *names):
    return tuple(fill[name] for name in names)


def test_round_trip_and_reopening_are_one_row_per_fill(chain):
    got = chain.derive(
        chain.buy(1, "W1", "AY", 40 * M, 100 * M, tx="a", bn=1),
        chain.sell(1, "W1", "AY", 100 * M, 55 * M, tx="b", bn=2),
        chain.buy(1, "W1", "AY", 3 * M, 10 * M, tx="c", bn=3),
    )
    assert [(r["kind"], r["shares"], r["cash"], r["token"], r["condition"], r["outcome"]) for r in got.rows] == [
        ("BUY", 100 * M, 40 * M, "AY", "A", 0),
        ("SELL", 100 * M, 55 * M, "AY", "A", 0),
        ("BUY", 10 * M, 3 * M, "AY", "A", 0),
    ]
    assert got.flags == []


def test_a_price_above_one_is_kept(chain):
    got = chain.derive(chain.buy(1, "W1", "AY", 12 * M, 10 * M))
    assert pick(got.fills["m1:1"], "usdc_delta", "shares_delta") == (-12 * M, 10 * M)
    assert got.flags == []


def test_mixed_match_of_complementary_and_mint_makers(chain):
    got = chain.derive(
        chain.sell(1, "W2", "AY", 50 * M, 25 * M, taker="W1"),
        chain.buy(2, "W3", "AN", 20 * M, 50 * M, taker="W1"),
        chain.buy(3, "W1", "AY", 60 * M, 100 * M, taker="EX1", order="oa"),
        chain.matched(4, "oa"),
    )
    assert got.fills["m1:1"]["match_type"] == "COMPLEMENTARY"
    assert got.fills["m1:2"]["match_type"] == "MINT"
    # need = 25 + (50 − 20) = 55 of 60 given
    assert pick(got.fills["m1:3"], "role", "refund_usdc", "usdc_delta", "match_type") == ("TAKER", 5 * M, -55 * M, None)
    assert {got.fills[key]["counterparty"] for key in ("m1:1", "m1:2")} == {"W1"}
    assert {fill["match_id"] for fill in got.fills.values()} == {"m1:4"}
    assert got.flags == []


def test_mixed_match_of_complementary_and_merge_makers(chain):
    got = chain.derive(
        chain.buy(1, "W2", "AY", 30 * M, 50 * M, taker="W1", v=2),
        chain.sell(2, "W3", "AN", 50 * M, 20 * M, taker="W1", v=2),
        chain.sell(3, "W1", "AY", 100 * M, 60 * M, taker="EX2", order="oa", v=2, fee=M),
        chain.matched(4, "oa", ex="EX2"),
    )
    assert [got.fills[f"m1:{li}"]["match_type"] for li in (1, 2, 3)] == ["COMPLEMENTARY", "MERGE", None]
    assert pick(got.fills["m1:3"], "refund_shares", "shares_delta", "usdc_delta") == (0, -100 * M, 59 * M)
    assert got.flags == []


def test_two_exchanges_in_one_transaction_are_two_matches(chain):
    got = chain.derive(
        chain.sell(1, "W2", "AY", 10 * M, 5 * M, taker="W1"),
        chain.sell(2, "W3", "Q0Y", 10 * M, 4 * M, taker="W4", ex="NEX1"),
        chain.buy(3, "W1", "AY", 5 * M, 10 * M, taker="EX1", order="oa"),
        chain.buy(4, "W4", "Q0Y", 4 * M, 10 * M, taker="NEX1", order="ob", ex="NEX1"),
        chain.matched(5, "ob", ex="NEX1"),
        chain.matched(6, "oa"),
    )
    assert [(f["counterparty"], f["match_id"], f["exchange"]) for f in got.fills.values()] == [
        ("W1", "m1:6", "EX1"),
        ("W4", "m1:5", "NEX1"),
        (None, "m1:6", "EX1"),
        (None, "m1:5", "NEX1"),
    ]


def test_rows_after_the_last_match_are_direct(chain):
    got = chain.derive(
        chain.sell(1, "W2", "AY", 10 * M, 5 * M, taker="W1"),
        chain.buy(2, "W1", "AY", 5 * M, 10 * M, taker="EX1", order="oa"),
        chain.matched(3, "oa"),
        chain.sell(4, "W3", "AY", 7 * M, 3 * M, taker="OPR"),
    )
    assert pick(got.fills["m1:4"], "role", "match_id", "counterparty") == ("DIRECT", None, None)


def test_a_match_without_its_taker_row_is_flagged_and_kept(chain):
    got = chain.derive(chain.sell(1, "W2", "AY", 10 * M, 5 * M, taker="W1"), chain.matched(2, "oa"))
    assert pick(got.fills["m1:1"], "role", "counterparty", "match_id") == ("MAKER", None, "m1:2")
    assert got.flags == ["taker_row_missing m1:2"]


def test_the_order_hash_alone_does_not_make_a_taker(chain):
    """The taker order's own row names the exchange as taker; a row that names a wallet is a maker's (§1.5)."""
    got = chain.derive(chain.sell(1, "W2", "AY", 10 * M, 5 * M, taker="W1", order="oa"), chain.matched(2, "oa"))
    assert got.fills["m1:1"]["role"] == "MAKER"
    assert got.flags == ["taker_row_missing m1:2"]


def test_fee_refunds_of_an_order_that_filled_twice_pair_by_what_was_charged(chain):
    logs = [
        chain.buy(1, "W1", "AY", 25 * M, 50 * M, taker="W9", order="oo", fee=5 * M),
        chain.buy(2, "W1", "AY", 25 * M, 50 * M, taker="W8", order="oo", fee=3 * M),
        chain.log("FeeRefunded", 3, order="oo", to="W1", id="AY", refund=2 * M, fee_charged=M),
        chain.log("FeeRefunded", 4, order="oo", to="W1", id="AY", refund=4 * M, fee_charged=M),
    ]
    got = chain.derive(*logs)
    assert pick(got.fills["m1:1"], "fee_net", "shares_delta", "fee_usdc", "fee_asset") == (M, 49 * M, M // 2, "SHARES")
    assert pick(got.fills["m1:2"], "fee_net", "shares_delta") == (M, 49 * M)
    assert got.flags == []


def test_fee_refunds_without_a_charged_amount_pair_in_log_order(chain):
    got = chain.derive(
        chain.sell(1, "W1", "AY", 50 * M, 25 * M, order="oo", fee=300),
        chain.sell(2, "W1", "AY", 50 * M, 25 * M, order="oo", fee=200),
        chain.log("FeeRefunded", 3, order="oo", to="W1", id="0", refund=100),
        chain.log("FeeRefunded", 4, order="oo", to="W1", id="0", refund=50),
    )
    assert [pick(f, "fee_net", "usdc_delta", "fee_usdc") for f in got.fills.values()] == [
        (200, 25 * M - 200, 200),
        (150, 25 * M - 150, 150),
    ]


def test_each_refund_is_used_once(chain):
    """After the first pair, 3 − 1 = 2 would fit the first fill again."""
    got = chain.derive(
        chain.sell(1, "W1", "AY", 50, 25, order="oo", fee=5),
        chain.sell(2, "W1", "AY", 50, 25, order="oo", fee=3),
        chain.log("FeeRefunded", 3, order="oo", to="W1", id="0", refund=2, fee_charged=3),
        chain.log("FeeRefunded", 4, order="oo", to="W1", id="0", refund=1, fee_charged=2),
    )
    assert [f["fee_net"] for f in got.fills.values()] == [3, 2]


def test_a_refund_above_the_fee_is_no_refund_of_it(chain):
    got = chain.derive(
        chain.sell(1, "W1", "AY", 50, 25, order="oo", fee=5),
        chain.log("FeeRefunded", 2, order="oo", to="W1", id="0", refund=6),
    )
    assert [f["fee_net"] for f in got.fills.values()] == [5]
    assert got.flags == ["fee_refund_unpaired m1:2"]


def test_a_fill_without_fee_takes_no_part_in_the_pairing(chain):
    got = chain.derive(
        chain.sell(1, "W1", "AY", 50 * M, 25 * M, order="oo"),
        chain.sell(2, "W1", "AY", 50 * M, 25 * M, order="oo", fee=200),
        chain.log("FeeRefunded", 3, order="oo", to="W1", id="0", refund=150),
    )
    assert [f["fee_net"] for f in got.fills.values()] == [0, 50]


def test_a_refund_belongs_to_its_own_transaction_only(chain):
    """An order is filled in many transactions: joining on its hash alone would refund all of them (§1.8)."""
    got = chain.derive(
        chain.sell(1, "W1", "AY", 50 * M, 25 * M, order="oo", fee=200, tx="a", bn=1),
        chain.sell(1, "W1", "AY", 50 * M, 25 * M, order="oo", fee=200, tx="b", bn=2),
        chain.log("FeeRefunded", 2, order="oo", to="W1", id="0", refund=150, tx="b", bn=2),
        chain.log("FeeRefunded", 1, order="other", to="W1", id="0", refund=1, tx="c", bn=3),
    )
    assert [f["fee_net"] for f in got.fills.values()] == [200, 50]
    assert got.flags == ["fee_refund_unpaired c:1"]


def test_share_fee_in_cash_is_floored(chain):
    got = chain.derive(chain.buy(1, "W1", "AY", 1_000_000, 3_000_000, fee=10))
    assert pick(got.fills["m1:1"], "fee_usdc", "shares_delta", "usdc_delta") == (3, 2_999_990, -1_000_000)


def test_v1_mint_surplus_goes_back_to_the_taker(chain):
    got = chain.derive(
        chain.buy(1, "W2", "AN", 50 * M, 100 * M, taker="W1"),
        chain.buy(2, "W1", "AY", 60 * M, 100 * M, taker="EX1", order="oa"),
        chain.matched(3, "oa"),
    )
    assert pick(got.fills["m1:2"], "refund_usdc", "usdc_delta", "usdc_gross") == (10 * M, -50 * M, 60 * M)


def test_v2_complementary_rows_are_already_actual(chain):
    got = chain.derive(
        chain.sell(1, "W2", "AY", 100 * M, 40 * M, v=2, taker="W1"),
        chain.buy(2, "W1", "AY", 40 * M, 100 * M, v=2, taker="EX2", order="oa", fee=M),
        chain.matched(3, "oa", ex="EX2"),
    )
    assert pick(got.fills["m1:2"], "refund_usdc", "usdc_delta", "fee_usdc") == (0, -41 * M, M)


def test_v3_rows_decode_like_v2(chain):
    got = chain.derive(
        chain.buy(1, "W2", "AN", 45 * M, 100 * M, v=3, taker="W1"),
        chain.buy(2, "W1", "AY", 55 * M, 100 * M, v=3, taker="EX3", order="oa", fee=2 * M),
        chain.matched(3, "oa", ex="EX3"),
    )
    assert pick(got.fills["m1:2"], "exchange", "usdc_delta", "refund_usdc") == ("EX3", -57 * M, 0)
    assert got.fills["m1:1"]["match_type"] == "MINT"


@pytest.mark.parametrize(
    ("maker_gets", "taker_gives", "refund"),
    [
        (50 * M, 45 * M, 0),  # the taker gave less than was needed: no negative refund
        (40 * M, 45 * M, 5 * M),  # too few shares arrived, the refund stands
    ],
)
def test_a_match_that_does_not_add_up_is_flagged_and_kept(chain, maker_gets, taker_gives, refund):
    got = chain.derive(
        chain.sell(1, "W2", "AY", 100 * M, maker_gets, taker="W1"),
        chain.buy(2, "W1", "AY", taker_gives, 101 * M, taker="EX1", order="oa"),
        chain.matched(3, "oa"),
    )
    assert got.flags == ["match_not_balanced m1:2"]
    assert pick(got.fills["m1:2"], "refund_usdc", "usdc_delta", "flags") == (
        refund,
        refund - taker_gives,
        ["match_not_balanced"],
    )


@pytest.mark.parametrize(("maker_asset", "taker_asset"), [("AY", "AN"), ("0", "0")])
def test_a_v1_row_without_exactly_one_collateral_side_is_rejected(chain, maker_asset, taker_asset):
    row = chain.buy(1, "W1", "AY", M, M) | {"maker_asset": maker_asset, "taker_asset": taker_asset}
    got = chain.derive(row)
    assert got.rows == []
    assert got.flags == ["fill_rejected m1:1"]


def test_zero_rows_are_dropped_but_cash_for_nothing_stays(chain):
    got = chain.derive(
        chain.buy(1, "W1", "AY", 0, 0), chain.buy(2, "W1", "AY", 7, 0, fee=0), chain.sell(3, "W1", "AY", 0, 0, v=2)
    )
    assert got.flags == ["zero_fill m1:1", "zero_fill m1:3"]
    assert [(r["shares"], r["cash"], r["fee"]) for r in got.rows] == [(0, 7, 0)]


def test_self_trades_are_kept_and_flagged(chain):
    got = chain.derive(
        chain.sell(1, "W1", "AY", 10 * M, 5 * M, v=2, taker="W1"),
        chain.buy(2, "W1", "AY", 5 * M, 10 * M, v=2, taker="EX2", order="oa"),
        chain.matched(3, "oa", ex="EX2"),
    )
    assert got.flags == ["self_trade m1:1"]
    assert [(f["shares_delta"], f["flags"]) for f in got.fills.values()] == [
        (-10 * M, ["self_trade"]),
        (10 * M, ["self_trade"]),
    ]


def test_a_taker_with_other_makers_too_is_no_self_trade(chain):
    got = chain.derive(
        chain.sell(1, "W1", "AY", 10 * M, 5 * M, v=2, taker="W1"),
        chain.sell(2, "W2", "AY", 10 * M, 5 * M, v=2, taker="W1"),
        chain.buy(3, "W1", "AY", 10 * M, 20 * M, v=2, taker="EX2", order="oa"),
        chain.matched(4, "oa", ex="EX2"),
    )
    assert [f["flags"] for f in got.fills.values()] == [["self_trade"], [], []]


@pytest.mark.parametrize(
    "wallet", ["NRA", "ADP", "AR", "ZERO", "EX2", "OPR", "0xa5ef39c3d3e10d0b270233af41cac69796b12966"]
)
def test_machinery_never_owns_a_fill(chain, wallet):
    got = chain.derive(chain.buy(1, wallet, "AY", M, M))
    assert got.rows == []
    assert got.flags == ["infra_wallet m1:1"]


def test_a_fill_of_an_unknown_token_is_kept_without_condition(chain):
    got = chain.derive(chain.buy(1, "W1", "ZZ", M, 2 * M))
    assert [(r["token"], r["condition"], r["outcome"], r["shares"]) for r in got.rows] == [("ZZ", "", 999, 2 * M)]


def test_contradicting_deliveries_are_an_error(chain):
    row = chain.buy(1, "W1", "AY", M, 2 * M)
    with pytest.raises(UpstreamContractError, match="two different logs claim 0x"):
        chain.derive(row, row | {"taker_amount": 3 * M})
    with pytest.raises(UpstreamContractError, match="two different logs"):
        chain.derive(row, chain.matched(1, "o"))
    with pytest.raises(UpstreamContractError, match="delivered at 1/0 and at 2/0"):
        chain.derive(row, row | {"bn": 2})
    with pytest.raises(UpstreamContractError, match="delivered at 1/0 and at 1/3"):
        chain.derive(row, row | {"ti": 3})


def test_another_time_is_not_another_log(chain):
    row = chain.buy(1, "W1", "AY", M, 2 * M)
    for times in ((10, 11), (11, 10)):
        got = chain.derive(*(row | {"ts": ts} for ts in times))
        assert [o.ts for o in got.out.observations] == [10]
