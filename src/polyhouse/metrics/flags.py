"""Flags of wallets: is it skill, luck, foreknowledge, a machine, or volume without risk? (docs/flags.md)

These are the definitions, one wallet at a time; ``models/wallet_flags.sql`` computes the same for all wallets. A flag
is an aid for looking closer, never an accusation. What is tested against chance (``skilled``, ``lucky``, ``insider``)
also needs the q-value of its p-value among all wallets (``metrics.chance.q_levels``); the others are judged by their
value alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

SKILLED, LUCKY, INSIDER = "skilled", "lucky", "insider"
BOT, MARKET_MAKER, WASH_TRADER = "bot", "market_maker", "wash_trader"
FLAGS: Final = (SKILLED, LUCKY, INSIDER, BOT, MARKET_MAKER, WASH_TRADER)
TESTED: Final = (SKILLED, LUCKY, INSIDER)
"""Flags with a p-value."""
Q_LEVEL = 0.05
"""Of the wallets that a tested flag names, this share is named by chance on average, or less."""

MINIMUM: Mapping[str, int] = {SKILLED: 30, LUCKY: 10, INSIDER: 10, BOT: 50, MARKET_MAKER: 100, WASH_TRADER: 20}
"""Least sample: tested flags decided events, ``bot`` and ``market_maker`` trades, ``wash_trader`` fills."""
THRESHOLD: Mapping[str, float] = {
    SKILLED: 0.02, LUCKY: 0.5, INSIDER: 7.0, BOT: 0.7, MARKET_MAKER: 0.8, WASH_TRADER: 0.5,
}  # fmt: skip
"""Least value: gain per share of a dollar, share of the result that the best bet made, ``insider_v1``,
``bot_likelihood``, ``market_making``, circled share of the shares traded."""

LUCKY_PROFIT = 100
"""A lucky wallet won so many dollars …"""
LUCKY_RETURN = 0.5
"""… and such a return on what it put in."""
INSIDER_AGAINST = Fraction(2, 3)
"""An insider bought so much of the stake below the price of a day before."""
BOT_WEIGHTS: Mapping[str, float] = {"regular": 0.3, "clock": 0.2, "two_sided": 0.15, "maker": 0.15, "rate": 0.2}
CANDIDATE_TURNED = Fraction(3, 10)
"""A wallet is examined for wash trading if it turned this share of its shares around in the same markets …"""
CANDIDATE_HIDDEN = Fraction(1, 5)
"""… or this share of its fills were trades with itself."""
NO_ROUND_TRIPS = "NO_ROUND_TRIPS"
"""Not examined for wash trading: its positions stay."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a wallet trades. A trade is one outcome in one transaction.

    Attributes:
        trades: their number; two_sided: those that a trade of the same market in the other direction stands against
            (twice the smaller number of both directions; buying one outcome and selling the other are one direction).
        fills, maker_fills, known_fills: of the trades; as maker; with a known role.
        all_fills: fills of the wallet, those of transactions in which it traded with itself included.
        markets: traded; days: on which it traded; seconds: distinct ones in which it did.
        median_gap: upper median of the seconds between these; regular_gaps: gaps within a tenth of it.
        hours: trading seconds by hour of the day (UTC).
        traded_shares, turned_shares: micro-shares traded; gained and given back within the same market.
    """

    trades: int
    two_sided: int
    fills: int
    maker_fills: int
    known_fills: int
    all_fills: int
    markets: int
    days: int
    seconds: int
    median_gap: int
    regular_gaps: int
    hours: tuple[int, ...]
    traded_shares: int
    turned_shares: int


def maker_share(habits: Habits) -> float:
    """Share of the fills with a known role that it made; 0 where no role is known."""
    return habits.maker_fills / habits.known_fills if habits.known_fills else 0.0


def two_sided_share(habits: Habits) -> float:
    """Share of the trades that another one of the same market stands against."""
    return habits.two_sided / habits.trades if habits.trades else 0.0


def clock_evenness(habits: Habits) -> float:
    """Entropy of the hours of the day over its maximum, with the Miller–Madow correction for small samples.

    1 = at every hour alike. People sleep: six quiet hours a day leave 0.91.
    """
    n = sum(habits.hours)
    if not n:
        return 0.0
    entropy = math.log(n) - math.fsum(c * math.log(c) for c in habits.hours if c) / n
    return (entropy + (sum(c > 0 for c in habits.hours) - 1) / (2 * n)) / math.log(24)


def bot_points(habits: Habits) -> dict[str, float]:
    """The five signs of a machine, each between 0 (people) and 1.

    ``regular``: share of gaps within a tenth of the median gap, from the 7 % of a Poisson process to 50 % (after Chu,
    Gianvecchio, Wang & Jajodia 2012 and Goh & Barabási 2008: people are bursty, machines keep time). ``clock``:
    evenness over the hours of the day, from 0.85 to 0.98. ``two_sided`` and ``maker``: the shares. ``rate``: fills a
    trading day, full at 100 (seed_systems.md §2.2).
    """
    gaps = habits.seconds - 1
    return {
        "regular": _ramp(habits.regular_gaps / gaps if gaps > 0 else 0.0, 0.07, 0.5),
        "clock": _ramp(clock_evenness(habits), 0.85, 0.98),
        "two_sided": two_sided_share(habits),
        "maker": maker_share(habits),
        "rate": min(1.0, habits.fills / habits.days / 100) if habits.days else 0.0,
    }


def bot_likelihood(habits: Habits) -> float:
    """Weighted mean of ``bot_points``, 0 to 1. It orders wallets; it is no calibrated probability."""
    points = bot_points(habits)
    return sum(weight * points[name] for name, weight in BOT_WEIGHTS.items())


def market_making(habits: Habits) -> float:
    """The smaller of maker share and twice the two-sided share: 0.8 = four fifths made, two fifths opposed."""
    return min(maker_share(habits), 2 * two_sided_share(habits))


def is_candidate(habits: Habits) -> bool:
    """Whether wash trading is looked for: many shares turned around, or many fills against itself."""
    return (
        habits.turned_shares >= CANDIDATE_TURNED * habits.traded_shares
        or habits.all_fills - habits.fills >= CANDIDATE_HIDDEN * habits.all_fills
    )


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
