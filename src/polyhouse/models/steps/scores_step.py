"""``wallet_scores_v1``: whale and insider scores of the chosen wallets, from their positions and priced trades."""

from __future__ import annotations

from polyhouse.models.build import Build


def build_scores(run: Build) -> None:
    """Write the scores of the chosen wallets."""
    for wallets in run.slices():
        run.insert("wallet_scores_v1", wallets)
        run.bury("wallet_scores_v1", wallets)
