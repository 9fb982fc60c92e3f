"""The cuts that bound how much price history is in memory at once."""

from __future__ import annotations

from collections.abc import Iterator

from polyhouse.models.build import TOUCHED, Build

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


def price_cuts(run: Build, *, everyone: bool = False) -> Iterator[str]:
    """Conditions on ``condition`` that cut the markets of the chosen wallets into parts of a bounded history.

    Args:
        run: the build.
        everyone: cut the markets of all wallets, even in a partial build.
    """
    conditions = "1"
    if not (run.full or everyone):
        run.stage_rows("touched_conditions", run.named(f"SELECT DISTINCT condition FROM ({_TOUCHED_CONDITIONS})"))
        conditions = "condition IN (SELECT condition FROM touched_conditions)"
    # The engine knows how many there are; how many of them are chosen it would have to count.
    rows = run.warehouse.query("SELECT count() FROM token_prices").rows[0][0]
    count = int(rows) // PRICE_SLICE_ROWS + 1
    for place in range(count):
        yield f"{conditions} AND cityHash64(condition) % {count} = {place}" if count > 1 else conditions
