import json
from decimal import Decimal

import pytest

from polyhouse.reads.exact import decode, encode, moment, money


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (-1, "-0.000001"),
        (12_345_678, "12.345678"),
        (12_500_000, "12.5"),
        (9_223_372_036_854_775_807, "9223372036854.775807"),
        (-9_223_372_036_854_775_808, "-9223372036854.775808"),
    ],
)
def test_money_is_printed_digit_by_digit(micros, text):
    assert encode({"x": money(micros)}) == b'{"x":' + text.encode() + b"}"


def test_small_ratios_are_not_written_with_an_exponent():
    assert (
        encode([Decimal("1E-9"), Decimal("0E-9"), Decimal("1.500000000")]) == b"[0.000000001,0.000000000,1.500000000]"
    )


def test_integers_beyond_64_bits_stay_whole():
    assert encode([2**200, -(2**100)]) == f"[{2**200},{-(2**100)}]".encode()


@pytest.mark.parametrize("value", [float("nan"), 1.5, Decimal("NaN"), Decimal("Infinity"), b"x", object()])
def test_what_has_no_exact_form_is_refused(value):
    with pytest.raises(ValueError):
        encode({"x": [value]})


def test_a_document_comes_back_as_it_was():
    document = {"a": [Decimal("0.1"), 7, None, True, "ü\n"], "b": {"c": Decimal("-12.345678")}}
    assert decode(encode(document)) == document
    assert decode(encode(document, indent=2)) == document
    assert isinstance(decode(b"0.1"), Decimal)
    json.loads(encode(document))


@pytest.mark.parametrize("text", ["NaN", "Infinity", '{"x": -Infinity}'])
def test_constants_outside_json_are_refused(text):
    with pytest.raises(ValueError):
        decode(text)


def test_unknown_times_are_none():
    assert moment(0) is None
    assert moment(None) is None
    assert moment(1_795_000_000) == "2026-11-18T11:06:40Z"
