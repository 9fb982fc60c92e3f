"""``priced_trades``: trades of the chosen wallets against everybody's prices, some conditions at a time; marks of days.

Trades of all wallets when the definitions changed since the last build, as the metrics that are made of them.
"""

from __future__ import annotations

from polyhouse.models.build import Build
from polyhouse.models.metric_tables import is_current
from polyhouse.models.price_columns import DayMarks, complements_of, day_marks, load_closes, load_prices
from polyhouse.models.priced_trades import store_priced_trades
from polyhouse.models.steps.prices_step import price_cuts
from polyhouse.models.token_facts import KnownTokens


def build_trades(run: Build, tokens: KnownTokens) -> DayMarks:
    """Write the priced trades of the chosen wallets.

    Args:
        run: the build.
        tokens: all of ``token_map``.

    Returns:
        What at least the tokens of these wallets were worth at the end of each day: the price history is read once.
    """
    everyone = run.full or not is_current(run.warehouse)
    wallets = "1" if everyone else run.chosen
    complements = complements_of(tokens.facts.condition, tokens.facts.outcome)
    marks = []
    for cut in price_cuts(run, everyone=everyone):
        chosen = run.named(f"token IN (SELECT token FROM token_map FINAL WHERE {cut})")
        closes = load_closes(run.warehouse, chosen)
        marks.append(day_marks(closes, tokens.places(closes.tokens), complements))
        history = load_prices(run.warehouse, chosen)
        run.truncate("scored_tokens")
        run.insert("scored_tokens", cut)
        store_priced_trades(run, wallets, history)
    run.truncate("scored_tokens")
    run.bury("priced_trades", wallets)
    return DayMarks.joined(marks)
