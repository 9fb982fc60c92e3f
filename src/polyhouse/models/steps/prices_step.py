"""Prices that builds need: marks of days, and the cuts that bound how much price history is in memory at once."""

from __future__ import annotations

from collections.abc import Iterator

from polyhouse.models.build import TOUCHED, Build
from polyhouse.models.price_columns import DayMarks, complements_of, day_marks, load_prices
from polyhouse.models.token_facts import KnownTokens

PRICE_SLICE_ROWS = 8_000_000
"""Prices per cut of the price history, which is cut by condition: some 600 MB."""

_TOUCHED_ROWS = f"FROM observations WHERE {TOUCHED}"
_CONVERTED = f"SELECT condition {_TOUCHED_ROWS} AND kind = 'CONVERT'"
# What splits and the like touched is known by its condition, what conversions touched by the market or one of its legs.
_TOUCHED_CONDITIONS = (
    f"SELECT condition FROM token_map FINAL WHERE token IN (SELECT token {_TOUCHED_ROWS})"
    f" OR condition IN (SELECT condition {_TOUCHED_ROWS}) OR neg_risk_market != ''"
    f" AND (neg_risk_market IN ({_CONVERTED})"
    f" OR neg_risk_market IN (SELECT neg_risk_market FROM token_map FINAL WHERE condition IN ({_CONVERTED})))"
)


def marks_of_days(run: Build, tokens: KnownTokens) -> DayMarks:
    """What the tokens of the chosen wallets were worth at the end of each day.

    Args:
        run: the build.
        tokens: all of ``token_map``.
    """
    complements = complements_of(tokens.facts.condition, tokens.facts.outcome)
    found = []
    for cut in price_cuts(run):
        prices = load_prices(run.warehouse, f"token IN (SELECT token FROM token_map FINAL WHERE {cut})")
        found.append(day_marks(prices, tokens.places(prices.tokens), complements))
    return DayMarks.joined(found)


def price_cuts(run: Build, *, everyone: bool = False) -> Iterator[str]:
    """Conditions on ``condition`` that cut the markets of the chosen wallets into parts of a bounded history.

    Args:
        run: the build.
        everyone: cut the markets of all wallets, even in a partial build.
    """
    conditions, chosen = "1", "1"
    if not (run.full or everyone):
        conditions = f"condition IN ({_TOUCHED_CONDITIONS})"
        chosen = f"token IN (SELECT token FROM token_map FINAL WHERE {conditions})"
    rows = run.warehouse.query(f"SELECT count() FROM token_prices WHERE {chosen}").rows[0][0]
    count = int(rows) // PRICE_SLICE_ROWS + 1
    for place in range(count):
        yield f"{conditions} AND cityHash64(condition) % {count} = {place}"
