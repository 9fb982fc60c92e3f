"""``polyhouse import`` as a user calls it: exit codes, the reject file, rebuilt wallets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polyhouse as package

from .conftest import csv_text, order_row


def run(home, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    kept |= {"POLYHOUSE_HOME": str(home / "home"), "PYTHONPATH": str(Path(package.__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-m", "polyhouse", *arguments], env=kept, cwd=home, capture_output=True, text=True,
        timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_rejects_end_with_exit_code_one_and_stand_in_a_file(tmp_path):
    rows = [order_row(1), order_row(2, maker="0x2"), order_row(3)]
    (tmp_path / "orders.csv").write_text(csv_text(rows))
    result = run(tmp_path, "import", "*.csv", "--json")
    assert result.returncode == 1
    (document,) = json.loads(result.stdout)["files"]
    assert document == {
        "file": "orders.csv", "format": "orderfilled", "rows_read": 3, "rows_new": 2, "rows_repeated": 0,
        "rows_rejected": 1,
    }  # fmt: skip
    (reject_file,) = (tmp_path / "home" / "rejects").iterdir()
    assert str(reject_file) in result.stderr
    (reject,) = map(json.loads, reject_file.read_text().splitlines())
    assert (reject["file"], reject["line"], reject["reason"]) == ("orders.csv", 3, "bad_maker")
    assert "0x2," in reject["raw"]
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    result = run(tmp_path, "import", "cut.csv.gz", "--no-metrics")
    assert result.returncode == 2
    assert "cut.csv.gz" in result.stderr
