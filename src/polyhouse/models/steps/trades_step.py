"""``priced_trades``: trades of the chosen wallets against everybody's prices, some conditions at a time.

Of all wallets when the definitions changed since the last build, as the metrics that are made of them.
"""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.metric_tables import is_current
from polyhouse.models.priced_trades import store_priced_trades
from polyhouse.models.steps.prices_step import price_cuts


def build_trades(run: Build) -> None:
    """Write the priced trades of the chosen wallets."""
    everyone = run.full or not is_current(run.warehouse)
    wallets = "1" if everyone else run.chosen
    for cut in price_cuts(run, everyone=everyone):
        run.truncate("scored_tokens")
        run.insert("scored_tokens", cut)
        store_priced_trades(run, wallets)
    run.truncate("scored_tokens")
    run.bury("priced_trades", wallets)
