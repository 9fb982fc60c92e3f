"""Every metric of trades once more, in the plainest Python, with numpy. ``PLAIN`` as in ``plain_entries``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from plain_trades import DAY, HOUR, Trade
from scipy import stats

PLAIN: dict[str, Callable[[Sequence[Trade], int, int], Any]] = {}


def plain(function: Callable[[Sequence[Trade], int, int], Any]) -> Callable[[Sequence[Trade], int, int], Any]:
    PLAIN[function.__name__] = function
    return function


def of_role(trades: Sequence[Trade], role: str) -> list[Trade]:
    return [t for t in trades if t.role == role]


def over(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None


@plain
def maker_share(trades, as_of, days):
    made, took = (sum(t.fills for t in of_role(trades, role)) for role in ("MAKER", "TAKER"))
    return over(made, made + took)


@plain
def maker_taker_volume(trades, as_of, days):
    made, took = (sum(t.volume for t in of_role(trades, role)) for role in ("MAKER", "TAKER"))
    return over(made, took)


@plain
def slippage_per_bet(trades, as_of, days):
    known = [t for t in of_role(trades, "TAKER") if t.before_e6 is not None]
    cost = sum(t.shares / 1e6 * (t.quote - t.before_e6) / 1e6 * t.side for t in known)
    return over(cost, len({t.token for t in known}))


@plain
def adverse_selection(trades, as_of, days):
    known = [t for t in of_role(trades, "MAKER") if t.after["5m"] is not None]
    return np.mean([(t.quote - t.after["5m"]) * t.side / 1e6 for t in known]) if known else None


@plain
def price_impact_per_1k(trades, as_of, days):
    known = [t for t in of_role(trades, "TAKER") if t.before_e6 is not None and t.after["5m"] is not None]
    moved = sum((t.after["5m"] - t.before_e6) / 1e6 * t.side for t in known)
    return over(moved, sum(t.volume / 1e6 for t in known) / 1_000)


@plain
def crowd_correlation(trades, as_of, days):
    known = [t for t in trades if None not in (t.day_open_e6, t.day_end_e6) and not 0 < t.resolved_at <= t.at]
    x = [t.side * t.volume for t in known]
    y = [t.day_end_e6 - t.day_open_e6 for t in known]
    return stats.pearsonr(x, y).statistic if len(set(x)) > 1 and len(set(y)) > 1 else None


@plain
def trades_per_active_day(trades, as_of, days):
    return len(trades) / len({t.at // DAY for t in trades})


@plain
def trade_gap_median(trades, as_of, days):
    known = [t.gap for t in trades if t.gap is not None]
    return np.median(known) if known else None


@plain
def hours_of_day(trades, as_of, days):
    return len({t.at % DAY // HOUR for t in trades})
