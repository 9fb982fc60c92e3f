"""``priced_trades``: trades of the chosen wallets against everybody's prices, some conditions at a time; marks of days.

Trades of all wallets when the definitions changed since the last build, as the metrics that are made of them.
"""

from __future__ import annotations

from polyhouse.models.build import SLICE_ROWS, Build
from polyhouse.models.kept_trades import store_few_trades
from polyhouse.models.metric_tables import is_current
from polyhouse.models.price_columns import DayMarks, complements_of, day_marks, load_closes, load_prices
from polyhouse.models.priced_trades import BLOCK_ROWS, store_priced_trades
from polyhouse.models.steps.prices_step import price_cuts, touched_markets
from polyhouse.models.token_facts import KnownTokens
from polyhouse.models.trade_columns import load_facts

_FEW = 10
"""Up to one row in so many, or the rows of a slice, what older builds found is looked through."""


def build_trades(run: Build, tokens: KnownTokens) -> DayMarks:
    """Write the priced trades of the chosen wallets.

    Args:
        run: the build.
        tokens: all of ``token_map``.

    Returns:
        What at least the tokens of these wallets were worth at the end of each day.
    """
    everyone = run.full or not is_current(run.warehouse)
    if everyone:
        run.join_rows()
    wallets = "1" if everyone else run.chosen
    markets = "1" if everyone else touched_markets(run)
    is_few = not everyone and run.observations(wallets) <= max(SLICE_ROWS, run.observations("1") // _FEW)
    complements = complements_of(tokens.facts.condition, tokens.facts.outcome)
    marks = []
    for cut in price_cuts(run, markets, history="token_days" if is_few else "token_prices"):
        chosen = run.named(f"token IN (SELECT token FROM token_map FINAL WHERE {cut})")
        closes = load_closes(run.warehouse, chosen)
        marks.append(day_marks(closes, tokens.places(closes.tokens), complements))
        if not is_few:
            history = load_prices(run.warehouse, chosen)
            _choose_tokens(run, cut)
            store_priced_trades(run, wallets, history)
    if is_few:
        _choose_tokens(run, markets)
        facts = load_facts(run)
        for few in run.slices(most=BLOCK_ROWS):
            store_few_trades(run, few, facts)
    run.truncate("scored_tokens")
    run.bury("priced_trades", wallets)
    return DayMarks.joined(marks)


def _choose_tokens(run: Build, markets: str) -> None:
    run.truncate("scored_tokens")
    run.insert("scored_tokens", markets)
