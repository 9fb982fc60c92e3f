"""Positions, units and totals of the same fills by scripts of polars and DuckDB, beside ours: CPU and memory.

``python -m benchmarks.peers 1000000``. The scripts read a Parquet file of the ledger with what is known of each token,
as somebody would who works on a dump. DuckDB does the same job as ours: average cost in the order of the fills, in
whole micro-units. Polars has no fold over rows; it does less: net shares and cash, so totals without their split
into realised and unrealised. Each runs in a process of its own, with two threads as we have.
"""

from __future__ import annotations

import os
import sys
import tempfile

from benchmarks.measure import in_fresh_process, measured
from benchmarks.rebuild import _POSITIONS, _watch_steps, fill

_EXPORT = (
    "SELECT hex(l.wallet) AS wallet, hex(l.token) AS token, hex(m.condition) AS condition, l.ts AS ts, l.pos AS pos,"
    " l.sub AS sub, l.row_key AS row_key, l.ds AS ds, l.du AS du, m.resolved AS resolved,"
    " toInt64(m.numerator) AS numerator, toInt64(m.denominator) AS denominator, ifNull(m.mark_e6, 0) AS mark"
    " FROM ledger AS l FINAL INNER JOIN token_map AS m FINAL ON l.token = m.token"
)
_DUCKDB = """
CREATE MACRO sold(held, row) AS least(-row.shares, held.shares);
CREATE MACRO basis(held, row) AS CASE WHEN held.shares = 0 THEN 0 ELSE held.cost * sold(held, row) // held.shares END;
CREATE MACRO booked(held, row) AS CASE
  WHEN row.shares >= 0
    THEN {'shares': held.shares + row.shares, 'cost': held.cost - row.cost, 'realized': held.realized}
  ELSE {'shares': held.shares - sold(held, row), 'cost': held.cost - basis(held, row),
        'realized': held.realized + row.cost * sold(held, row) // -row.shares - basis(held, row)}
END;
CREATE TABLE folded AS
SELECT wallet, token, any_value(condition) AS condition, any_value(resolved) AS resolved,
       any_value(numerator) AS numerator, any_value(denominator) AS denominator, any_value(mark) AS mark,
       list_reduce(
         list({'shares': ds::HUGEINT, 'cost': du::HUGEINT, 'realized': 0::HUGEINT} ORDER BY ts, pos, sub, row_key),
         lambda held, row: booked(held, row),
         {'shares': 0::HUGEINT, 'cost': 0::HUGEINT, 'realized': 0::HUGEINT}) AS held
FROM read_parquet('LEDGER') GROUP BY wallet, token;
CREATE TABLE positions AS
SELECT wallet, token, condition, resolved, held.shares AS shares, held.cost AS cost,
       held.realized
         + CASE WHEN resolved THEN held.shares * numerator // denominator - held.cost ELSE 0 END AS realized,
       CASE WHEN resolved THEN 0 ELSE held.shares * mark // 1000000 - held.cost END AS unrealized
FROM folded;
CREATE TABLE units AS SELECT wallet, condition, sum(realized) AS realized, sum(unrealized) AS unrealized,
  bool_and(resolved OR shares = 0) AS closed FROM positions GROUP BY wallet, condition;
CREATE TABLE totals AS SELECT wallet, sum(realized) AS realized, sum(unrealized) AS unrealized,
  sum(realized) FILTER (closed AND realized > 0) AS gains, sum(realized) FILTER (closed AND realized < 0) AS losses,
  count(*) FILTER (closed AND realized >= 10000) AS wins FROM units GROUP BY wallet;
"""


def run(fills: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio to ours."""
    with tempfile.TemporaryDirectory() as folder:
        store, ledger = f"chdb://{folder}/warehouse", f"{folder}/ledger.parquet"
        in_fresh_process(fill, store, fills)
        ours, rows = in_fresh_process(_ours, store, ledger)
        peers = {"DuckDB, the same job": _duckdb, "polars, totals without a cost basis": _polars}
        figures = [("ours: ledger rows to positions, units, totals (and more columns)", ours)]
        figures += [(name, in_fresh_process(job, ledger)) for name, job in peers.items()]
    return [
        (f"{name}, {rows:,} rows", f"{cost.cpu / rows * 1e6:.2f} µs CPU a row, {cost.peak_mb:.0f} MB",
         "" if cost is ours else f"{cost.cpu / ours.cpu:.1f} × ours")
        for name, cost in figures
    ]  # fmt: skip


def _ours(store: str, ledger: str):
    """The second build (nothing new), and the ledger as a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from polyhouse.models.runner import build
    from polyhouse.warehouse import open_warehouse

    steps = _watch_steps()
    with open_warehouse(store) as warehouse:
        build(warehouse)
        steps.clear()
        with measured() as cost:
            build(warehouse)
        cost.cpu = sum(steps[step] for step in _POSITIONS)
        batches = list(warehouse.query_columns(_EXPORT))
    table = pa.Table.from_batches(batches)
    pq.write_table(table, ledger, compression="zstd")
    return cost, table.num_rows


def _duckdb(ledger: str):
    import duckdb

    with measured() as cost:
        connection = duckdb.connect(config={"threads": 2})
        connection.execute("SET enable_progress_bar = false")
        connection.execute(_DUCKDB.replace("LEDGER", ledger))
    return cost


def _polars(ledger: str):
    os.environ["POLARS_MAX_THREADS"] = "2"
    import polars as pl

    with measured() as cost:
        held = pl.scan_parquet(ledger).group_by("wallet", "token").agg(
            pl.col("ds", "du").sum(), pl.col("condition", "resolved", "numerator", "denominator", "mark").first()
        )  # fmt: skip
        worth = (
            pl.when("resolved")
            .then(pl.col("ds").clip(0) * pl.col("numerator") // pl.col("denominator"))
            .otherwise(pl.col("ds").clip(0) * pl.col("mark") // 1_000_000)
        )
        units = held.with_columns(total=pl.col("du") + worth).group_by("wallet", "condition").agg(
            pl.col("total").sum(), (pl.col("resolved") | (pl.col("ds") <= 0)).all().alias("closed")
        )  # fmt: skip
        won = pl.col("total").filter(pl.col("closed") & (pl.col("total") > 0))
        units.group_by("wallet").agg(
            pl.col("total").sum(), won.sum().alias("gains"), won.count().alias("wins")
        ).collect()
    return cost


if __name__ == "__main__":
    for line in run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        print("{:<84} {:<34} {}".format(*line))
