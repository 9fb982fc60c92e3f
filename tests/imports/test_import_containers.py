"""The same rows in every container: JSON, pages, JSON Lines, CSV, gzip, both spellings; in bounded memory."""

import csv
import gzip
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.sources.files import Format, detect, read
from polyhouse.sources.files.counting import RowCounter
from polyhouse.sources.files.jsonstream import JsonStream

NOW = 1_790_000_000
V2 = {
    "proxyWallet": "proxy_wallet", "conditionId": "condition_id", "usdcSize": "usdc_size", "asset": "token_id",
    "transactionHash": "transaction_hash", "outcomeIndex": "outcome_index",
}  # fmt: skip


def _csv(rows, delimiter=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


CONTAINERS = {
    "array": json.dumps,
    "indented": lambda rows: json.dumps(rows, indent=2),
    "object": lambda rows: json.dumps({"pagination": {"has_more": False}, "data": rows}),
    "object, rows first": lambda rows: json.dumps({"data": rows, "pagination": {"has_more": False}}),
    "pages": lambda rows: json.dumps([{"data": rows[:2]}, {"data": rows[2:]}, {"data": None, "pagination": {}}]),
    "arrays of pages": lambda rows: json.dumps([rows[:1], rows[1:]]),
    "lines": lambda rows: "\n".join(map(json.dumps, rows)),
    "lines with blanks": lambda rows: "\n\n".join(map(json.dumps, rows)) + "\n\n",
    "lines of pages": lambda rows: json.dumps({"data": rows[:2]}) + "\n" + json.dumps({"data": rows[2:]}),
    "objects one after the other": lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows),
    "csv": _csv,
    "csv with semicolons": lambda rows: _csv(rows, ";"),
    "csv with a byte order mark": lambda rows: "\ufeff" + _csv(rows),
}


@pytest.fixture
def rows(activity_row):
    return [
        activity_row,
        activity_row | {"title": 'Quotes " and, commas\nand lines'},
        activity_row | {"size": 50, "usdcSize": 22.5, "timestamp": 1_780_000_001},
        activity_row | {"type": "REDEEM", "side": "", "asset": "", "outcomeIndex": 999, "price": 0, "usdcSize": 100},
        activity_row | {"type": "REWARD", "conditionId": "", "side": "", "asset": "", "outcomeIndex": 999, "price": 0},
    ]


