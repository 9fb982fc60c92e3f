"""Columns handed to the embedded engine from memory arrive as those that go through its client."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from polyhouse.errors import PolyhouseError
from polyhouse.models.arrow_columns import binary, lists, names, numbers
from polyhouse.warehouse import open_warehouse

ROWS = 70_000  # more than one block of the engine


def _rows() -> pa.Table:
    counted = np.arange(ROWS, dtype=np.int64)
    wallets = np.zeros((ROWS, 20), np.uint8)
    wallets[:, :4] = counted[::-1].astype(">u4").view(np.uint8).reshape(ROWS, 4)  # not in order
    known = pa.array([b"", b"\x00\x01\xff", b"sports"], type=pa.binary())
    return pa.table({
        "wallet": binary(wallets),
        "name": known.take(pa.array(counted % 3)),
        "category": names(counted % 3, known),
        "amount": numbers(counted - 5, unknown=counted % 7 == 0),
        "parts": lists(np.minimum(np.arange(ROWS + 1), 3), known),
        "status": numbers(counted % 2 + 1, "int8"),
        "ts": numbers(counted + 2**31, "uint32"),
        "is_open": numbers(counted % 2 == 0, "bool"),
        "version": numbers(counted + 2**62, "uint64"),
        "is_deleted": numbers(counted * 0, "uint8"),
    })  # fmt: skip


def test_rows_from_memory_are_the_rows_of_the_client(tmp_path: Path) -> None:
    rows = _rows()
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        for table in ("by_client", "from_memory"):
            warehouse.command(
                f"CREATE TABLE {table} (wallet FixedString(20), name String, category LowCardinality(String),"
                " amount Nullable(Int64), parts Array(String), status Enum8('OPEN' = 1, 'CLOSED' = 2),"
                " ts DateTime('UTC'), is_open Bool, version UInt64, is_deleted UInt8)"
                " ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY wallet"
            )
        warehouse.insert_arrow("by_client", rows)
        with warehouse.bulk(), warehouse.bulk():
            warehouse.insert_arrow("from_memory", rows, is_unique=True)
        for sql in ("count(), sum(cityHash64(*))", "countIf(amount IS NULL), sum(amount), uniqExact(name, category)"):
            of_both = [warehouse.query(f"SELECT {sql} FROM {table}").rows for table in ("by_client", "from_memory")]
            assert of_both[0] == of_both[1]
        assert warehouse.query("SELECT count(), uniqExact(wallet) FROM from_memory FINAL").rows == [(ROWS, ROWS)]
        parts = "SELECT count() FROM system.parts WHERE active AND table = 'from_memory'"
        assert warehouse.query(parts).rows == [(1,)], "one insert is one atomic block"
        with pytest.raises(PolyhouseError):
            warehouse.insert_arrow("from_memory", rows.append_column("no_such", rows["ts"]), is_unique=True)
