"""orderFilled rows, files of them, and one store for a file of tests."""

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest

from polyhouse.cli.import_files import import_files
from polyhouse.state import open_state
from polyhouse.sync.progress import NullReporter
from polyhouse.warehouse import open_warehouse
from polyhouse.wiring import Stores

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
NAMES = (
    "timestamp", "maker", "makerAssetId", "makerAmountFilled", "taker", "takerAssetId", "takerAmountFilled",
    "transactionHash",
)  # fmt: skip
EXCHANGE = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
TOKEN = "114304586861386186441621124384163963092522056897081085884483958561365015034812"


def order_row(number=1, **changes):
    """One buy of 100 shares for 45 $, different in wallet and transaction for each number."""
    row = {
        "timestamp": "1700000000", "maker": f"0x{number:040x}", "makerAssetId": "0", "makerAmountFilled": "45000000",
        "taker": EXCHANGE, "takerAssetId": TOKEN, "takerAmountFilled": "100000000",
        "transactionHash": f"0x{number:064x}",
    }  # fmt: skip
    return row | {name: str(value) for name, value in changes.items()}


def csv_text(rows, names=None):
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


@pytest.fixture(scope="module")
def shared_stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bulk")
    with (
        open_warehouse(f"chdb://{folder}/store") as warehouse,
        contextlib.closing(open_state(f"sqlite:///{folder}/state.db")) as state,
    ):
        yield Stores(warehouse, state)


@pytest.fixture
def stores(shared_stores):
    """The shared stores, without rows of files."""
    for table in ("observations", "tokens", "markets", "reported_positions", "published_positions"):
        shared_stores.warehouse.command(f"TRUNCATE TABLE {table}")
    return shared_stores


@pytest.fixture
def load(stores, tmp_path):
    """Import files and return their reports; rejects go to ``tmp_path/rejects``."""

    def _load(*paths, file_format=None):
        return import_files(
            stores, paths, file_format=file_format, rejects=tmp_path / "rejects", reporter=NullReporter()
        )

    return _load


@pytest.fixture
def stored(stores):
    """The current observations as a sorted list, without run and version."""

    def _stored():
        rows = stores.warehouse.query(
            "SELECT * EXCEPT (run, version), row_key FROM observations FINAL ORDER BY wallet, token, ts, tx, source,"
            " row_key"
        ).rows
        return [tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in rows]

    return _stored


@pytest.fixture
def rejected():
    """(line, reason) of the reject file of a report."""

    def _rejected(report):
        if report.reject_file is None:
            return []
        lines = report.reject_file.read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        assert all(document["file"] == report.file and document["raw"] for document in documents)
        return [(document["line"], document["reason"]) for document in documents]

    return _rejected
