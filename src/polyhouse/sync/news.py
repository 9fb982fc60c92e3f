"""Which wallets have news, read from what trade feeds brought.

A wallet has news when a feed shows a transaction that the wallet's own ledger lacks, or when rows of its ledger came
without a label because they were fresh (upstream.md §2: ``outcome_index`` 999 is filled in later). Only rows of a
second and later are looked at, so that the work grows with what happened and not with what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from polyhouse.ports import Warehouse
from polyhouse.sync.catalog import Gap, slices

UNLABELLED = 999
"""Outcome of a row whose label the upstream did not know yet."""
_DISAGREE_SECONDS = 60
"""Feeds may give one transaction times that differ by a little."""


def wallets_with_news(warehouse: Warehouse, since: int, *, overlap_seconds: int = 600) -> Iterator[Gap]:
    """Wallets with trades at or after ``since`` (Unix seconds) that no better source confirms, slice by slice."""
    low_ts = max(0, since - _DISAGREE_SECONDS)
    total = int(
        warehouse.query(
            "SELECT count() FROM observations WHERE ts >= toDateTime({low:UInt32}, 'UTC')", {"low": low_ts}
        ).rows[0][0]
    )
    for low, high in slices(total, 20):
        rows = warehouse.query(
            """
            SELECT wallet, min(gap_ts) AS oldest, max(gap_run) AS seen_run, max(ledger_ts) AS newest,
                   max(ledger_run) AS read_run
            FROM (
                SELECT wallet,
                       countIf(source IN ('activity', 'chain')) AS better,
                       countIf(source = 'trades' AND ts >= toDateTime({since:UInt32}, 'UTC')) AS shown,
                       if(better = 0 AND shown > 0, toUnixTimestamp(max(ts)), 4294967295) AS gap_ts,
                       if(better = 0 AND shown > 0, max(run), 0) AS gap_run,
                       toUnixTimestamp(maxIf(ts, source = 'activity')) AS ledger_ts,
                       maxIf(run, source = 'activity') AS ledger_run
                FROM observations -- a row that stands twice changes none of these figures
                WHERE ts >= toDateTime({low_ts:UInt32}, 'UTC') AND source IN ('trades', 'activity', 'chain')
                  AND wallet BETWEEN unhex({low:String}) AND unhex({high:String})
                GROUP BY wallet, token, tx)
            GROUP BY wallet HAVING seen_run > 0
            ORDER BY wallet SETTINGS optimize_aggregation_in_order = 1, max_threads = 1
            """,
            {"since": since, "low_ts": low_ts, "low": low.hex(), "high": high.hex()},
        ).rows
        for wallet, oldest, seen_run, newest, read_run in rows:
            is_behind = int(oldest) < int(newest) - overlap_seconds and int(seen_run) > int(read_run)
            yield Gap(bytes(wallet), is_behind, int(oldest))


def unlabelled_wallets(warehouse: Warehouse, since: int) -> list[bytes]:
    """Wallets whose own ledger has a row at or after ``since`` that names its token and not its outcome."""
    rows = warehouse.query(
        """
        SELECT DISTINCT wallet FROM (
            SELECT wallet, argMax(outcome, version) AS label
            FROM observations
            WHERE ts >= toDateTime({since:UInt32}, 'UTC') AND source = 'activity' AND token != toFixedString('', 32)
            GROUP BY wallet, token, ts, tx, row_key)
        WHERE label = {unlabelled:UInt16} ORDER BY wallet
        """,
        {"since": max(0, since), "unlabelled": UNLABELLED},
    ).rows
    return [bytes(row[0]) for row in rows]


@dataclass(frozen=True, slots=True)
class Pace:
    """What happened in a span of time, as trade feeds tell: fills and the wallets they belong to."""

    fills: int
    wallets: int


def pace(warehouse: Warehouse, until: int, seconds: int) -> Pace:
    """The pace of the ``seconds`` that ended with second ``until``; what the next as many may bring."""
    rows = warehouse.query(
        """
        SELECT count(), uniq(wallet) FROM observations
        WHERE source = 'trades' AND ts > toDateTime({low:UInt32}, 'UTC') AND ts <= toDateTime({high:UInt32}, 'UTC')
        """,
        {"low": max(0, until - seconds), "high": max(0, until)},
    ).rows
    return Pace(int(rows[0][0]), int(rows[0][1]))


def market_counts(warehouse: Warehouse) -> tuple[int, int]:
    """(known conditions, conditions without a final payout), within a percent where there are many."""
    known, settled = warehouse.query(
        """
        SELECT (SELECT uniq(condition) FROM markets WHERE condition != ''),
               (SELECT uniq(condition) FROM resolutions WHERE NOT provisional)
        """
    ).rows[0]
    return int(known), max(0, int(known) - int(settled))
