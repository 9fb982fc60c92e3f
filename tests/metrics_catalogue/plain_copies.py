"""Metrics of bets that copy late, move in weeks or stand per category, in the plainest Python.

``PLAIN`` as in ``plain_bets``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
from plain_bets import DAY, USD, WEEK, Bet, Plain, Window, omega, stakes
from scipy import stats

PLAIN: dict[str, Plain] = {}


def plain(function: Plain) -> Plain:
    PLAIN[function.__name__] = function
    return function


def by_category(bets: Sequence[Bet], value: Callable[[list[Bet]], object]) -> dict[str, object]:
    groups: defaultdict[str, list[Bet]] = defaultdict(list)
    for bet in bets:
        groups[bet.category].append(bet)
    return {name: value(members) for name, members in groups.items()}


def cut(numerator: int, denominator: int) -> float | None:
    """Six decimals, cut towards zero."""
    if not denominator:
        return None
    whole = abs(numerator) * 10**6 // denominator
    return float(Decimal(whole if numerator >= 0 else -whole).scaleb(-6))


@plain
def omega_copy_30s(bets, window):
    return omega([bet.copied[0] for bet in bets])


@plain
def omega_copy_2m(bets, window):
    return omega([bet.copied[1] for bet in bets])


@plain
def omega_copy_5m(bets, window):
    return omega([bet.copied[2] for bet in bets])


@plain
def latency_penalty(bets, window):
    own, late = omega([bet.realized for bet in bets]), omega_copy_5m(bets, window)
    return None if not own or late is None else 1 - late / own


@plain
def lag_omega_by_category(bets, window):
    def omegas(members: list[Bet]) -> list[float | None]:
        results = [[bet.copied[place] for bet in members] for place in range(3)]
        return [cut(sum(x for x in xs if x > 0), -sum(x for x in xs if x < 0)) for xs in results]

    return by_category(bets, omegas)


@plain
def return_per_hour_by_category(bets, window):
    def value(members: list[Bet]) -> float | None:
        held = sum(bet.stake * (bet.at - bet.opened) for bet in members)
        return cut(sum(bet.realized for bet in members) * 3600, held)

    return by_category(bets, value)


def weekly_slope(bets: Sequence[Bet], window: Window, days: int) -> float | None:
    if 0 < window.days < days:
        return None
    gains: defaultdict[int, int] = defaultdict(int)
    losses: defaultdict[int, int] = defaultdict(int)
    for bet in bets:
        ago = (window.as_of - bet.at) // WEEK
        if ago < days * DAY // WEEK:
            gains[ago] += max(bet.realized, 0)
            losses[ago] += max(-bet.realized, 0)
    if len(gains) < 3:
        return None
    shrunk = [(gains[ago] + 50 * USD) / (losses[ago] + 50 * USD) for ago in gains]
    return float(stats.theilslopes(shrunk, [-ago for ago in gains])[0])


@plain
def omega_slope_30d(bets, window):
    return weekly_slope(bets, window, 30)


@plain
def omega_slope_90d(bets, window):
    return weekly_slope(bets, window, 90)


@plain
def stake_mean(bets, window):
    return stakes(bets).mean()


@plain
def stake_sd(bets, window):
    return np.std(stakes(bets), ddof=1) if len(bets) > 1 else None


@plain
def stake_max(bets, window):
    return stakes(bets).max()


@plain
def stake_min(bets, window):
    return stakes(bets).min()
