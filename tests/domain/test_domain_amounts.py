"""Money: exact integers of millionths, from text and back, without a float."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain.amounts import (
    MAX_MICROS,
    micros,
    parse_price,
    price_e6,
    price_e12,
    printed_micros,
    whole_units,
)
from polyhouse.errors import BadInputError

amounts = st.integers(min_value=1 - MAX_MICROS, max_value=MAX_MICROS - 1)


@given(amounts)
def test_money_survives_print_and_parse(amount):
    text = str(whole_units(amount))
    assert micros(text, allow_negative=True) == amount
    assert micros(Decimal(text), allow_negative=True) == amount
    assert Fraction(text) == Fraction(amount, 10**6)
    assert "e" not in text.lower()


@given(st.integers(min_value=0, max_value=MAX_MICROS - 1), st.integers(min_value=0, max_value=12))
def test_exponents_and_trailing_zeros_do_not_change_the_amount(amount, zeros):
    assert micros(f"{amount}e-6") == amount
    assert micros(f"{amount // 10**6}.{amount % 10**6:06d}" + "0" * zeros) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.000001"), (-1, "-0.000001"), (12_500_000, "12.5"), (-30_000_000, "-30"), (10_000, "0.01")],
)
def test_printed_money(amount, text):
    assert str(whole_units(amount)) == text


@pytest.mark.parametrize(
    ("text", "amount"),
    [("30974.624038", 30_974_624_038), ("0", 0), ("-0", 0), ("1e-06", 1), ("1.5E2", 150_000_000), (7, 7_000_000)],
)
def test_read_money(text, amount):
    assert micros(text) == amount


BAD_AMOUNTS = [
    "", " 1", "1 ", "+1", "1.", ".5", "007", "1_000", "1,5", "NaN", "Infinity", "-Infinity", "0x10", "٣", "１", "1\x00",
    "1e400", "1e", "0.0000001", "-1", "1" * 10_000, 1.5, True, None, b"1", [], Decimal("NaN"), Decimal("sNaN"),
    Decimal("Infinity"), Decimal("0.0000001"), Decimal(-1), 10**12, "1000000000000", 10**5_000, -5,
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_AMOUNTS, ids=lambda bad: str(type(bad)) if isinstance(bad, int) else repr(bad)[:20])
def test_what_is_no_amount_is_refused_with_its_name(bad):
    with pytest.raises(BadInputError, match=r"^stake ") as caught:
        micros(bad, "stake")
    assert len(str(caught.value)) < 300


@given(st.text(max_size=30))
def test_any_text_is_an_exact_amount_or_an_error(text):
    try:
        amount = micros(text, allow_negative=True)
    except BadInputError:
        return
    assert Fraction(text) * 10**6 == amount


def test_the_print_noise_of_a_float_is_forgiven_but_a_seventh_digit_is_not():
    assert printed_micros("2538.2661200000002") == 2_538_266_120
    assert printed_micros("0.30000000000000004") == 300_000
    assert printed_micros("12.5") == 12_500_000
    for real_digits in ("1.0000001", "2538.26612001", "0.0000005"):
        with pytest.raises(BadInputError, match="more than 6 decimals"):
            printed_micros(real_digits)


@given(st.integers(min_value=0, max_value=10**13))
def test_every_amount_printed_through_a_double_comes_back(amount):
    assert printed_micros(repr(amount / 10**6)) == amount


def test_prices_keep_their_digits():
    assert parse_price("0.860000001148") == (860_000_001_148, 12)
    assert price_e12("0.7671607282693813") == 767_160_728_269
    assert price_e12("1e-05") == 10_000_000
    assert price_e12("0.0000000000005") == 1
    for bad in ("-0.5", "1000001", "NaN", 0.5):
        with pytest.raises(BadInputError, match="price"):
            price_e12(bad)


@given(st.integers(0, 10**15), st.integers(1, 10**15))
def test_the_price_of_a_fill_is_rounded_half_up(usdc, shares):
    exact = Fraction(usdc * 10**6, shares)
    price = price_e6(usdc, shares)
    assert price - Fraction(1, 2) <= exact < price + Fraction(1, 2)


def test_no_shares_no_price():
    assert price_e6(5, 0) is None
    assert price_e6(2_000_000, 3_000_000) == 666_667
