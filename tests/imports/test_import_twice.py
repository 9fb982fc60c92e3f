"""Stored once, however often it is imported: the natural key of the real store against the rows of the files."""

from pathlib import Path

import pytest

from polyhouse.sources.files import read
from polyhouse.warehouse import open_warehouse

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
FOLDERS = ("Schmidters__collectmarkets", "edulabrador__polymarket-smart-money", "Scotty108__Cascadian")
FILES = ("data/CRYINGLITTLEBABY/*.csv", "tests/fixtures/activity*.json", "archive/**/dome_orders_xcn.json")


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers (../shared/recorded) are not here")
def test_every_row_is_stored_once_and_a_second_import_adds_nothing(tmp_path):
    paths = [path for folder, glob in zip(FOLDERS, FILES, strict=True) for path in (RECORDED / folder).glob(glob)]
    assert len(paths) == 15
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        stored = []
        for run in (1, 2):
            rows = 0
            for path in paths:
                for batch in read(path):
                    rows += len(batch.tables["observations"]["tx"])
                    for table, columns in batch.tables.items():
                        warehouse.write(table, columns, run=run, token=f"{run}:{path.name}")
            assert rows == 1_449 + 65 + 100
            counts = "SELECT (SELECT count() FROM observations FINAL), (SELECT count() FROM tokens FINAL)"
            stored.append(warehouse.query(counts).rows[0])
            sums = "SELECT toInt64(sum(shares)), toInt64(sum(cash)) FROM observations FINAL"
            stored.append(warehouse.query(sums).rows[0])
        # Two files of one wallet share rows: saved twice, they are still one row.
        shared = 2
        assert stored[0][0] == rows - shared
        assert stored[:2] == stored[2:]
