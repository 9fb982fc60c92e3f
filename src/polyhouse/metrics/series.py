"""Metrics of a sequence in time: daily PnL ratios, drawdown, and holdings clamped at zero (accounting §3.6, §4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from polyhouse.metrics.exact import NO_SAMPLE, NO_VARIANCE, Ratio, divide, multiply, nine_decimal, root, wide

DAYS_PER_YEAR = 365
MIN_PUBLISHED_DAYS = 30
"""Risk ratios are published from 30 days on; the functions compute them from 2."""


@dataclass(frozen=True, slots=True)
class RiskRatio:
    """A ratio of daily PnL, and the same × √365."""

    daily: Ratio
    annual: Ratio


def _risk_ratio(daily: Sequence[int], variance: Fraction) -> RiskRatio:
    if variance == 0:
        missing = Ratio(None, NO_VARIANCE)
        return RiskRatio(missing, missing)
    value = divide(wide(Fraction(sum(daily), len(daily))), root(variance))
    annual = multiply(value, root(Fraction(DAYS_PER_YEAR)))
    return RiskRatio(Ratio(nine_decimal(value)), Ratio(nine_decimal(annual)))


def sharpe(daily: Sequence[int]) -> RiskRatio:
    """mean / sd (n−1) of daily PnL in micro-USDC (K16); no value for fewer than 2 days or without variance."""
    n = len(daily)
    if n < 2:
        return RiskRatio(Ratio(None, NO_SAMPLE), Ratio(None, NO_SAMPLE))
    squares = n * sum(x * x for x in daily) - sum(daily) ** 2
    return _risk_ratio(daily, Fraction(squares, n * (n - 1)))


def sortino(daily: Sequence[int]) -> RiskRatio:
    """mean / sqrt(Σ min(x, 0)² / n) of daily PnL (K17); no value for fewer than 2 days or without a losing day."""
    n = len(daily)
    if n < 2:
        return RiskRatio(Ratio(None, NO_SAMPLE), Ratio(None, NO_SAMPLE))
    return _risk_ratio(daily, Fraction(sum(x * x for x in daily if x < 0), n))


def max_drawdown(daily: Iterable[int]) -> int:
    """max(running peak − value) of cumulative daily PnL in micro-USDC; the peak starts at 0 (K19)."""
    value = peak = worst = 0
    for change in daily:
        value += change
        peak = max(peak, value)
        worst = max(worst, peak - value)
    return worst


def clamp_series(deltas: Iterable[int]) -> tuple[list[int], list[int]]:
    """(held, cumulative shortfall) after each share change: holdings never fall below zero (§3.6, K37, K38)."""
    held: list[int] = []
    shortfall: list[int] = []
    running = low = 0
    for delta in deltas:
        running += delta
        low = min(low, running)
        held.append(running - low)
        shortfall.append(-low)
    return held, shortfall
