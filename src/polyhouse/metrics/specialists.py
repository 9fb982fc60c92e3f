"""The test for specialists (docs/specialists.md): pure functions of sums over a wallet's bets.

A bet on one outcome at price p pays o: under the null hypothesis that prices are fair its mean is p. Bets on one event
depend on each other, so an event counts once, with the mean price and the mean payout of its bets: whatever the
dependence, that is a number between 0 and 1 with that mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polyhouse.metrics.chance import q_levels

MIN_EVENTS = 20
"""Events from which on a wallet is tested in a category (accounting §4.1: ranking needs 20)."""
MIN_STAKE_SHARE = 0.25
"""Share of the wallet's stake that the category must have."""
SHRINKAGE_EVENTS = 20
"""Events without an edge that every wallet is credited with (seed_systems.md §2.2: n / (n + 20))."""
FALSE_DISCOVERIES = 0.05
"""Highest q-value of a specialist: of those found in a category at most this share is expected to be luck."""

TILTS: tuple[float, ...] = tuple(round(0.02 * 1.4**step, 6) for step in range(16))
"""The t of exp(t·S) that the bound is taken at: the best one is kept."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a wallet did in a category, over its events: sums of payouts and prices of a share, and log moments.

    Attributes:
        events: their number.
        outcome: Σ o. price: Σ p.
        bound: per tilt t: Σ log(1 + p(e^t − 1)), the log of the largest E exp(t·o) of an o in [0, 1] with mean p.
        slope: per tilt: Σ of its derivative by p, by which it grows at most when the means are higher.
        spread: Σ p(1−p), the largest variance of Σ o.
    """

    events: int
    outcome: float
    price: float
    bound: Sequence[float]
    slope: Sequence[float]
    spread: float

    @property
    def edge(self) -> float:
        """Mean of o − p."""
        return (self.outcome - self.price) / self.events


def shrunk(total: float, count: int) -> float:
    """Mean of edges, drawn to 0 as if there were ``SHRINKAGE_EVENTS`` more without one."""
    return total / (count + SHRINKAGE_EVENTS)


def chance_of(evidence: Evidence, everybody: float = 0.0) -> float:
    """Bound of the chance to do as well by luck, against prices and against what everybody else gets.

    Chernoff's bound on Σ o (Hoeffding 1963, theorem 1): valid for every sample size, price and dependence inside an
    event, so no normal approximation is needed where bets are few or prices near 0 or 1.

    Args:
        evidence: of the wallet in the category.
        everybody: mean edge of everybody else there; below 0 it is taken as 0: one has to beat the price as well.
    """
    head = max(everybody, 0.0)
    exponents = (
        tilt * evidence.outcome - bound - head * slope
        for tilt, bound, slope in zip(TILTS, evidence.bound, evidence.slope, strict=True)
    )
    return math.exp(min(-max(exponents), 0.0))


def chance_against_rest(evidence: Evidence, rest_edge: float, rest_spread: float, rest_bets: int) -> float:
    """One-sided p-value: the edge here is not above the wallet's shrunk edge elsewhere (normal approximation).

    Args:
        evidence: of the wallet in the category.
        rest_edge: Σ (o − p) over its bets elsewhere. rest_spread: Σ p(1−p). rest_bets: their number.
    """
    weight = rest_bets + SHRINKAGE_EVENTS
    variance = evidence.spread / evidence.events**2 + rest_spread / weight**2
    return upper_tail(evidence.edge - rest_edge / weight, variance)


def upper_tail(gap: float, variance: float) -> float:
    """Chance that a normal variable of mean 0 and this variance exceeds ``gap``."""
    if variance <= 0:
        return 0.0 if gap > 0 else 1.0
    return 0.5 * math.erfc(gap / math.sqrt(2 * variance))


def q_values(p_values: Sequence[float]) -> list[float]:
    """Benjamini & Hochberg (1995): the smallest false-discovery rate at which each one is still found."""
    levels = q_levels(p_values)
    found: list[float] = levels.q_values[np.searchsorted(levels.p_upto, p_values)].tolist()
    return found
