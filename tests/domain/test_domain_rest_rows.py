"""Amounts, identity and order of Data API rows (accounting §1.10)."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain.amounts import whole_units
from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.domain.rest import (
    ActivityAmounts,
    activity_amounts,
    fee_tolerance,
    merge_fetches,
    order_class,
    order_key,
    trade_amounts,
)
from polyhouse.errors import BadInputError

V1, V2 = CLOB_V2_CUTOVER_TS - 1, CLOB_V2_CUTOVER_TS


def test_a_buy_with_a_fee_paid_the_fee_on_top_since_the_cutover():
    row = activity_amounts("BUY", "7917.59", "0.45", "3660.89567", V2)
    assert row == ActivityAmounts(7_917_590_000, 3_660_895_670, 97_980_170, 3_562_915_500)


def test_a_buy_with_a_fee_paid_it_in_shares_before_the_cutover():
    row = activity_amounts("BUY", "7917.59", "0.45", "3660.89567", V1)
    assert (row.cash, row.fee_usdc, row.usdc_gross) == (3_660_895_670, 97_980_170, 3_660_895_670)


@pytest.mark.parametrize("ts", [V1, V2])
def test_a_sale_received_its_cash_after_the_fee(ts):
    row = activity_amounts("SELL", "100", "0.5", "48.25", ts)
    assert row == ActivityAmounts(100_000_000, 48_250_000, 1_750_000, 50_000_000)


def test_a_maker_fill_has_no_fee_although_its_price_is_rounded():
    row = activity_amounts("BUY", "714.285713", "0.860000001148", "614.285714", V1)
    assert row == ActivityAmounts(714_285_713, 614_285_714, 0, 614_285_714)


def test_cash_below_the_printed_price_is_no_negative_fee():
    assert activity_amounts("BUY", "100", "0.5", "49", V2).fee_usdc == 0
    assert activity_amounts("SELL", "100", "0.5", "51", V2).fee_usdc == 0


def test_without_price_or_shares_no_fee_is_disclosed():
    assert activity_amounts("BUY", "100", "0", "49", V2).fee_usdc == 0
    assert activity_amounts("BUY", "0", "0.5", "49", V2) == ActivityAmounts(0, 49_000_000, 0, 49_000_000)


@pytest.mark.parametrize(("shares", "tolerance"), [(0, 1), (1, 2), (2 * 10**10, 2), (2 * 10**10 + 1, 3)])
def test_the_tolerance_grows_with_the_shares(shares, tolerance):
    assert fee_tolerance(shares) == tolerance


@given(st.integers(1, 10**13), st.integers(1, 10**10), st.integers(0, 10**12), st.sampled_from([V1, V2]))
def test_net_and_gross_cash_differ_by_the_fee_at_most(shares, price_e10, extra, ts):
    price = f"0.{price_e10 % 10**10:010d}"
    notional = shares * int(price[2:]) // 10**10
    row = activity_amounts("BUY", str(whole_units(shares)), price, str(whole_units(notional + extra)), ts)
    assert row.cash == notional + extra
    assert row.cash - row.usdc_gross == (row.fee_usdc if ts == V2 else 0)
    assert 0 <= row.fee_usdc <= extra + 1
    sale = activity_amounts("SELL", str(whole_units(shares)), price, str(whole_units(notional)), ts)
    assert sale.usdc_gross - sale.cash == sale.fee_usdc == 0


@given(st.integers(0, 10**14), st.integers(0, 10**16))
def test_a_trade_row_is_rounded_half_up_from_the_exact_product(shares, price_e16):
    price = f"{price_e16 // 10**16}.{price_e16 % 10**16:016d}"
    got, usdc = trade_amounts(str(whole_units(shares)), price)
    assert got == shares
    assert usdc - Fraction(1, 2) <= shares * Fraction(price) < usdc + Fraction(1, 2)


@pytest.mark.parametrize("side", ["", "buy", "SPLIT", None])
def test_a_trade_has_a_side(side):
    with pytest.raises(BadInputError, match="side"):
        activity_amounts(side, "1", "0.5", "0.5", V2)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=4))
def test_several_fetches_prove_the_maximum_not_the_sum(fetches):
    merged = merge_fetches(fetches)
    for row in "abc":
        assert merged[row] == max((fetch.count(row) for fetch in fetches), default=0)


def test_order_inside_a_second():
    words = ["BUY", "SPLIT", "CONVERSION", "SELL", "MERGE", "REDEEM", "REWARD"]
    assert [order_class(word) for word in words] == [0, 0, 1, 2, 2, 3, 4]
    assert order_key(4, "REDEEM", "0xz") < order_key(5, "BUY", "0xa") < order_key(5, "SELL", "0xa", 0)
    assert order_key(5, "SELL", "0xa", 0) < order_key(5, "SELL", "0xa", 1) < order_key(5, "MERGE", "0xb")
