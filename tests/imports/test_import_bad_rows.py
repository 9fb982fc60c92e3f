"""A bad row is named with file, line and reason, and never becomes an observation."""

import pytest

from polyhouse.errors import BadInputError
from polyhouse.sources.files import detect, read

NOW = 1_790_000_000
TX = "0x390ab32432ba697c9e3f74adf6ec84ba8e8bbcf70c5bf3b5530ce64e47389516"
OTHER_TOKEN = "31580298928034717121287201018973507946553544207612680382558768593005033869136"

ACTIVITY_FAULTS = [
    ({"proxyWallet": TX}, "bad_value"),
    ({"proxyWallet": "0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E"}, "infrastructure"),
    ({"proxyWallet": "0x" + "0" * 40}, "infrastructure"),
    ({"conditionId": TX}, "token_mismatch"),
    ({"conditionId": "0x12"}, "bad_value"),
    ({"conditionId": ""}, "shape"),
    ({"transactionHash": "0x961afce6bd9aec79c5cf09d2d4dac2b434b23361"}, "bad_value"),
    ({"asset": OTHER_TOKEN}, "token_mismatch"),
    ({"asset": ""}, "shape"),
    ({"asset": "12e5"}, "bad_value"),
    ({"outcomeIndex": 1}, "outcome_mismatch"),
    ({"outcomeIndex": -1}, "bad_outcome"),
    ({"outcomeIndex": 0.5}, "bad_outcome"),
    ({"size": "NaN"}, "bad_value"),
    ({"size": float("nan")}, "bad_value"),
    ({"size": float("inf")}, "bad_value"),
    ({"size": -100}, "bad_value"),
    ({"usdcSize": -46.75}, "bad_value"),
    ({"size": 1e13}, "bad_value"),
    ({"size": None}, "shape"),
    ({"usdcSize": None}, "shape"),
    ({"type": "REDEEM", "usdcSize": None}, "shape"),
    ({"type": "SPLIT", "size": None}, "shape"),
    ({"type": "REWARD", "size": None, "usdcSize": None}, "shape"),
    ({"size": [100]}, "shape"),
    ({"size": True}, "bad_value"),
    ({"size": 100_000_000}, "amounts_disagree"),
    ({"usdcSize": 46_750_000}, "amounts_disagree"),
    ({"size": 45, "usdcSize": 100}, "amounts_disagree"),
    ({"size": 0.45, "price": 100, "usdcSize": 45}, "bad_price"),
    ({"price": -0.45}, "bad_value"),
    ({"timestamp": NOW + 90_000}, "future_time"),
    ({"timestamp": 1_780_000_000_000}, "bad_value"),
    ({"timestamp": 0}, "bad_value"),
    ({"timestamp": "yesterday"}, "bad_value"),
    ({"side": "buy"}, "bad_side"),
    ({"side": None}, "bad_side"),
    ({"type": "GIFT"}, "unknown_type"),
    ({"type": "MIGRATION"}, "protocol_v2"),
    ({"isCombo": True}, "protocol_v2"),
    ({"conditionId": "0x" + "0" * 62}, "protocol_v2"),
]


@pytest.mark.parametrize(("fault", "reason"), ACTIVITY_FAULTS, ids=lambda value: str(value)[:50])
def test_a_bad_activity_row_is_rejected_and_its_neighbours_are_not(activity_row, write, fault, reason):
    path = write([activity_row, activity_row | fault, activity_row])
    (batch,) = read(path, now=NOW)
    assert [reject.reason for reject in batch.rejects] == [reason]
    assert batch.rejects[0].where.startswith("rows.json:1")
    assert batch.rows_read == 3
    assert batch.tables["observations"]["ordinal"] == [0, 1]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"shares": 1537.72}, "mixed_units"),
        ({"shares": 1_537}, "mixed_units"),
        ({"shares_normalized": 1_537_720_000}, "mixed_units"),
        ({"shares": -5}, "mixed_units"),
        ({"price": 93}, "bad_price"),
        ({"order_hash": "0x12"}, "bad_value"),
        ({"user": "0xe111180000d2663c0091e4f400237545b87b996b"}, "infrastructure"),
        ({"token_id": OTHER_TOKEN}, "token_mismatch"),
        ({"taker": "nobody"}, "bad_value"),
    ],
    ids=str,
)
def test_a_bad_dome_order_is_rejected(dome_row, write, fault, reason):
    (batch,) = read(write([{"orders": [dome_row | fault]}]), now=NOW)
    assert ([reject.reason for reject in batch.rejects], batch.tables) == ([reason], {})


def test_a_reject_names_line_reason_and_raw_row(activity_row, write):
    import json

    lines = [json.dumps(activity_row), '{"broken": ', json.dumps(activity_row | {"size": "x" * 10_000})]
    (batch,) = read(write("\n".join(lines) + "\n", "rows.jsonl"), now=NOW)
    broken, bad = batch.rejects
    assert (broken.reason, broken.where.split(":")[1], broken.raw) == ("json", "2", '{"broken": \n')
    assert (bad.reason, bad.where.split(":")[1]) == ("bad_value", "3")
    assert "size" in bad.where
    assert len(bad.raw) == 4_000


def test_rows_of_another_kind_among_the_rows(activity_row, write):
    (batch,) = read(write([activity_row, 5, "text", None, {"size": 1}]), now=NOW)
    assert [reject.reason for reject in batch.rejects] == ["shape"] * 4
    assert batch.rows_read == 5


def test_csv_rows_with_the_wrong_number_of_fields(activity_row, write):
    import csv
    import io

    text = io.StringIO()
    writer = csv.DictWriter(text, list(activity_row))
    writer.writeheader()
    writer.writerow(activity_row)
    good = text.getvalue()
    (batch,) = read(write(good + "1,2,3\r\n" + good.splitlines()[1] + "\r\n", "rows.csv"), now=NOW)
    assert [(reject.reason, reject.where.split(":")[1]) for reject in batch.rejects] == [("columns", "3")]
    assert batch.tables["observations"]["ordinal"] == [0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ('[{"a": 1}', "no rows that can be imported|cut off"),
        ('{"error": "rate limited", "code": "429"}', "error answer"),
        ("[[[", "cut off"),
        ('{"data": 5, ', "cut off"),
        ("[" * 100_000, "nested too deeply|cut off"),
        (b"\x1f\x8b\x08\x00garbage", "gzip"),
        ("a,a\n1,2\n", "appears twice"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_file_that_cannot_be_read_is_an_error_and_not_an_empty_import(write, content, message):
    with pytest.raises(BadInputError, match=message):
        detect(write(content))


def test_a_file_that_is_cut_off_gives_its_rows_and_then_an_error(activity_row, write):
    import json

    path = write(json.dumps([activity_row] * 25_000)[:-100])
    batches = read(path, now=NOW)
    rows = len(next(batches).tables["observations"]["tx"]) + len(next(batches).tables["observations"]["tx"])
    assert rows == 20_000
    with pytest.raises(BadInputError, match=r"rows\.json:1: .*cut off"):
        list(batches)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        detect(tmp_path / "nothing.json")


def test_an_unknown_format_is_refused_by_name(activity_row, write):
    with pytest.raises(BadInputError, match="'orders'"):
        list(read(write([activity_row]), "orders"))
