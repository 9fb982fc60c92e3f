"""``wallet_days`` of one wallet slice, from its folded pairs and ``day_marks``."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.days import store_days
from polyhouse.models.pairs import SlicePairs


def build_days(run: Build, wallets: str, pairs: SlicePairs) -> None:
    """Write the daily series of a slice.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        pairs: of the slice, folded.
    """
    target = run.place_of("wallet_days")
    store_days(run.warehouse, pairs, run.place_of("ledger"), wallets, target, run.as_of, run.version)
    run.bury("wallet_days", wallets)
