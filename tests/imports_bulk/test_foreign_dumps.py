"""Dumps of other tools, imported as ``docs/migrating.md`` says."""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from .conftest import order_row

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"


def test_fills_whose_times_are_in_another_file(load, stores, tmp_path, monkeypatch):
    (statement,) = re.findall(r"```sql\n(COPY .*?)```", PAGE.read_text(), re.DOTALL)
    rows = [order_row(n, makerAmountFilled=n * 1000) for n in range(1, 21)]
    trades = tmp_path / "data" / "polymarket" / "trades"
    blocks = tmp_path / "data" / "polymarket" / "blocks"
    trades.mkdir(parents=True)
    blocks.mkdir()
    names = {
        "maker": "maker", "taker": "taker", "transactionHash": "transaction_hash", "makerAssetId": "maker_asset_id",
        "takerAssetId": "taker_asset_id",
    }  # fmt: skip
    columns = {name: [row[ours] for row in rows] for ours, name in names.items()}
    columns |= {
        "block_number": [50_000_000 + n for n in range(20)],
        "log_index": list(range(20)),
        "order_hash": [f"0x{n:064x}" for n in range(20)],
        "maker_amount": [int(row["makerAmountFilled"]) for row in rows],
        "taker_amount": [int(row["takerAmountFilled"]) for row in rows],
        "fee": [0] * 20,
        "_fetched_at": ["2026-01-01T00:00:00"] * 20,
        "_contract": ["CTF Exchange"] * 20,
    }
    pq.write_table(pa.table(columns), trades / "0.parquet")
    times = [f"2023-11-14T22:13:{20 + n:02}Z" for n in range(20)]
    pq.write_table(pa.table({"block_number": columns["block_number"], "timestamp": times}), blocks / "0.parquet")
    monkeypatch.chdir(tmp_path)
    duckdb.sql(statement)
    (report,) = load(tmp_path / "fills.parquet")
    assert (report.format, report.rows_new, report.rows_rejected) == ("orderfilled", 20, 0)
    seen = stores.warehouse.query("SELECT toUnixTimestamp(ts) FROM observations FINAL ORDER BY ts").rows
    assert [ts for (ts,) in seen] == list(range(1_700_000_000, 1_700_000_020))
