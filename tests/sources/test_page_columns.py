"""A usual page is read as columns, all rows at once; it must mean what it means row by row."""

from __future__ import annotations

import json
import random

import pytest

from polyhouse.errors import UpstreamContractError
from polyhouse.sources.columns import columns
from polyhouse.sources.data_api import activity
from polyhouse.sources.data_api.page_columns import usual_page
from polyhouse.sources.data_api.rows import OBSERVATION_NAMES
from polyhouse.sources.walk import SecondCounter

WALLET = bytes([0x7C] * 20)
START = 1_777_000_000
SIZES = ["1", "12.5", "0.000001", "14.285715", "99999999999.999999", "999.25", "2500000.1"]
ODD_SIZES = [
    "2538.2661200000002",
    "1e2",
    "0.0000001",
    "-1",
    "null",
    '"7.5"',
    "100000000000",
    "1" * 19,
    "0.0",
    "12345678901.1234567",
]
PRICES = ["0.93", "0.005", "1", "0", "0.447385606", "0.4473856061234567", "null"]
ODD_PRICES = ["1e-2", "1000001", "-0.5", "0." + "3" * 130, '"0.5"']
KINDS = ["SPLIT", "MERGE", "REDEEM", "CONVERSION", "REWARD", "DEPOSIT", "TIP"]
ODDITIES = [
    {"type": "NEW_KIND"}, {"type": "MIGRATION"}, {"side": "HOLD"}, {"side": None}, {"is_combo": True},
    {"proxy_wallet": "0x" + "11" * 20}, {"proxy_wallet": "0x" + "7C" * 20}, {"condition_id": "0x" + "0a" * 31},
    {"condition_id": "0x12"}, {"condition_id": None}, {"transaction_hash": "0x" + "0g" * 32},
    {"transaction_hash": None}, {"transaction_hash": "1x" + "0a" * 32}, {"transaction_hash": "0x" + "é" * 64},
    {"transaction_hash": "0x" + "0a" * 31}, {"condition_id": "0x" + "0A" * 32},
    {"token_id": ""}, {"token_id": "0077"}, {"token_id": 77}, {"outcome_index": 999}, {"outcome_index": -1},
    {"timestamp": 17}, {"timestamp": START - 50_000}, {"timestamp": 10**12}, {"timestamp": "soon"},
]  # fmt: skip


def rows_of(draw, count, at):
    """``count`` rows from second ``at`` on as JSON objects; numbers are put in as they are to be printed."""
    rows = []
    for _ in range(count):
        at += draw.choice([0, 0, 1, 40])
        kind = draw.choice(KINDS) if draw.random() < 0.2 else "TRADE"
        rows.append({
            "proxy_wallet": "0x" + WALLET.hex(), "timestamp": at, "type": kind, "is_combo": draw.choice([False, None]),
            "transaction_hash": f"0x{draw.randrange(at % 7 + 3, 2**40):064X}", "side": draw.choice(["BUY", "SELL"]),
            "condition_id": f"0x{draw.randrange(4):064x}", "token_id": str(draw.randrange(4)), "outcome_index": 1,
            "size": draw.choice(SIZES), "usdc_size": draw.choice(SIZES), "price": draw.choice(PRICES),
        })  # fmt: skip
        if draw.random() < 0.1:
            rows.append(dict(rows[-1]))
    return rows


def decoded(rows):
    texts = []
    for row in rows:
        numbers = {name: row[name] for name in ("size", "usdc_size", "price")}
        rest = json.dumps({name: value for name, value in row.items() if name not in numbers})
        texts.append(rest[:-1] + "".join(f', "{name}": {text}' for name, text in numbers.items()) + "}")
    return activity._decoder.decode(f'{{"data": [{",".join(texts)}], "pagination": {{}}}}'.encode(), "here")


def outcome(reader, page, *, at_once):
    """Columns, ignored rows, rejects and the counter behind the page; or the error."""
    try:
        if at_once:
            found, ignored = reader.columns(page)
        else:
            rows, ignored = reader.read(page)
            found = columns(OBSERVATION_NAMES, rows)
    except UpstreamContractError as error:
        return str(error)
    return found, ignored, page.rejects, reader.counter.dump()


def both(pages, start=0):
    """What becomes of pages that follow each other, read at once and row by row."""
    one, other = (activity.PageReader(WALLET, SecondCounter(), start, fewest=1) for _ in range(2))
    for rows in pages:
        got, wanted = outcome(one, decoded(rows), at_once=True), outcome(other, decoded(rows), at_once=False)
        assert got == wanted
        if isinstance(wanted, str):
            return
        one.counter, other.counter = (SecondCounter(reader.counter.dump()) for reader in (one, other))


@pytest.mark.parametrize("seed", range(60))
def test_pages_mean_the_same_at_once_and_row_by_row(seed):
    draw = random.Random(seed)
    pages, at = [], START
    for _ in range(4):
        pages.append(rows_of(draw, draw.choice([1, 2, 30]), at))
        at = pages[-1][-1]["timestamp"]
    both(pages)
    both(pages, start=START + 1)
    for _ in range(8):  # something out of the ordinary on one of the pages
        page = [dict(row) for row in draw.choice(pages)]
        odd = draw.choice([
            *ODDITIES, {"size": draw.choice(ODD_SIZES)}, {"usdc_size": draw.choice(ODD_SIZES)},
            {"price": draw.choice(ODD_PRICES)}, {"size": "0", "usdc_size": "0.0"},
        ])  # fmt: skip
        draw.choice(page).update(odd)
        both([page, pages[-1]])


def test_a_usual_page_is_read_at_once():
    draw = random.Random(7)
    rows = rows_of(draw, 200, START)
    assert usual_page(decoded(rows).rows, WALLET, SecondCounter(), 1) is not None
    fill = next(row for row in rows if row["type"] == "TRADE")
    fill["size"] = "2538.2661200000002"  # the noise of a binary float, in one row of many
    assert usual_page(decoded(rows).rows, WALLET, SecondCounter(), 1) is not None
    fill["side"] = "HOLD"
    counter = SecondCounter()
    assert usual_page(decoded(rows).rows, WALLET, counter, 1) is None
    assert counter.dump() == SecondCounter().dump()  # and nothing was counted
