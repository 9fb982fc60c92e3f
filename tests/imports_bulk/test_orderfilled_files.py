"""Containers, repetitions, precedence and damage of orderFilled files."""

import gzip
import json
import random
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyhouse.cli.import_files import expand
from polyhouse.errors import BadInputError
from polyhouse.sources.files import chunks
from polyhouse.warehouse.bulk_keys import RowNumbers, SeenHashes

from .conftest import TOKEN, csv_text, order_row

SNAKE = {
    "makerAssetId": "maker_asset_id", "makerAmountFilled": "maker_amount_filled", "takerAssetId": "taker_asset_id",
    "takerAmountFilled": "taker_amount_filled", "transactionHash": "transaction_hash",
}  # fmt: skip


def test_every_container_holds_the_same_rows_and_the_second_adds_nothing(load, stored, tmp_path):
    rows = [order_row(n, makerAmountFilled=n * 1000) for n in range(1, 400)]
    text = csv_text(rows)
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    subprocess.run(["zstd", "-q", tmp_path / "a.csv", "-o", tmp_path / "c.csv.zst"], check=True)
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (tmp_path / "e.csv").write_text(csv_text([{SNAKE.get(k, k): v for k, v in row.items()} for row in rows]))
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "g.json").write_text(json.dumps({"data": {"orderFilledEvents": rows}}["data"]))
    (tmp_path / "h.csv").write_text(text.replace(",", ";"))
    quoted = "".join(",".join(f'"{value}"' for value in line.split(",")) + "\n" for line in text.splitlines())
    (tmp_path / "i.csv").write_text(quoted)
    integers = {"timestamp", "makerAmountFilled", "takerAmountFilled"}
    columns = {name: [int(row[name]) if name in integers else row[name] for row in rows] for name in rows[0]}
    pq.write_table(pa.table(columns), tmp_path / "j.parquet")
    paths = expand([str(tmp_path)])
    assert len(paths) == 10
    first, *others = load(*paths)
    assert (first.rows_new, first.rows_rejected) == (399, 0)
    assert [(r.format, r.rows_read, r.rows_new, r.rows_repeated) for r in others] == [("orderfilled", 399, 0, 399)] * 9
    assert len(stored()) == 399


def test_ordinals_count_equal_rows_and_logs_are_counted_once(load, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 700)  # two or three rows a piece
    rows = [order_row(1), order_row(2), order_row(1), order_row(3), order_row(4), order_row(1)]
    (tmp_path / "plain.csv").write_text(csv_text(rows))
    (report,) = load(tmp_path / "plain.csv")
    assert (report.rows_new, report.rows_repeated) == (6, 0)
    assert sorted(row[11] for row in stored()) == [0, 0, 0, 0, 1, 2]  # column ordinal
    logs = [order_row(7, logIndex=5), order_row(8, logIndex=6), order_row(7, logIndex=5), order_row(7, logIndex=9)]
    (tmp_path / "logs.csv").write_text(csv_text(logs))
    (report,) = load(tmp_path / "logs.csv")
    assert (report.rows_read, report.rows_new, report.rows_repeated) == (4, 3, 1)


def test_the_fuller_row_stays_whichever_came_last(load, stores, tmp_path):
    (tmp_path / "poor.csv").write_text(csv_text([order_row(1)]))
    (tmp_path / "rich.csv").write_text(csv_text([order_row(1, logIndex=12, orderHash="0x" + "cd" * 32)]))
    for names in (("poor.csv", "rich.csv"), ("rich.csv", "poor.csv")):
        stores.warehouse.command("TRUNCATE TABLE observations")
        reports = load(*(tmp_path / name for name in names))
        assert [report.rows_new for report in reports] == [1, 0]
        assert stores.warehouse.query("SELECT pos FROM observations FINAL").rows == [(12,)]


