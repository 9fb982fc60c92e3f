"""How far chance explains a record: tail bounds for bets at known prices, and the control of false discoveries.

A bet at price p wins with probability p if nobody knows more than the price does. What a wallet won in n bets of one
share each is then a sum of independent trials, and Chernoff's bound limits the probability of winning so often or more
by chance: it holds for every n, for any mixture of prices and for fractional payouts (Chernoff 1952; Hoeffding 1963),
so it never promises more than is there. A normal approximation does: three longshots make any z-score. The price is
that the bound is about z·√2π times the true probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REST_MINIMUM = 30
"""Bets outside its best category from which on a wallet must show skill there too."""
_LEAST_LOG = -690.0
"""Logarithm of the least probability that is told apart from 0."""
_ROUNDS = 32
_HIGHEST = 40.0


def tail_bounds(starts: Ints, prices: Floats, won: Floats) -> Floats:
    """Chernoff's bound, per wallet, on the probability that its one-share bets pay ``won`` or more.

    min over t ≥ 0 of Π(1 − p + p·eᵗ) / e^(t·won): 1 if the expectation is not exceeded, exact if everything was won.

    Args:
        starts: place of each wallet's first bet, and the number of bets at the end; every wallet has one at least.
        prices: of the bets, above 0 and at most 1.
        won: Σ of their payouts, between 0 and 1 each.
    """
    bounds = np.ones(len(won))
    ahead = np.flatnonzero(won > _sums(prices, starts))
    if not len(ahead):
        return bounds
    prices, starts = _chosen(starts, ahead, prices)
    counts, won = np.diff(starts), won[ahead]
    # Bisect on t for Σ p·u/(1−p+p·u) = won with u = eᵗ; at t = 0 the sum is the expectation. Any t gives a valid bound.
    low, high = np.zeros(len(ahead)), np.full(len(ahead), _HIGHEST)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        odds = np.repeat(np.exp(middle), counts)
        falls_short = _sums(prices * odds / (1 - prices + prices * odds), starts) < won
        low, high = np.where(falls_short, middle, low), np.where(falls_short, high, middle)
    logarithms = _sums(np.log(1 - prices + prices * np.repeat(np.exp(low), counts)), starts) - low * won
    bounds[ahead] = np.exp(np.maximum(np.minimum(logarithms, 0), _LEAST_LOG))
    return bounds


@dataclass(frozen=True, slots=True)
class Records:
    """What the bets of wallets say, per wallet.

    Attributes:
        bets: their number; expected: Σ price; won: Σ payout; p_all: the bound on chance.
        rest_bets: bets outside the category in which the wallet gained most over its prices (of equal ones the first).
        p_rest: the bound for these, if there are ``REST_MINIMUM`` of them; else ``p_all``.
    """

    bets: Ints
    expected: Floats
    won: Floats
    p_all: Floats
    rest_bets: Ints
    p_rest: Floats


def records(starts: Ints, prices: Floats, payouts: Floats, categories: Ints) -> Records:
    """What the bets of each wallet say; every wallet has one at least.

    Args:
        starts: place of each wallet's first bet, and the number of bets at the end.
        prices: paid per share, above 0 and at most 1; payouts: of a share; categories: numbers.
    """
    wallets, kinds = len(starts) - 1, int(categories.max()) + 1
    wallet = np.repeat(np.arange(wallets), np.diff(starts))
    excess = np.bincount(wallet * kinds + categories, weights=payouts - prices, minlength=wallets * kinds)
    best = np.argmax(excess.reshape(wallets, kinds), axis=1)
    is_rest = categories != best[wallet]
    rest_bets = np.bincount(wallet[is_rest], minlength=wallets)
    won = _sums(payouts, starts)
    p_all = tail_bounds(starts, prices, won)
    p_rest = p_all.copy()
    tested = np.flatnonzero(rest_bets >= REST_MINIMUM)
    if len(tested):
        rest_starts = np.append(0, np.cumsum(rest_bets))
        rest_won = np.bincount(wallet[is_rest], weights=payouts[is_rest], minlength=wallets).astype(np.float64)
        rest_prices, tested_starts = _chosen(rest_starts, tested, prices[is_rest])
        p_rest[tested] = tail_bounds(tested_starts, rest_prices, rest_won[tested])
    return Records(np.diff(starts), _sums(prices, starts), won, p_all, rest_bets, p_rest)


def _sums(values: Floats, starts: Ints) -> Floats:
    found: Floats = np.add.reduceat(values, starts[:-1])
    return found


def _chosen(starts: Ints, wallets: Ints, values: Floats) -> tuple[Floats, Ints]:
    """The values of some wallets, and where each of these starts."""
    is_chosen = np.zeros(len(starts) - 1, dtype=bool)
    is_chosen[wallets] = True
    return values[np.repeat(is_chosen, np.diff(starts))], np.append(0, np.cumsum(np.diff(starts)[wallets]))


@dataclass(frozen=True, slots=True)
class Levels:
    """q-values as a step function of p-values: a p-value has the q of the smallest ``p_upto`` that is not below it."""

    p_upto: Floats
    q_values: Floats
    tests: int


def q_levels(p_values: Any) -> Levels:
    """q-values of a family of m tests (Benjamini & Hochberg 1995): q(p) = min over p' ≥ p of p'·m / #{p'' ≤ p'}.

    Calling every test with q ≤ α a discovery keeps the expected share of false ones among them at α or below, for
    independent tests and for positively dependent ones (Benjamini & Yekutieli 2001).
    """
    p = np.sort(np.asarray(p_values, dtype=np.float64))
    if not len(p):
        return Levels(p, p, 0)
    raw = p * len(p) / np.arange(1, len(p) + 1)
    q = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    ends = np.append(q[1:] != q[:-1], True)
    return Levels(p[ends], q[ends], len(p))
