"""What statements are billed for, by BigQuery's rules, from numbers of rows.

A statement is billed for the columns that it reads in the partitions that it may read, and 10 MiB at least for each
table; a MERGE that may change rows for all columns of those partitions. Clustering makes it less, and is not counted.
Load jobs, metadata and reads of labels are free. https://cloud.google.com/bigquery/pricing
"""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.warehouse.bigquery.computed import COMPUTED, READS, TOTALS, TOUCHED, UNITS, VALUES
from polyhouse.warehouse.bigquery.schema import CHECKPOINT, EVENTS, MARKETS, MOVEMENTS, POSITIONS, TRADES, Table

RESULTS = {
    "wallet_metrics_complete": (4.0, 1_400, 0.5),
    "wallet_metrics_by_category": (8.0, 1_400, 0.5),
    "wallet_scores": (1.0, 250, 0.5),
    "wallet_scores_by_category": (2.0, 250, 0.5),
    "wallet_flags": (6.0, 700, 1.0),
    "wallet_intervals": (1.0, 150, 0.5),
    "category_specialists": (0.2, 250, 1.0),
    "category_stats": (0.001, 250, 1.0),
    "metric_catalogue": (0.001, 800, 1.0),
}
"""Table of results → rows for each wallet with trades, bytes of a row at most, and the share of its rows that one
publication sends: half of the wallets trade on a seed-style day; what is of all wallets changes everywhere."""
MIN_BYTES = 10 << 20
"""What BigQuery bills at least for each table that a statement names."""
PERIODS = 6


def merge_bytes(table: Table, there: int, staged: int, *, only_new: bool) -> int:
    """Bytes of a MERGE.

    Args:
        table: the target.
        there: its rows in the partitions that the staged rows touch.
        staged: rows of the staging table.
        only_new: it inserts only, so that of the target the identity is read.
    """
    return there * table.width(table.key if only_new else None) + staged * table.width()


def model_bytes(table: Table, rows: dict[str, int], wallets: int) -> int:
    """Bytes of computing a model and merging it.

    Args:
        table: the model.
        rows: table name → rows, of what it reads and of itself.
        wallets: that are computed.
    """
    read = sum(rows[other.name] * other.width(columns) for other, columns in READS[table.name])
    return read + rows[table.name] * table.width() + wallets * PERIODS * (TOUCHED.width() + VALUES.width())


@dataclass(frozen=True, slots=True)
class Day:
    """A day of publications, for the bill before it is made.

    Attributes:
        trades: that arrive during the day, evenly.
        runs: publications.
        history: trades that were there before.
        model_runs: publications with which positions, units and totals follow.
        result_runs: publications with which metrics, scores, flags, specialists and categories follow.
        changes_per_trade: movements for each trade.
        trades_per_position: trades for each position; a unit is a position at most.
        wallets: with trades, ever.
        totals_per_wallet: rows of ``wallet_totals`` for each.
        markets: all.
        events: all.
        late_runs: publications that bring a trade of the day before too, which then is read as well.
    """

    trades: int = 10_000_000
    runs: int = 48
    history: int = 84_000_000
    model_runs: int = 4
    result_runs: int = 1
    changes_per_trade: float = 0.15
    trades_per_position: float = 8.0
    wallets: int = 1_000_000
    totals_per_wallet: int = 18
    markets: int = 500_000
    events: int = 60_000
    late_runs: int = 4

    def bytes_billed(self) -> dict[str, int]:
        """Table → bytes of the day."""
        billed = {table.name: 0 for table in (TRADES, MOVEMENTS, MARKETS, EVENTS, CHECKPOINT, POSITIONS, *COMPUTED)}
        for name, size in self._results().items():
            billed[name] = size * self.result_runs
        every = max(self.runs // max(self.model_runs, 1), 1)
        for run in range(1, self.runs + 1):
            for name, size in self._run(run).items():
                billed[name] += size
            if self.model_runs and run % every == 0:
                for name, size in self._models(self.history + self.trades * run // self.runs).items():
                    billed[name] += size
        return billed

    def _run(self, run: int) -> dict[str, int]:
        batch, before = self.trades // self.runs, self.trades * (run - 1) // self.runs
        there = before + (self.trades if run <= self.late_runs and self.history else 0)
        share = self.changes_per_trade
        sizes = {
            TRADES.name: merge_bytes(TRADES, there, batch, only_new=True),
            MOVEMENTS.name: merge_bytes(MOVEMENTS, int(there * share), int(batch * share), only_new=True),
            MARKETS.name: merge_bytes(MARKETS, self.markets, self.markets // 100, only_new=False),
            EVENTS.name: merge_bytes(EVENTS, self.events, self.events // 100, only_new=False),
            CHECKPOINT.name: merge_bytes(CHECKPOINT, 365 * self.runs, 1, only_new=False),
        }
        return {name: max(size, 2 * MIN_BYTES) for name, size in sizes.items()}

    def _results(self) -> dict[str, int]:
        return {
            name: max(int(self.wallets * rows * width * (1 + sent)), 2 * MIN_BYTES)
            for name, (rows, width, sent) in RESULTS.items()
        }

    def _models(self, trades: int) -> dict[str, int]:
        positions = int(trades / self.trades_per_position)
        rows = {
            TRADES.name: trades, MOVEMENTS.name: int(trades * self.changes_per_trade), POSITIONS.name: positions,
            UNITS.name: positions, TOTALS.name: self.wallets * self.totals_per_wallet,
        }  # fmt: skip
        sizes = {table.name: model_bytes(table, rows, self.wallets) for table in COMPUTED}
        return sizes | {POSITIONS.name: merge_bytes(POSITIONS, positions, positions // 4, only_new=False)}