@pytest.mark.parametrize("live_first", [True, False])
def test_a_live_row_keeps_its_place_whichever_came_first(load, stores, tmp_path, live_first):
    row = {
        "proxyWallet": "0x" + "1" * 40, "timestamp": 1_700_000_000, "type": "TRADE", "size": 100, "usdcSize": 45,
        "transactionHash": "0x" + "2" * 64, "price": 0.45, "side": "BUY", "outcomeIndex": 0, "asset": TOKEN,
        "conditionId": "0xf2ce8d3897ac5009a131637d3575f1f91c579bd08eecce6ae2b2da0f32bbe6f1",
    }  # fmt: skip
    (tmp_path / "activity.json").write_text(json.dumps([row]))
    (tmp_path / "dump.csv").write_text(csv_text([order_row(1)]))
    live = [
        {
            "wallet": [b"\x11" * 20], "token": [int(TOKEN).to_bytes(32, "big")], "tx": [b"\x22" * 32],
            "source": ["activity"], "kind": ["BUY"], "ts": [1_700_000_000], "shares": [100_000_000],
            "cash": [45_000_000], "price_e12": [450_000_000_000], "role": ["TAKER"], "pos": [3],
        },
        {
            "wallet": [(1).to_bytes(20, "big")], "token": [int(TOKEN).to_bytes(32, "big")],
            "tx": [(1).to_bytes(32, "big")], "source": ["dump"], "kind": ["BUY"], "ts": [1_700_000_000],
            "shares": [100_000_000], "cash": [45_000_000], "role": ["DIRECT"], "pos": [4],
        },
    ]  # fmt: skip

    def write_live():
        for columns in live:
            stores.warehouse.write("observations", columns, run=1, token="live")

    if live_first:
        write_live()
    reports = load(tmp_path / "activity.json", tmp_path / "dump.csv")
    if not live_first:
        write_live()
    assert [report.rows_new for report in reports] == [0 if live_first else 1] * 2
    current = stores.warehouse.query("SELECT source, role, pos FROM observations FINAL ORDER BY pos").rows
    assert current == [("activity", "TAKER", 3), ("dump", "DIRECT", 4)]


def test_bad_lines_cost_themselves_and_are_named(load, stored, rejected, tmp_path):
    rows = [order_row(n) for n in range(1, 13)]
    names = list(rows[0])
    lines = csv_text(rows).split("\n")
    broken = {
        2: order_row(1, maker="0x12"), 3: order_row(2, timestamp="4000000000"), 4: order_row(3, makerAmountFilled=-5),
        5: order_row(4, makerAmountFilled="NaN"), 6: order_row(5, makerAmountFilled="45.5"),
        7: order_row(6, makerAmountFilled=100_000_000, takerAmountFilled=45_000_000),
        8: dict(zip(names, names, strict=True)), 9: order_row(8, takerAssetId="0"),
        10: order_row(9, transactionHash="0x" + "1" * 62),
    }  # fmt: skip
    for line, row in broken.items():
        lines[line - 1] = ",".join(row[name] for name in names)
    lines[10] += ",more"
    lines[11] = lines[11].replace("0x", '"0x', 1)
    lines[12] = lines[12].replace("4500", "45\x0000")
    (tmp_path / "good.csv").write_text(csv_text(rows))
    load(tmp_path / "good.csv")
    before = stored()
    (tmp_path / "bad.csv").write_text("\n".join(lines))
    (report,) = load(tmp_path / "bad.csv")
    found = dict(rejected(report))
    nul = found.pop(13)
    assert nul in {"bad_amount", "csv"}
    assert found == {
        2: "bad_maker", 3: "future_time", 4: "negative", 5: "bad_amount", 6: "mixed_units", 7: "bad_price",
        8: "header", 9: "no_collateral", 10: "bad_tx", 11: "columns", 12: "csv",
    }  # fmt: skip
    assert report.rows_rejected == 12
    assert stored() == before


