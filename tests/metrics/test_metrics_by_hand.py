"""Metrics on numbers that can be followed with a pencil, and their laws on any numbers."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.metrics import fees, prices, ratios, series, skill, upstream_rows
from polyhouse.metrics.exact import (
    ALL_FLAT,
    NO_COST,
    NO_LOSSES,
    NO_SAMPLE,
    NO_VARIANCE,
    Ratio,
    nine,
    nine_decimal,
    nine_of,
)

DOLLAR = 1_000_000
pnls = st.lists(st.integers(-(10**12), 10**12), max_size=20)


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**20))
def test_nine_places_are_half_even_on_the_exact_ratio(numerator, denominator):
    value = nine(numerator, denominator)
    exact = Fraction(numerator, denominator) * 10**9
    scaled = Fraction(value) * 10**9
    assert scaled.denominator == 1
    assert abs(scaled - exact) <= Fraction(1, 2)
    if abs(scaled - exact) == Fraction(1, 2):
        assert scaled.numerator % 2 == 0
    assert -value.as_tuple().exponent == 9


def test_zero_has_no_sign():
    assert f"{nine_decimal(Decimal('-1e-12')):f}" == f"{nine(-1, 10**12):f}" == "0.000000000"


def test_ties_go_to_the_even_digit():
    assert [str(nine(n, 2 * 10**9)) for n in (1, 3, 5, -1)] == ["0E-9", "2E-9", "2E-9", "0E-9"]
    assert [str(nine(n, -2 * 10**9)) for n in (-1, -3, 5)] == ["0E-9", "2E-9", "-2E-9"]


def test_omega_by_hand():
    assert ratios.omega([30 * DOLLAR, 150 * DOLLAR, -65 * DOLLAR]) == Ratio(nine(180, 65))
    assert ratios.omega([30, 0]) == Ratio(None, NO_LOSSES)
    assert ratios.omega([30, 30], threshold=30) == Ratio(None, ALL_FLAT)
    assert ratios.omega([]) == Ratio(None, NO_SAMPLE)


@given(pnls)
def test_shrunk_omega_is_always_defined_and_lies_between_omega_and_one(sample):
    shrunk = ratios.omega_shrunk(sample).value
    plain = ratios.omega(sample)
    assert shrunk is not None
    if plain.value is not None:
        low, high = sorted((plain.value, Decimal(1)))
        assert low <= shrunk <= high
    if not sample:
        assert shrunk == 1


@given(pnls, st.integers(-(10**6), 10**6))
def test_gains_less_losses_are_the_sum_above_the_threshold(sample, threshold):
    gains, losses = ratios.gains_and_losses(sample, threshold)
    assert gains >= 0
    assert losses >= 0
    assert gains - losses == sum(sample) - threshold * len(sample)


def test_grades():
    steps = ["3", "2.999999999", "2", "1.5", "1", "0.5", "0.499999999"]
    assert [ratios.grade(Decimal(step)) for step in steps] == ["S", "A", "A", "B", "C", "D", "F"]
    assert ratios.grade(None) is None


def test_who_may_be_ranked():
    assert ratios.is_rankable(20, 60 * DOLLAR, 40 * DOLLAR)
    assert not ratios.is_rankable(19, 60 * DOLLAR, 40 * DOLLAR)
    assert not ratios.is_rankable(20, 60 * DOLLAR, 40 * DOLLAR - 1)


def test_win_rates_by_unit_and_by_stake():
    assert ratios.win_rate([30 * DOLLAR, -65 * DOLLAR, 9_999]).rate == Ratio(nine(1, 2))
    assert ratios.win_rate([5, -5]).rate == Ratio(None, ALL_FLAT)
    assert ratios.win_rate_by_stake([(5 * DOLLAR, 30), (-5 * DOLLAR, 10)]) == Ratio(nine(3, 4))
    assert ratios.win_rate_by_stake([]) == Ratio(None, NO_COST)
    assert ratios.hit_rate([1, 0, Fraction(1, 2)]) == Ratio(nine(1, 2))
    assert ratios.expectancy([3 * DOLLAR, -DOLLAR]) == Ratio(nine(1))


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_wilson_bound_never_promises_more_than_was_seen(wins, n):
    wins = min(wins, n)
    low = ratios.wilson_low(wins, n).value
    assert 0 <= low <= nine(wins, n)
    assert ratios.wilson_low(wins * 2, n * 2).value >= low


def test_peak_capital_is_the_deepest_point_of_the_purse():
    result = ratios.peak_capital([-40, 20, -50, 100], 30)
    assert (result.peak, result.roi) == (70, Ratio(nine(30, 70)))


def test_risk_ratios_by_hand():
    assert series.sharpe([1, 3]).daily == Ratio(nine_of(Fraction("1.414213562")))
    assert series.sortino([10, -5, 15, 0]).daily == Ratio(nine(2))
    assert series.sharpe([7, 7]).annual.status == NO_VARIANCE
    assert series.sortino([1]).annual.status == NO_SAMPLE


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30))
def test_the_drawdown_is_the_worst_fall_between_two_days(daily):
    values = [0]
    for change in daily:
        values.append(values[-1] + change)
    falls = [values[i] - values[j] for i in range(len(values)) for j in range(i, len(values))]
    assert series.max_drawdown(daily) == max(falls)


@given(st.lists(st.integers(-50, 50), max_size=30))
def test_clamped_holdings_equal_a_step_by_step_fold(deltas):
    held, shortfall = [], []
    have = missing = 0
    for delta in deltas:
        missing += max(0, -(have + delta))
        have = max(0, have + delta)
        held.append(have)
        shortfall.append(missing)
    assert series.clamp_series(deltas) == (held, shortfall)


def test_kelly_on_both_sides():
    assert skill.kelly(Fraction(6, 10), Fraction(1, 2)).value == nine(1, 5)
    assert skill.kelly(Fraction(4, 10), Fraction(1, 2)).value == nine(-1, 5)
    assert skill.kelly(Fraction(1, 2), Fraction(1, 2)).value == 0
    assert skill.kelly(Fraction(1, 2), Fraction(1)).value == nine(-1, 2)


def test_luck_is_the_edge_in_standard_deviations():
    coin = skill.Entry(500_000, Fraction(1))
    luck = skill.luck_z([coin] * 4)
    assert (luck.edge.value, luck.z.value) == (nine(2), nine(2))


def test_calibration_puts_a_price_of_one_into_the_last_bin():
    result = skill.calibration([skill.Entry(1_000_000, Fraction(1)), skill.Entry(0, Fraction(0))])
    assert sorted(result.bins) == [0, 9]
    assert result.ece.value == 0


def test_closing_line_value_counts_a_sale_backwards():
    result = skill.clv([skill.ClosingLine(is_buy=False, shares=10 * DOLLAR, entry_e6=700_000, close_e6=600_000)])
    assert (result.usdc, result.pct.value, result.beat_rate.value) == (DOLLAR, nine(1, 7), nine(1))


@given(st.lists(st.integers(0, 10**9), max_size=10))
def test_concentration_lies_between_even_and_all_in_one(stakes):
    result = skill.hhi(stakes)
    if sum(stakes) == 0:
        assert result.value is None
    else:
        assert nine(1, len(stakes)) <= result.value <= 1


def test_a_bet_without_a_reference_is_not_against_the_move():
    result = skill.contrarian([skill.Bet(10, 400_000, None, Fraction(1))])
    assert (result.against_move_share.value, result.underdog_share.value) == (nine(0), nine(1))


def test_both_spellings_of_one_fee_have_the_same_value():
    rate, shares, price = Fraction("0.05"), 100 * DOLLAR, Fraction("0.4")
    in_cash = fees.platform_fee(rate, shares, price)
    in_shares = fees.platform_fee_shares(rate, shares, price)
    assert in_cash == 1_200_000
    assert in_shares * price == in_cash
    assert fees.platform_fee_shares(rate, shares, Fraction(1)) == 0


@given(st.integers(1, 1000), st.integers(1, 10**12), st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_contract_fee_never_exceeds_its_rate_of_the_cheaper_side(rate, shares, making, taking):
    fee = fees.v1_fee(rate, shares, making, taking, "SELL")
    assert 0 <= fee <= Fraction(shares * rate, 2 * 10_000)
    assert fees.v1_fee_refund(rate, shares, making, taking, "SELL", fee + 1) == 0


def test_the_later_fill_marks_a_token():
    assert prices.mark_price((420_000, 10), (550_000, 12)) == 450_000
    assert prices.mark_price((420_000, 12), (550_000, 12)) == 420_000
    assert prices.mark_price((420_000, 10), None) == 420_000
    assert prices.mark_price(None, None, 330_000) == 330_000
    assert prices.mark_price(None, None) is None


def test_an_empty_payout_pays_nothing():
    assert prices.ctf_redeem([10, 10], [0, 0]) == 0


def test_published_sums_follow_their_parts():
    point = upstream_rows.user_pnl_point({
        "realized_market_pnl": 1_499_790_531_679, "realized_combo_pnl": -2_413_666_714,
        "unrealized_pnl": -4_296_673_533, "fees_refunded": 23_304_304_408, "fees": -32_669_709_131,
        "maker_rebate": 2_423_769_700, "taker_rebate": 415_236_400, "reward_income": 82_057_219_325,
        "yield_income": 5_818_380_400, "referral_income": 4_203_277_500,
    })  # fmt: skip
    assert point.position_pnl == 1_493_080_191_432
    assert point.settled_pnl == 1_592_294_748_290
    assert point.economic_pnl == 1_587_998_074_757
    assert point.trade_pnl == 1_502_445_596_155


@pytest.mark.parametrize(("bought", "cur", "pnl"), [(1_000_001, 0, -600_000), (1_000_001, 10**6, 400_000)])
def test_a_closed_position_is_truncated_toward_zero(bought, cur, pnl):
    assert upstream_rows.closed_position(bought, 600_000, cur) == pnl
