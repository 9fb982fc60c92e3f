"""``positions``, ``units``, ``wallet_totals`` and ``wallet_coverage`` of one wallet slice, from its ledger rows."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.pairs import SlicePairs, stage_pairs


def fold_pairs(run: Build, wallets: str) -> SlicePairs:
    """Fold the ledger rows of a slice into ``pair_states`` and ``pair_sums``; return the pairs.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
    """
    ledger = run.place_of("ledger")
    for table, columns, kinds in (
        ("converted", "wallet, unit AS market", "kind = 'CONVERT'"),
        ("joined_wallets", "wallet", "kind IN ('CONVERT', 'MIGRATE')"),
    ):
        run.stage_rows(table, f"SELECT DISTINCT {columns} FROM {ledger} FINAL WHERE {kinds} AND {wallets}")
    run.truncate("pair_states", "pair_sums")
    return stage_pairs(run.warehouse, ledger, wallets, run.boundaries)


def build_positions(run: Build, wallets: str) -> None:
    """Value the folded pairs of a slice, and sum them up."""
    for table in ("positions", "units", "wallet_totals", "wallet_coverage"):
        run.insert(table, wallets)
        run.bury(table, wallets)
    run.truncate("pair_states", "pair_sums")
