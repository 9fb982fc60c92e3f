"""``wallet_days`` of one wallet slice, from its folded pairs and the marks of days."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.days import store_days
from polyhouse.models.pairs import SlicePairs
from polyhouse.models.price_columns import DayMarks


def build_days(run: Build, wallets: str, pairs: SlicePairs, marks: DayMarks) -> None:
    """Write the daily series of a slice.

    Args:
        run: the build.
        wallets: SQL condition on ``wallet``, true for the slice.
        pairs: of the slice, folded.
        marks: of all tokens of the build.
    """
    store_days(run, pairs, marks)
    run.bury("wallet_days", wallets)
