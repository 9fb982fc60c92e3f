"""The rows of purchases, and the aggregates that their metrics share (docs/entries.md).

A purchase is what a wallet bought of one token in one transaction, before the outcome was known; it belongs to the
window of its time. Prices are micro-USDC a share (``price`` with fees, ``quote`` without), sums are exact integers, and
each metric divides once, at the end.
"""

from __future__ import annotations

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.metric import Relation

HALF_LIFE_SECONDS = (0, 30, 120, 300, 3_600, 21_600, 86_400)
"""Moments after a purchase at which the gain on the close is looked at; the columns ``left_0`` … ``left_1d``."""
PRIOR_ENTRIES = 10
"""A price bin's hit rate is shrunk towards its prices as if so many more purchases had been fair."""
SLOPE_DAYS = 30

_DAY_SECONDS = 86_400
_LEFT = ("left_0", "left_30s", "left_2m", "left_5m", "left_1h", "left_6h", "left_1d")


def _by_bin(column: int) -> str:
    """One column of the cells, summed over the categories: an array of ten."""
    return (
        f"arrayMap(b -> arraySum(arrayMap((cell, v) -> if(cell % 10 = b, v, 0), cells.1, cells.{column})), range(10))"
    )


def by_category(column: int) -> str:
    """One column of the cells, summed over the bins (negative: the absolute values), in the order of ``CATEGORIES``."""
    value = "abs(v)" if column < 0 else "v"
    return (
        f"arrayMap(c -> arraySum(arrayMap((cell, v) -> if(intDiv(cell, 10) = c, {value}, 0), cells.1,"
        f" cells.{abs(column)})), range(1, {len(CATEGORIES) + 1}))"
    )


RELATION = Relation(
    "entries",
    "one purchase: what a wallet bought of one outcome in one transaction, before the outcome was known",
    parts={
        "stake_sum": "toInt128(sum(cash))",
        # Forecasts: w shares, p price, o payout.
        "resolved_entries": "toInt64(countIf(is_resolved))",
        "w": "sumIf(toInt128(shares), is_resolved)",
        "wp": "sumIf(toInt128(shares) * price, is_resolved)",
        "wo": "sumIf(toInt128(shares) * payout, is_resolved)",
        "wpp": "sumIf(toInt128(shares) * price * price, is_resolved)",
        "wpo": "sumIf(toInt128(shares) * price * payout, is_resolved)",
        "woo": "sumIf(toInt128(shares) * payout * payout, is_resolved)",
        "w_log": "sumIf(toInt128(shares) * log_loss_e9, is_resolved)",
        "price_spread": "toInt256(w) * wpp - toInt256(wp) * wp",
        "outcome_slope": "toFloat64(toInt256(w) * wpo - toInt256(wp) * wo) / toFloat64(price_spread)",
        # Cells of a category (its place in the list) and a bin of a tenth: (10·place + bin, resolved purchases,
        # Σ (o − p), Σ p, purchases with a close, Σ gain on it).
        "cells": (
            f"sumMap([indexOf({list(CATEGORIES)}, category) * 10 + bin], [toInt64(is_resolved)],"
            " [if(is_resolved, payout - price, 0)], [if(is_resolved, price, 0)],"
            " [toInt64(has_close)], [if(has_close, close - price, 0)])"
        ),
        **{name: _by_bin(column) for name, column in (("bin_n", 2), ("bin_gap", 3), ("bin_price", 4))},
        "kelly_mean": (
            f"arraySum(arrayMap((k, gap, p) -> if(k > 0 AND p < k * 1000000,"
            f" k * toFloat64(gap) / (k + {PRIOR_ENTRIES}) / (1000000 - p / k), 0.), bin_n, bin_gap, bin_price))"
            " / resolved_entries"
        ),
        "kinds": "sumMapIf([kind], [toInt64(1)], [worth - cash], [shares], is_resolved)",
        "resolved_stake": "toInt128(sumIf(cash, is_resolved))",
        "edge_sum": "toInt128(sumIf(worth - cash, is_resolved))",
        # The closing price.
        "closed_entries": "toInt64(countIf(has_close))",
        "clv": "sumIf(close - price, has_close)",
        "closed_stake": "toInt128(sumIf(cash, has_close))",
        "close_value": "sumIf(toInt128(shares) * close, has_close)",
        **{
            f"clv_{lag}": f"sumIf(close - after_{lag} - (price - quote), has_{lag}) / countIf(has_{lag})"
            for lag in ("30s", "2m", "5m")
        },
        "left": f"[{', '.join(f'toInt128(sum({name}))' for name in _LEFT)}]",
        "left_half": "arrayFirstIndex(v -> 2 * v <= left[1], left)",
        "lags": f"{list(HALF_LIFE_SECONDS)}",
        # What the edge is made of, where both the close and the payout are known.
        "told_close": "sumIf(toInt128(shares) * close, has_close AND is_resolved)",
        "told_stake": "sumIf(toInt128(cash), has_close AND is_resolved)",
        "told_fees": "sumIf(toInt128(fee), has_close AND is_resolved)",
        "told_worth": "sumIf(toInt128(worth), has_close AND is_resolved)",
        "told": "countIf(has_close AND is_resolved)",
        # The last 30 days: x days ago, y gain on the close.
        "ago": f"intDiv(toInt64({{as_of:UInt32}}) - at, {_DAY_SECONDS})",
        "is_recent": f"has_close AND ago < {SLOPE_DAYS}",
        "recent_entries": "toInt64(countIf(is_recent))",
        "recent_x": "sumIf(ago, is_recent)",
        "recent_xx": "sumIf(ago * ago, is_recent)",
        "recent_y": "sumIf(close - price, is_recent)",
        "recent_xy": "sumIf(ago * (close - price), is_recent)",
        "recent_spread": "recent_entries * recent_xx - recent_x * recent_x",
    },
)
"""Columns of the rows: models/entries.sql."""
