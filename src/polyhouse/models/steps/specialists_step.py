"""``category_edges`` of the chosen wallets, and ``category_specialists`` of all (docs/specialists.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polyhouse.metrics.specialists import MIN_EVENTS, MIN_STAKE_SHARE
from polyhouse.models.build import Build, model_sql
from polyhouse.models.edges import edges
from polyhouse.models.everybody import WHOSE, of_everybody
from polyhouse.models.gather import stage_of_all
from polyhouse.models.specialists import tested
from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    import pyarrow as pa


def build_edges(run: Build, wallets: str) -> pa.Table | None:
    """Write the sums of a wallet slice, from its staged ``event_bets``; return these, if there are any.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
    """
    bets = _rows(run, "SELECT * FROM event_bets ORDER BY wallet, category, event")
    if bets is not None:
        _write(run, edges(bets), "category_edges")
    run.bury("category_edges", wallets)
    return bets


def build_specialists(run: Build) -> None:
    """Test all wallets anew: q-values depend on everybody's bets. Some ten thousand tests take well under a second."""
    sums = (
        "SELECT toString(category) AS category, sum(toInt64(e.events)) AS events, sum(payout_e9 - price_e9) AS edge_e9"
        f" FROM category_edges AS e FINAL WHERE {WHOSE} GROUP BY category"
    )
    stage_of_all(run, "category_sums", of_everybody(run, "category_edges", sums))
    totals, pairs = (
        model_sql(model, "1").replace("/*least*/", str(MIN_EVENTS)) for model in ("tested_totals", "specialists")
    )
    run.stage_rows("tested_totals", of_everybody(run, "wallet_totals", totals))
    pairs = pairs.replace("/*share*/", str(round(MIN_STAKE_SHARE * 1_000_000)))
    stage_of_all(run, "tested_pairs", of_everybody(run, "category_edges", pairs))
    rows = _rows(run, "SELECT * FROM tested_pairs ORDER BY category, wallet")
    if rows is not None:
        _write(run, tested(rows), "category_specialists")


def _write(run: Build, rows: pa.Table, table: str) -> None:
    """Write rows with the version of the build."""
    import pyarrow as pa

    version = pa.array([run.version] * len(rows), type=pa.uint64())
    run.write(table, rows.append_column("version", version))


def _rows(run: Build, sql: str) -> pa.Table | None:
    import pyarrow as pa

    batches = list(run.warehouse.query_columns(f"{sql} {BULK}"))
    table = pa.Table.from_batches(batches) if batches else None
    return table if table is not None and len(table) else None
