"""Metrics of stakes against the bankroll.

``PLAIN``: name → a function of the bets, the bankroll in USDC and the mean Kelly fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from plain_bets import Bet, return_of, stakes

PLAIN: dict[str, Callable[[Sequence[Bet], float, float | None], float | None]] = {}


def plain(function: Callable[..., float | None]) -> Callable[..., float | None]:
    PLAIN[function.__name__] = function
    return function


def percents(bets: Sequence[Bet], bankroll: float) -> np.ndarray:
    return 100 * stakes(bets) / bankroll


@plain
def stake_percent_sd(bets, bankroll, kelly):
    return np.std(percents(bets, bankroll), ddof=1) if bankroll and len(bets) > 1 else None


@plain
def stake_percent_mean(bets, bankroll, kelly):
    return percents(bets, bankroll).mean() if bankroll else None


@plain
def stake_percent_max(bets, bankroll, kelly):
    return percents(bets, bankroll).max() if bankroll else None


@plain
def stake_percent_min(bets, bankroll, kelly):
    return percents(bets, bankroll).min() if bankroll else None


@plain
def kelly_ratio(bets, bankroll, kelly):
    return percents(bets, bankroll).mean() / 100 / kelly if bankroll and kelly is not None and kelly > 0 else None


@plain
def risk_of_ruin(bets, bankroll, kelly):
    """Of a gambler who stakes one unit at a time on an even bet won with chance (1 + a) / 2."""
    a = return_of(bets)
    if not bankroll or a is None or not stakes(bets).any():
        return None
    win = min(max((1 + a) / 2, 0.5), 1.0)
    return ((1 - win) / win) ** (bankroll / stakes(bets).mean())
