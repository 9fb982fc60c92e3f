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


_OF_TOUCHED = "condition IN (SELECT condition FROM touched_conditions)"


def touched_markets(run: Build) -> str:
    """Condition on ``condition``: the markets of the wallets of a partial build, written down."""
    run.stage_rows("touched_conditions", run.named(f"SELECT DISTINCT condition FROM ({_TOUCHED_CONDITIONS})"))
    return _OF_TOUCHED


def price_cuts(run: Build, conditions: str, *, history: str) -> Iterator[str]:
    """Conditions on ``condition`` that cut markets into parts of a bounded history.

    Args:
        run: the build.
        conditions: those to cut; ``1`` = all.
        history: what is read of them, ``token_prices`` or ``token_days``.
    """
    # The engine knows how many there are; how many of them are chosen it would have to count.
    rows = run.warehouse.query(f"SELECT count() FROM {history}").rows[0][0]
    count = int(rows) // PRICE_SLICE_ROWS + 1
    for place in range(count):
        yield f"{conditions} AND cityHash64(condition) % {count} = {place}" if count > 1 else conditions
