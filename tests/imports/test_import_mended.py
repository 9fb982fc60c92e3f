"""A reject file is imported again after its rows were mended."""

import json

import pytest

from polyhouse.cli.import_files import FileReport, RejectFile
from polyhouse.sources.files import read
from polyhouse.sources.files.order_columns import SPELLINGS
from polyhouse.sources.files.records import reject

from .conftest import NOW, TOKENS, TX, WALLET


def rows_of(path):
    found = [(batch.tables.get("observations", {}), batch.rejects) for batch in read(path, now=NOW)]
    return sum(len(table.get("wallet", ())) for table, _ in found), [one for _, some in found for one in some]


@pytest.fixture
def rejected(tmp_path):
    """Write the rejects of a file as the importer does; the path of the reject file."""

    def _write(name, rejects, columns=()):
        report = FileReport(name, 7)
        file = RejectFile(tmp_path / "rejects", report)
        file.columns = columns
        file.add(rejects)
        file.close()
        return report.reject_file

    return _write


def mend(path, old, new):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(one | {"raw": one["raw"].replace(old, new)}) + "\n" for one in lines))


def test_rows_are_mended_and_imported_and_the_others_stay_rejects(activity_row, write, rejected):
    bad = [
        activity_row | {"side": "HOLD"},
        activity_row | {"side": "HOLD", "size": "1e400"},
        activity_row | {"title": "\ud800"},
    ]
    accepted, rejects = rows_of(write([activity_row, *bad]))
    assert (accepted, [one.reason for one in rejects]) == (2, ["bad_side", "bad_side"])
    file = rejected("rows.json", rejects)
    assert rows_of(file)[0] == 0
    mend(file, "HOLD", "BUY")
    accepted, rejects = rows_of(file)
    assert (accepted, [one.reason for one in rejects]) == (1, ["bad_value"])


def test_lines_of_text_are_mended_beside_their_header(write, rejected):
    fields = "maker maker_asset maker_amount taker taker_asset taker_amount ts tx"
    header = [SPELLINGS[name][0] for name in fields.split()]
    line = f"{WALLET},0,450x,0x{'3' * 40},{TOKENS[0]},1000,1700000000,{TX}"
    path = write(",".join(header) + "\n" + line + "\n", "orders.csv")
    file = rejected("orders.csv", [reject("bad_amount", path, 2, line)], header)
    mend(file, "450x", "450")
    accepted, rejects = rows_of(file)
    assert (accepted, rejects) == (1, [])


def test_texts_that_no_encoding_has_are_kept_as_escapes(activity_row, write, rejected):
    _, rejects = rows_of(write([activity_row, activity_row | {"side": "\ud800"}]))
    file = rejected("rows.json", rejects)
    assert "\\ud800" in file.read_text(encoding="utf-8")
    mend(file, "\ud800", "BUY")
    assert rows_of(file)[0] == 1
