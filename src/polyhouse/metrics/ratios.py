"""Omega, win rate, return on cost and the grade (accounting §4.1–4.3).

Samples are realised results of non-open units in micro-USDC; open units, liquidity provision and income are excluded
by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from polyhouse.metrics.exact import (
    ALL_FLAT,
    NO_COST,
    NO_LOSSES,
    NO_SAMPLE,
    Ratio,
    nine,
    nine_decimal,
    ratio,
    root,
    wide,
)

FLAT_BELOW = 10_000
"""Results nearer to zero than one cent are FLAT: neither win nor loss (accounting §3.5)."""
SHRINKAGE = 50_000_000
"""λ = 50 $: gains and losses every wallet is credited with before omega is taken."""
RANK_MIN_UNITS = 20
RANK_MIN_TURNOVER = 100_000_000
DISPLAY_MIN_UNITS = 10

GRADES: tuple[tuple[Decimal, str], ...] = (
    (Decimal(3), "S"),
    (Decimal(2), "A"),
    (Decimal("1.5"), "B"),
    (Decimal(1), "C"),
    (Decimal("0.5"), "D"),
)
"""Grade by shrunk omega, highest first: S from 3, A from 2, B from 1.5, C from 1, D from 0.5, below that F."""


def gains_and_losses(pnls: Iterable[int], threshold: int = 0) -> tuple[int, int]:
    """(Σ max(x−θ, 0), Σ max(θ−x, 0)) in micro-USDC."""
    gains = losses = 0
    for pnl in pnls:
        excess = pnl - threshold
        if excess > 0:
            gains += excess
        else:
            losses -= excess
    return gains, losses


def omega_of(gains: int, losses: int, count: int) -> Ratio:
    """Omega from the sums of gains and of losses (both ≥ 0) over ``count`` results (K01–K06).

    Status: NO_SAMPLE without results, NO_LOSSES with gains alone, ALL_FLAT with neither; the value is then None.
    """
    if count == 0:
        return Ratio(None, NO_SAMPLE)
    return ratio(gains, losses, NO_LOSSES if gains else ALL_FLAT)


def omega(pnls: Sequence[int], threshold: int = 0) -> Ratio:
    """Ω(θ) = Σ max(x−θ, 0) / Σ max(θ−x, 0) of results in micro-USDC; at θ = 0 gains over losses (profit factor)."""
    gains, losses = gains_and_losses(pnls, threshold)
    return omega_of(gains, losses, len(pnls))


def omega_shrunk_of(gains: int, losses: int, shrinkage: int = SHRINKAGE) -> Ratio:
    """(G+λ)/(L+λ): defined everywhere for λ > 0, → 1 without data; what rankings use (K07, K08)."""
    return ratio(gains + shrinkage, losses + shrinkage, NO_LOSSES if gains else ALL_FLAT)


def omega_shrunk(pnls: Iterable[int], shrinkage: int = SHRINKAGE) -> Ratio:
    """Shrunk omega of results in micro-USDC at θ = 0."""
    return omega_shrunk_of(*gains_and_losses(pnls), shrinkage)


def is_rankable(units: int, gains: int, losses: int) -> bool:
    """Whether a wallet may be ranked: at least 20 closed units, and gains + losses ≥ 100 $."""
    return units >= RANK_MIN_UNITS and gains + losses >= RANK_MIN_TURNOVER


def grade(shrunk: Decimal | None) -> str | None:
    """The grade of a shrunk omega, S to F (see ``GRADES``); None where there is no sample."""
    if shrunk is None:
        return None
    return next((letter for least, letter in GRADES if shrunk >= least), "F")


def expectancy(pnls: Sequence[int]) -> Ratio:
    """Mean result in dollars per unit."""
    return ratio(sum(pnls), len(pnls) * 1_000_000, NO_SAMPLE)


@dataclass(frozen=True, slots=True)
class WinRate:
    """Counts of results and wins / (wins + losses)."""

    wins: int
    losses: int
    flats: int
    rate: Ratio


def win_rate_of(wins: int, losses: int, flats: int = 0) -> Ratio:
    """wins / (wins + losses): flats and open units are in neither (K09–K11)."""
    return ratio(wins, wins + losses, ALL_FLAT if flats else NO_SAMPLE)


def win_rate(pnls: Iterable[int], flat_below: int = FLAT_BELOW) -> WinRate:
    """Win rate of results in micro-USDC; a result nearer to zero than ``flat_below`` is flat."""
    wins = losses = flats = 0
    for pnl in pnls:
        if abs(pnl) < flat_below or pnl == 0:
            flats += 1
        elif pnl > 0:
            wins += 1
        else:
            losses += 1
    return WinRate(wins, losses, flats, win_rate_of(wins, losses, flats))


def win_rate_by_stake(results: Iterable[tuple[int, int]]) -> Ratio:
    """Σ cost of winning units / Σ cost, from (result, cost) in micro-USDC."""
    won = total = 0
    for pnl, cost in results:
        total += cost
        won += cost if pnl >= FLAT_BELOW else 0
    return ratio(won, total, NO_COST)


def wilson_low(wins: int, n: int, z: Fraction = Fraction(196, 100)) -> Ratio:
    """Lower bound of the Wilson interval of a win rate; ranks few results below many (K12, K13)."""
    if n == 0:
        return Ratio(None, NO_SAMPLE)
    p = Fraction(wins, n)
    spread = wide(z) * root(p * (1 - p) / n + z * z / (4 * n * n))
    bound = (wide(p + z * z / (2 * n)) - spread) / wide(1 + z * z / n)
    return Ratio(nine_decimal(max(bound, Decimal(0))))


def roi(pnl: int, cost: int) -> Ratio:
    """pnl / Σ bought cost, splits included (K14); no value at zero cost."""
    return ratio(pnl, cost, NO_COST)


@dataclass(frozen=True, slots=True)
class PeakCapital:
    """The most money ever in play, micro-USDC, and the return on it."""

    peak: int
    roi: Ratio


def peak_capital(cashflows: Iterable[int], pnl: int) -> PeakCapital:
    """Peak = max over time of −Σ cash flow (never below 0); roi = pnl / peak (K15)."""
    balance = peak = 0
    for cashflow in cashflows:
        balance += cashflow
        peak = max(peak, -balance)
    return PeakCapital(peak, ratio(pnl, peak, NO_COST))


def hit_rate(outcomes: Iterable[Fraction | int]) -> Ratio:
    """Prediction accuracy: mean payout of the sides held at resolution (accounting §4.2, not the win rate)."""
    held = [Fraction(outcome) for outcome in outcomes]
    total = sum(held, Fraction(0))
    if not held:
        return Ratio(None, NO_SAMPLE)
    return Ratio(nine(total.numerator, total.denominator * len(held)))