def test_an_x_that_moved_from_one_id_into_another_is_seen(load, rejected, tmp_path):
    rows = [order_row(1), order_row(2, maker="0" * 42), order_row(3, maker="0x" + "1" * 20 + "x" + "1" * 19)]
    (tmp_path / "x.csv").write_text(csv_text(rows))
    (report,) = load(tmp_path / "x.csv")
    assert rejected(report) == [(3, "bad_maker"), (4, "bad_maker")]
    assert report.rows_new == 1


@pytest.mark.parametrize("kind", ["gz", "zst", "parquet"])
def test_a_file_that_is_cut_off_is_an_error_and_changes_no_stored_row(load, stored, stores, tmp_path, kind):
    rng = random.Random(7)
    rows = [order_row(rng.getrandbits(150), makerAmountFilled=rng.randint(1, 10**8)) for _ in range(3_000)]
    text = csv_text(rows)
    (tmp_path / "a.csv").write_text(text)
    load(tmp_path / "a.csv")
    before = stored()
    cut = tmp_path / f"b.{kind}"
    if kind == "gz":
        data = gzip.compress(text.encode())
    elif kind == "zst":
        data = subprocess.run(["zstd", "-qc", tmp_path / "a.csv"], check=True, capture_output=True).stdout
    else:
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), cut)
        data = cut.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(BadInputError, match=f"b.{kind}.*(damaged|cut off)"):
        load(cut)
    assert stored() == before
    left = "SELECT count() FROM system.tables WHERE name LIKE 'import_%' AND database = currentDatabase()"
    assert stores.warehouse.query(left).rows == [(0,)]


def test_rows_know_their_market_as_soon_as_the_store_does(load, stores, tmp_path):
    (tmp_path / "a.csv").write_text(csv_text([order_row(1)]))
    assert load(tmp_path / "a.csv")[0].rows_new == 1
    assert stores.warehouse.query("SELECT condition, outcome FROM observations FINAL").rows == [(b"", 999)]
    token = {"token": [int(TOKEN).to_bytes(32, "big")], "condition": [b"\x09" * 32], "outcome": [1]}
    stores.warehouse.write("tokens", token, run=1, token="t")
    assert load(tmp_path / "a.csv")[0].rows_new == 0
    assert stores.warehouse.query("SELECT condition, outcome FROM observations FINAL").rows == [(b"\x09" * 32, 1)]


def test_folders_patterns_and_names_that_match_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.csv", "a.jsonl.gz", "in/c.parquet", "notes.txt", ".hidden.csv"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in expand([str(tmp_path)])] == ["a.jsonl.gz", "b.csv", "c.parquet"]
    assert [path.name for path in expand([f"{tmp_path}/*.csv", f"{tmp_path}/b.csv"])] == [".hidden.csv", "b.csv"]
    with pytest.raises(BadInputError, match="no such file"):
        expand([f"{tmp_path}/*.xml"])


def test_seen_hashes_on_disk_are_those_in_memory(monkeypatch):
    import numpy as np

    monkeypatch.setattr("polyhouse.warehouse.bulk_keys._IN_MEMORY", 50)
    rng, seen, known = np.random.default_rng(3), SeenHashes(), set()
    for _ in range(40):
        some = np.unique(rng.integers(0, 600, 17, dtype=np.uint64))
        assert seen.contains(some).tolist() == [value in known for value in some.tolist()]
        seen.add(some)
        known.update(some.tolist())
    seen.close()


def test_a_row_may_not_repeat_beyond_what_an_ordinal_can_count():
    import numpy as np

    numbers = RowNumbers()
    once = np.full(65_536, 9, dtype=np.uint64)
    ordinals, again = numbers.number(once, np.zeros_like(once))
    assert (max(ordinals.values()), again) == (65_535, [])
    with pytest.raises(BadInputError, match="65,535"):
        numbers.number(once[:1], np.zeros(1, dtype=np.uint64))
