"""``polyhouse export``: the same rows in every form, complete or not at all, going on after a kill."""

import csv
import hashlib
import json
import signal
import subprocess
import sys
import time
from decimal import Decimal

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from api_server import environment, polyhouse

import polyhouse as package
from polyhouse.errors import BadInputError, ConfigError, RetryableError
from polyhouse.export import excel, job
from polyhouse.export.job import Export, export
from polyhouse.export.staging import key_ranges
from polyhouse.reads.relations.question import Question

pytestmark = pytest.mark.timeout(300)  # the first one waits for the store


@pytest.fixture(scope="module")
def house(home):
    with package.open(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def trades(house):
    """All fills, in the order of an export."""
    return house.trades().ordered().arrow()


def written(house, target, **options):
    question = options.pop("question", Question(table="trades"))
    return export(house.connection, Export(question, target, **options))


def test_every_form_holds_the_same_rows(house, trades, tmp_path):
    rows = trades.to_pylist()
    for suffix in ("csv", "jsonl", "parquet", "arrow", "xlsx", "duckdb"):
        target = tmp_path / f"trades.{suffix}"
        manifest = written(house, target, rows_per_part=400)
        assert manifest["rows"] == len(rows)
        assert manifest["files"] == [
            {
                "file": target.name, "bytes": target.stat().st_size,
                "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
            }
        ]  # fmt: skip
        assert json.loads((tmp_path / f"{target.name}.manifest.json").read_text()) == manifest
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert pq.read_table(tmp_path / "trades.parquet").equals(trades)
    assert pa.ipc.open_file(tmp_path / "trades.arrow").read_all().equals(trades)
    with (tmp_path / "trades.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [Decimal(line["cash"]) for line in lines] == [row["cash"] for row in rows]
    assert [line["ts"] for line in lines] == [f"{row['ts']:%Y-%m-%dT%H:%M:%SZ}" for row in rows]
    objects = [json.loads(line, parse_float=Decimal) for line in (tmp_path / "trades.jsonl").open()]
    assert [one["price"] for one in objects] == [row["price"] for row in rows]
    assert [one["token_id"] for one in objects] == [row["token_id"] for row in rows]


def test_other_programs_read_the_workbook_and_the_duckdb_file(house, trades, tmp_path):
    import duckdb
    import openpyxl

    written(house, tmp_path / "t.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx", read_only=True)["trades"]
    header, *lines = sheet.iter_rows(values_only=True)
    assert "cash (USDC)" in header
    assert "shares (shares)" in header
    place = header.index("cash (USDC)")
    assert [Decimal(str(line[place])) for line in lines] == trades["cash"].to_pylist()
    assert isinstance(lines[0][header.index("token_id")], str)
    written(house, tmp_path / "t.duckdb", question=Question(table="trades", money="both"))
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as base:
        total, whole, count = base.execute("SELECT sum(cash), sum(cash_micros), count(*) FROM trades").fetchone()
        units = dict(base.execute("SELECT column_name, comment FROM duckdb_columns()").fetchall())
    assert (total, count) == (sum(trades["cash"].to_pylist()), trades.num_rows)
    assert whole == int(total.scaleb(6))
    assert units["cash_micros"] == "millionth of USDC"


def test_a_folder_is_divided_by_category_and_month_and_replaced_whole(house, trades, tmp_path):
    target = tmp_path / "divided"
    written(house, target, partition_by=("category", "month"), rows_per_part=200)
    found = ds.dataset(target, partitioning="hive").to_table()
    assert found.num_rows == trades.num_rows
    one = next(path for path in target.rglob("*.parquet"))
    month = one.parent.name.removeprefix("month=")
    assert {f"{ts:%Y-%m}" for ts in pq.ParquetFile(one).read()["ts"].to_pylist()} == {month}
    assert pq.read_schema(one).field("cash").metadata[b"unit"] == b"USDC"
    few = Question(table="trades", where={"category": "sports"})
    manifest = written(house, target, question=few, partition_by=("category",))
    assert {path.parent.name for path in target.rglob("*.parquet")} == {"category=sports"}
    assert [file["file"] for file in manifest["files"]] == ["divided/category=sports/part-0.parquet"]
    (target / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="something else"):
        written(house, target, question=few, partition_by=("category",))
    assert (target / "mine.txt").exists()


def test_parts_of_the_keys_are_all_of_the_table_once(house, trades):
    ranges = key_ranges(trades.num_rows, 150)
    assert len(ranges) == -(-trades.num_rows // 150)
    assert (ranges[0][0], ranges[-1][1]) == (0, 1 << 32)
    parts = [house.connection.stream(Question(table="trades", ordered=True, keys=keys)) for keys in ranges]
    tables = []
    for part in parts:
        with part as answer:
            tables.append(pa.Table.from_batches(answer.batches, answer.schema))
    assert pa.concat_tables(tables).equals(trades)


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"form": "csv", "question": Question(table="trads")}, BadInputError, "'trades'"),
        ({"form": "csv", "question": Question(table="trades", columns=("csh",))}, BadInputError, "'cash'"),
        ({"form": "cvs"}, ConfigError, "'csv'"),
        ({"form": "csv", "partition_by": ("category",)}, ConfigError, "partitioned"),
        ({"partition_by": ("categry",)}, BadInputError, "'category'"),
        ({"question": Question(table="totals"), "partition_by": ("month",)}, BadInputError, "no time"),
        ({"form": "csv", "question": Question(table="trades", condition="volume > file('x')")}, BadInputError, "file"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_no_file(house, tmp_path, options, error, word):
    with pytest.raises(error, match=word):
        written(house, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.manifest.json").exists()


def test_a_sheet_that_is_too_small_is_an_error_and_no_cut_file(house, tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "MOST_ROWS", 10)
    with pytest.raises(ConfigError, match="do not fit"):
        written(house, tmp_path / "t.xlsx")
    assert not (tmp_path / "t.xlsx").exists()


def test_a_build_between_two_parts_begins_again_and_at_last_gives_up(house, trades, tmp_path, monkeypatch):
    notes, real, seen = [], job.Parts.read, []

    def read(parts, *arguments):
        seen.append(parts)
        if len(seen) == 1:
            parts = job.Parts(parts.folder, {**parts.facts, "polyhouse.build": "1"}, parts.ranges)
        real(parts, *arguments)

    monkeypatch.setattr(job.Parts, "read", read)
    target = tmp_path / "t.parquet"
    manifest = export(house.connection, Export(Question(table="trades"), target), notes.append)
    assert (manifest["rows"], len(seen)) == (trades.num_rows, 2)
    assert any("beginning again" in note for note in notes)
    monkeypatch.setattr(job, "_TRIES", 0)
    with pytest.raises(RetryableError, match="faster"):
        written(house, tmp_path / "u.parquet")
    assert not (tmp_path / "u.parquet").exists()


def test_of_two_exports_to_one_file_the_second_is_refused(house, trades, tmp_path):
    target = tmp_path / "trades.csv"

    def meanwhile(_):
        with pytest.raises(RetryableError, match="another export writes"):
            written(house, target)
        assert not target.exists()
        refused.append(1)

    refused = []
    export(house.connection, Export(Question(table="trades"), target, rows_per_part=400), meanwhile)
    assert refused
    assert written(house, target)["rows"] == len(trades)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trades.csv", "trades.csv.manifest.json"]


def test_a_killed_export_goes_on_with_the_same_command(house, home, trades, tmp_path):
    house.close()  # the commands below need the store
    target = tmp_path / "trades.parquet"
    command = ["export", "trades", "--to", str(target), "--rows-per-part", "60"]
    process = subprocess.Popen(
        [sys.executable, "-m", "polyhouse", *command], env=environment(home), stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    working = tmp_path / ".trades.parquet.export"
    until = time.monotonic() + 60
    while not (working / "part-00002.parquet").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in working.glob("part-*.parquet")}
    again = polyhouse(home, *command)
    assert again.returncode == 0, again.stderr
    assert "going on" in again.stderr
    parts = len(key_ranges(trades.num_rows, 60))
    assert again.stderr.count(f" of {parts}: ") == parts - len(kept)
    assert pq.read_table(target).equals(trades)
    assert not working.exists()


def test_stdout_takes_rows_and_nothing_else(house, home, trades):
    house.close()  # the commands below need the store
    result = polyhouse(home, "export", "trades", "--columns", "wallet,cash", "--to", "-")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = list(csv.reader(result.stdout.splitlines()))
    assert lines[0] == ["wallet", "cash"]
    assert sorted(Decimal(line[1]) for line in lines[1:]) == sorted(trades["cash"].to_pylist())
    refused = polyhouse(home, "export", "trades", "--to", "-", "--format", "excel")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "needs a file" in refused.stderr
