"""``wallet_scores_v1``: purchases of the chosen wallets against everybody's prices, some conditions at a time."""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.steps.prices_step import price_cuts

_STAGED = ("scored_tokens", "fill_prices", "purchases")


def build_scores(run: Build) -> None:
    """Write the scores of the chosen wallets."""
    run.truncate(*_STAGED)
    for cut in price_cuts(run):
        run.truncate("scored_tokens", "fill_prices")
        run.insert("scored_tokens", cut)
        run.insert("fill_prices", "1")
        run.insert("purchases", run.chosen)
    for wallets in run.slices():
        run.insert("wallet_scores_v1", wallets)
        run.bury("wallet_scores_v1", wallets)
    run.truncate(*_STAGED)