def _observations(path):
    (batch,) = read(path, now=NOW)
    assert not batch.rejects
    return batch.tables["observations"]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("spelling", ["v1", "v2"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_the_container_does_not_change_the_rows(write, rows, container, spelling, packed):
    expected = _observations(write(rows, "expected.json"))
    assert expected["kind"] == ["BUY", "BUY", "BUY", "REDEEM", "INCOME"]
    assert expected["ordinal"] == [0, 1, 0, 0, 0]
    renamed = rows if spelling == "v1" else [{V2.get(key, key): value for key, value in row.items()} for row in rows]
    text = CONTAINERS[container](renamed)
    path = write(gzip.compress(text.encode()) if packed else text, "file.dat")
    assert detect(path) is Format.ACTIVITY
    assert _observations(path) == expected


def test_a_row_may_leave_out_what_its_kind_does_not_need(write, activity_row):
    split = activity_row | {"type": "SPLIT", "side": "", "asset": "", "outcomeIndex": 999, "usdcSize": None}
    deposit = split | {"type": "DEPOSIT", "conditionId": "", "size": None, "usdcSize": 12.5}
    tip = deposit | {"type": "TIP", "side": "IN", "size": 3, "usdcSize": None}
    observations = _observations(write([activity_row, split, deposit, tip]))
    assert observations["kind"][1:] == ["SPLIT", "DEPOSIT", "TIP"]
    assert observations["shares"][1:] == [100_000_000, 0, 0]
    assert observations["cash"][1:] == [0, 12_500_000, 3_000_000]
    assert observations["flags"][1:] == ["", "", "in"]


def test_trades_and_dome_orders_are_told_apart(write, trade_row, dome_row):
    assert detect(write([trade_row])) is Format.TRADES
    assert detect(write([{"orders": [dome_row]}])) is Format.DOME
    trades = _observations(write([trade_row]))
    assert (trades["source"], trades["cash"], trades["fee_usdc"]) == (["trades"], [45_000_000], [0])
    orders = _observations(write({"orders": [dome_row]}))
    assert (orders["source"], orders["kind"], orders["shares"]) == (["dump"], ["SELL"], [1_537_720_000])
    assert (orders["cash"], orders["order_hash"]) == ([1_430_079_600], [b"\x55" * 32])


def test_the_taker_of_a_dome_order_tells_the_role(write, dome_row):
    exchange = "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E"
    other = "0x" + "7" * 40
    orders = _observations(write([dome_row, dome_row | {"taker": exchange}, dome_row | {"taker": other}]))
    assert orders["role"] == ["", "TAKER", "MAKER"]
    assert orders["counterparty"] == [bytes(20), bytes(20), b"\x77" * 20]


def test_a_repeated_page_is_read_once_but_repeated_rows_are_fills(write, trade_row):
    other = trade_row | {"size": 7}
    page, last = {"data": [trade_row, trade_row]}, {"data": [other]}
    (batch,) = read(write([page, page, last, page]), now=NOW)
    assert batch.tables["observations"]["ordinal"] == [0, 1, 0]
    assert (batch.rows_read, batch.repeated) == (7, 4)
    (flat,) = read(write([trade_row] * 6), now=NOW)
    assert flat.tables["observations"]["ordinal"] == [0, 1, 2, 3, 4, 5]
    assert flat.repeated == 0


def test_a_fill_of_nothing_for_nothing_is_ignored_and_counted(write, activity_row):
    (batch,) = read(write([activity_row | {"size": 0, "usdcSize": 0}]), now=NOW)
    assert (batch.rows_read, batch.ignored, batch.tables) == (1, 1, {})


@pytest.mark.parametrize("content", ["[]", '{"data": []}', '{"data": null, "pagination": {}}', '[{"orders": []}]'])
def test_an_answer_without_rows_imports_nothing(write, content):
    path = write(content)
    assert detect(path) is Format.EMPTY
    (batch,) = read(path)
    assert (batch.rows_read, batch.tables, list(batch.rejects)) == (0, {}, [])


class _Trickle(io.StringIO):
    """A stream that hands out a few characters at a time, whatever is asked for."""

    def read(self, size=-1):
        return super().read(3)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_a_document_cut_anywhere_decodes_as_a_whole_one(elements, indent, wrapped):
    text = json.dumps({"x": [1], "data": elements, "y": {}} if wrapped else elements, indent=indent)
    stream = JsonStream("file", text[:2], _Trickle(text[2:]), ("data",))
    assert [value for _, value in stream.values()] == elements


def test_numbers_keep_their_digits_and_lines_are_counted():
    text = "[\n 1.10,\n\n 2.5e-7, NaN]"
    values = list(JsonStream("file", "", io.StringIO(text), ()).values())
    assert values == [(2, "1.10"), (4, "2.5e-7"), (4, "NaN")]


@given(st.lists(st.integers(0, 12), max_size=60))
def test_counting_on_disk_equals_counting_in_memory(keys):
    with RowCounter(max_in_memory=3) as small, RowCounter() as large:
        for key in keys:
            assert small.ordinal((key,)) == large.ordinal((key,))


_MEASURE = """
import re, sys
from polyhouse.sources.files import read
rows = sum(batch.rows_read for batch in read(sys.argv[1], now=1_790_000_000))
print(rows, re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of a process is read from /proc")
def test_memory_does_not_grow_with_the_file(write, activity_row):
    line = json.dumps(activity_row)
    peaks = []
    for count in (20_000, 60_000):
        text = ",\n".join(line.replace("1780000000", str(1_770_000_000 + n)) for n in range(count))
        path = write(f'{{"data": [{text}]}}', "big.json")
        done = subprocess.run([sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True)
        rows, peak = map(int, done.stdout.split())
        assert rows == count
        peaks.append(peak // 1024)
    # 40,000 rows more are 18 MB of text; only their digests for the ordinals stay, up to a bound of their own.
    assert peaks[1] - peaks[0] < 14
