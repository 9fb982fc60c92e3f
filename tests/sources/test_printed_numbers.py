"""Numbers of a page are handed over as they are printed, or as Decimals: both must come out as the same rows."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest

from polyhouse.domain.rest import activity_amounts, trade_amounts
from polyhouse.errors import BadInputError
from polyhouse.sources.data_api import activity, trades
from polyhouse.sources.walk import SecondCounter

WALLET = bytes([0x7C] * 20)
AMOUNTS = [
    "0", "0.0", "1", "12", "0.000001", "12.5", "14.285715", "2538.2661200000002", "0.1000000000000000055",
    "99999999999", "99999999999.999999", "100000000000.5", "999999999999", "1000000000000", "0.0000001", "1.2345678",
    "1e2", "1E-6", "1.5e3", "1e-7", "-1", "-0.0", "-2.5", "1e400", "123456789012345678901234567890",
    "0." + "3" * 130, "18446744073709551616", "null",
]  # fmt: skip
PRICES = ["0.93", "0.9300000035", "1", "0", "1e-2", "1000000", "1000001", "-0.5", "0.12345678901234567890123", "null"]


def rows_of(amounts, quoted):
    """A page of activity: one row for each (size, cash, price)."""
    said = (lambda text: text if text == "null" else f'"{text}"') if quoted else (lambda text: text)
    return [
        f'{{"proxy_wallet": "0x{WALLET.hex()}", "timestamp": 1788886609, "condition_id": "0x{"0a" * 32}", '
        f'"type": "TRADE", "transaction_hash": "0x{number:064x}", "token_id": "77", "side": "BUY", "outcome_index": 0, '
        f'"size": {said(size)}, "usdc_size": {said(cash)}, "price": {said(price)}}}'
        for number, (size, cash, price) in enumerate(amounts)
    ]


def body(rows):
    return f'{{"data": [{",".join(rows)}], "pagination": {{"has_more": false, "next_cursor": null}}}}'.encode()


def read(rows):
    page = activity._decoder.decode(body(rows), "here")
    got, ignored = activity.PageReader(WALLET, SecondCounter()).read(page)
    return got, ignored, [reject.reason for reject in page.rejects], page


def fills(rows):
    page = trades.decoder.decode(body(rows), "here")
    got, ignored = trades.PageReader(SecondCounter(), None, "here").read(page)
    return got, ignored, [reject.reason for reject in page.rejects]


def combinations():
    draw = random.Random(5)
    return [(draw.choice(AMOUNTS), draw.choice(AMOUNTS), draw.choice(PRICES)) for _ in range(600)]


def test_numbers_and_the_same_numbers_as_text_are_the_same_rows():
    amounts = combinations()
    assert read(rows_of(amounts, quoted=False))[:3] == read(rows_of(amounts, quoted=True))[:3]
    assert fills(rows_of(amounts, quoted=False)) == fills(rows_of(amounts, quoted=True))


def test_the_amounts_are_those_of_the_exact_parsers():
    for size, cash, price in combinations():
        got, ignored, reasons, _ = read(rows_of([(size, cash, price)], quoted=False))
        number = [None if text == "null" else Decimal(text) for text in (size, cash, price)]
        try:
            exact = activity_amounts("BUY", number[0], "0" if number[2] is None else number[2], number[1], 1788886609)
        except BadInputError:
            assert reasons == ["bad_value"], (size, cash, price)
        else:
            found = [(row[8], row[9], row[11], row[10]) for row in got]
            assert found == ([] if ignored else [tuple(exact)]), (size, cash, price)
        try:
            shares, usdc = trade_amounts(number[0], number[2])
        except BadInputError:
            assert fills(rows_of([(size, cash, price)], quoted=False))[2] == ["bad_value"]
        else:
            found = [row[8:10] for row in fills(rows_of([(size, cash, price)], quoted=False))[0]]
            assert found == ([(shares, usdc)] if shares or usdc else [])


@pytest.mark.parametrize("word", ["true", "[1]", '"abc"', '"1.2.3"', "{}"])
def test_what_is_no_number_costs_its_row_and_no_place(word):
    good = ("1.5", "0.75", "0.5")
    rows = rows_of([good, good, good], quoted=False)
    rows[1] = rows[1].replace('"size": 1.5', f'"size": {word}')
    got, ignored, reasons, page = read(rows)
    assert (len(got), ignored, reasons) == (2, 0, ["shape"])
    assert [row[6] for row in got] == [1, 2], "places are counted as if it had never been there"
    assert page.fetched == 3


def test_a_page_of_plain_numbers_makes_no_decimals():
    _, _, _, page = read(rows_of([("1.5", "3", "0.5")], quoted=False))
    assert [type(getattr(page.rows[0], name)) for name in ("size", "usdc_size", "price")] == [bytes, int, bytes]
    with pytest.raises(msgspec.DecodeError):
        activity._decoder.decode(b'{"data": [', "here")
