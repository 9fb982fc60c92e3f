"""Every metric of bets once more, in the plainest Python over a list of bets, with numpy and scipy.

``PLAIN`` maps the name of a metric to a function of the bets and their window; None = no value. The minimum sample is
not its business.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import Any

import numpy as np
from scipy import stats

USD = 1_000_000
DAY, WEEK = 86_400, 604_800


@dataclass(frozen=True)
class Bet:
    """One closed unit. ``entry`` is (shares, cost, payout) of a bet on a single resolved outcome, else None; ``copied``
    what it would have realised 30 seconds, 2 and 5 minutes later.
    """

    category: str
    unit: bytes
    opened: int
    at: int
    realized: int
    stake: int
    fees: int = 0
    resolved_at: int = 0
    entry: tuple[int, int, int] | None = None
    payouts: tuple[Fraction, ...] = ()
    copied: tuple[int, int, int] = (0, 0, 0)
    since: int = 0
    middle_lead: int = 0


@dataclass(frozen=True)
class Window:
    as_of: int
    days: int  # 0 = lifetime

    def holds(self, bet: Bet) -> bool:
        return not self.days or bet.at > self.as_of - self.days * DAY


Plain = Callable[[Sequence[Bet], Window], Any]
PLAIN: dict[str, Plain] = {}


def plain(function: Plain) -> Plain:
    PLAIN[function.__name__] = function
    return function


def usd(bets: Sequence[Bet]) -> np.ndarray:
    return np.array([bet.realized for bet in bets], dtype=float) / USD


def stakes(bets: Sequence[Bet]) -> np.ndarray:
    return np.array([bet.stake for bet in bets], dtype=float) / USD


def won(bets: Sequence[Bet]) -> list[Bet]:
    return [bet for bet in bets if bet.realized >= 10_000]


def lost(bets: Sequence[Bet]) -> list[Bet]:
    return [bet for bet in bets if bet.realized <= -10_000]


def share(numerator: float, denominator: float) -> float | None:
    return float(numerator) / float(denominator) if denominator else None


def omega(values: Sequence[int]) -> float | None:
    return share(sum(v for v in values if v > 0), -sum(v for v in values if v < 0))


def return_of(bets: Sequence[Bet]) -> float | None:
    return share(sum(bet.realized for bet in bets), sum(bet.stake for bet in bets))


def of_wallet(bets: Sequence[Bet]) -> list[Bet]:
    """The bets of a wallet with what the wallet as a whole says about each."""
    leads = sorted(bet.resolved_at - bet.opened for bet in with_lead(bets))
    middle = leads[len(leads) // 2] if leads else 0
    return [replace(bet, since=min(b.opened for b in bets), middle_lead=middle) for bet in bets]


def by_close(bets: Sequence[Bet]) -> list[Bet]:
    return sorted(bets, key=lambda bet: (bet.at, bet.unit))


def runs(bets: Sequence[Bet]) -> list[tuple[int, int]]:
    """(sign, length) of each run of wins or losses."""
    signs = [1 if bet.realized > 0 else -1 for bet in by_close(bets) if abs(bet.realized) >= 10_000]
    return [(sign, len(list(members))) for sign, members in groupby(signs)]


@plain
def omega_gross(bets, window):
    return omega([bet.realized + bet.fees for bet in bets])


@plain
def omega_net(bets, window):
    return omega([bet.realized for bet in bets])


@plain
def gain_to_pain(bets, window):
    x = usd(bets)
    return share(x.sum(), np.abs(x[x < 0]).sum())


@plain
def profit_factor(bets, window):
    return share(usd(won(bets)).sum(), -usd(lost(bets)).sum())


@plain
def net_pnl(bets, window):
    return usd(bets).sum()


@plain
def win_rate(bets, window):
    return share(len(won(bets)), len(won(bets)) + len(lost(bets)))


@plain
def avg_win(bets, window):
    return usd(won(bets)).mean() if won(bets) else None


@plain
def avg_loss(bets, window):
    return usd(lost(bets)).mean() if lost(bets) else None


def expected(bets, middle):
    if not won(bets) or not lost(bets):
        return None
    p = (len(won(bets)) + 1) / (len(won(bets)) + len(lost(bets)) + 2)
    return p * middle(usd(won(bets))) + (1 - p) * middle(usd(lost(bets)))


@plain
def ev_per_bet_mean(bets, window):
    return expected(bets, np.mean)


@plain
def ev_per_bet_median(bets, window):
    return expected(bets, np.median)


@plain
def resolved_bets(bets, window):
    return len(bets)


@plain
def track_record_days(bets, window):
    return (max(bet.at for bet in bets) - min(bet.opened for bet in bets)) / DAY


def span(bets, window):
    life = window.as_of - min(bet.since for bet in bets)
    return max(WEEK, min(life, window.days * DAY) if window.days else life)


@plain
def bets_per_week(bets, window):
    return len(bets) / (span(bets, window) / WEEK)


@plain
def bets_per_week_variance(bets, window):
    weeks = span(bets, window) // WEEK
    if weeks < 4:
        return None
    counts = [0] * weeks
    for bet in bets:
        week = (window.as_of - bet.at) // WEEK
        if week < weeks:
            counts[week] += 1
    return np.var(counts, ddof=1)


@plain
def hours_held_mean(bets, window):
    return np.mean([bet.at - bet.opened for bet in bets]) / 3600


@plain
def hours_held_median(bets, window):
    return np.median([bet.at - bet.opened for bet in bets]) / 3600


def by_category(bets):
    found: dict[str, int] = {}
    for bet in bets:
        found[bet.category] = found.get(bet.category, 0) + bet.stake
    return found


@plain
def category_mix(bets, window):
    sums = by_category(bets)
    total = sum(sums.values())
    if not total:
        return None
    return {name: float(Fraction(stake * USD // total, USD)) for name, stake in sums.items() if stake}


@plain
def category_hhi(bets, window):
    sums = np.array(list(by_category(bets).values()), dtype=float)
    return float(np.square(sums / sums.sum()).sum()) if sums.sum() else None


@plain
def market_hhi(bets, window):
    s = stakes(bets)
    return float(np.square(s / s.sum()).sum()) if s.sum() else None


@plain
def weekday_weekend_roi_gap(bets, window):
    # 1970-01-01 was a Thursday
    weekend = [bet for bet in bets if (bet.opened // DAY + 3) % 7 >= 5]
    weekday = [bet for bet in bets if (bet.opened // DAY + 3) % 7 < 5]
    one, other = return_of(weekday), return_of(weekend)
    return None if one is None or other is None else one - other


def with_lead(bets):
    return [bet for bet in bets if bet.resolved_at and bet.resolved_at >= bet.opened]


@plain
def days_to_resolution(bets, window):
    leads = [(bet.resolved_at - bet.opened) / DAY for bet in with_lead(bets)]
    return np.mean(leads) if leads else None


@plain
def early_late_roi_gap(bets, window):
    known = with_lead(bets)
    early = return_of([bet for bet in known if bet.resolved_at - bet.opened >= bet.middle_lead])
    late = return_of([bet for bet in known if bet.resolved_at - bet.opened < bet.middle_lead])
    return None if early is None or late is None else early - late


@plain
def sizing_discipline_trend(bets, window):
    ordered = sorted(bets, key=lambda bet: (bet.opened, bet.unit))
    half = len(ordered) // 2
    older, newer = stakes(ordered[:half]), stakes(ordered[len(ordered) - half :])
    if not older.sum() or not newer.sum():
        return None
    return stats.variation(newer) - stats.variation(older)


@plain
def tail_ratio(bets, window):
    wins, losses = np.sort(usd(won(bets)))[::-1], np.sort(usd(lost(bets)))
    if not len(wins) or not len(losses):
        return None
    return wins[: math.ceil(len(wins) / 10)].mean() / -losses[: math.ceil(len(losses) / 10)].mean()


@plain
def skewness(bets, window):
    x = usd(bets)
    return stats.skew(x) if x.std() else None


@plain
def kurtosis(bets, window):
    x = usd(bets)
    return stats.kurtosis(x) if x.std() else None


@plain
def return_per_dollar_hour(bets, window):
    return share(usd(bets).sum(), sum(bet.stake / USD * (bet.at - bet.opened) / 3600 for bet in bets))


@plain
def net_to_gross(bets, window):
    gross = sum(bet.realized + bet.fees for bet in bets)
    return share(sum(bet.realized for bet in bets), gross) if gross > 0 else None


@plain
def fee_per_bet(bets, window):
    return np.mean([bet.fees for bet in bets]) / USD


@plain
def fees_to_gross_wins(bets, window):
    return share(sum(bet.fees for bet in bets), sum(max(bet.realized + bet.fees, 0) for bet in bets))


@plain
def longest_win_streak(bets, window):
    return max((length for sign, length in runs(bets) if sign > 0), default=0)


@plain
def longest_loss_streak(bets, window):
    return max((length for sign, length in runs(bets) if sign < 0), default=0)


@plain
def current_streak(bets, window):
    found = runs(bets)
    return found[-1][0] * found[-1][1] if found else 0


@plain
def streak_length_sd(bets, window):
    lengths = [length for _, length in runs(bets)]
    return np.std(lengths, ddof=1) if len(lengths) > 1 else None


@plain
def trend(bets, window):
    ordered = by_close(bets)
    half = len(ordered) // 2

    def shrunk(members: list[Bet]) -> Fraction:
        gains = sum(max(bet.realized, 0) for bet in members)
        return Fraction(gains + 50 * USD, 50 * USD - sum(min(bet.realized, 0) for bet in members))

    ratio = shrunk(ordered[len(ordered) - half :]) / shrunk(ordered[:half])
    return "improving" if ratio > Fraction(11, 10) else "declining" if ratio < Fraction(9, 10) else "stable"


@plain
def hot_hand_z(bets, window):
    a, b = len(won(bets)), len(lost(bets))
    mean = 1 + 2 * a * b / (a + b) if a and b else 0
    variance = (mean - 1) * (mean - 2) / (a + b - 1) if mean > 2 else 0
    return (mean - len(runs(bets))) / math.sqrt(variance) if variance else None


@plain
def omega_shrunk(bets, window):
    x = usd(bets)
    return (x[x > 0].sum() + 50) / (50 - x[x < 0].sum())


def omega_bound(bets, direction):
    x = usd(bets)
    gains, losses = np.maximum(x, 0), np.maximum(-x, 0)
    if not gains.sum() or not losses.sum():
        return None
    influence = len(x) * (gains / gains.sum() - losses / losses.sum())  # of one bet on ln omega
    error = np.sqrt(np.var(influence, ddof=1) / len(x))
    return gains.sum() / losses.sum() * np.exp(direction * 1.96 * error)


@plain
def omega_low(bets, window):
    return omega_bound(bets, -1)


@plain
def omega_high(bets, window):
    return omega_bound(bets, 1)


@plain
def roi(bets, window):
    return return_of(bets)


def roi_bound(bets, direction):
    x, c = usd(bets), stakes(bets)
    if not c.sum():
        return None
    middle = x.sum() / c.sum()
    influence = (x - middle * c) / c.mean()
    return middle + direction * 1.96 * np.sqrt(np.var(influence, ddof=1) / len(x))


@plain
def roi_low(bets, window):
    return roi_bound(bets, -1)


@plain
def roi_high(bets, window):
    return roi_bound(bets, 1)


@plain
def roi_without_best_3(bets, window):
    return return_of(sorted(bets, key=lambda bet: (bet.realized, bet.stake))[:-3])


@plain
def stake_median(bets, window):
    return float(np.median(stakes(bets)))


@plain
def one_hit_share(bets, window):
    total = sum(bet.realized for bet in bets)
    return max(bet.realized for bet in bets) / total if total > 0 else None


def wilson(bets, place):
    wins, n = len(won(bets)), len(won(bets)) + len(lost(bets))
    if not n:
        return None
    level = 2 * stats.norm.cdf(1.96) - 1
    interval = stats.binomtest(wins, n).proportion_ci(confidence_level=level, method="wilson")
    return interval[place]


@plain
def win_rate_low(bets, window):
    return wilson(bets, 0)


@plain
def win_rate_high(bets, window):
    return wilson(bets, 1)


@plain
def win_rate_by_stake(bets, window):
    return share(stakes(won(bets)).sum(), stakes(bets).sum())


@plain
def hit_rate(bets, window):
    payouts = [payout for bet in bets for payout in bet.payouts]
    return float(sum(payouts) / len(payouts)) if payouts else None


@plain
def expectancy(bets, window):
    return usd(bets).mean()


@plain
def entry_edge(bets, window):
    entries = [bet.entry for bet in bets if bet.entry]
    return sum(payout - cost for _, cost, payout in entries) / USD if entries else None


@plain
def luck_z(bets, window):
    entries = np.array([bet.entry for bet in bets if bet.entry], dtype=float)
    if len(entries) < 10:
        return None
    shares, cost, payout = entries.T
    p, o = cost / shares, payout / shares
    return (shares * (o - p)).sum() / np.sqrt((shares**2 * p * (1 - p)).sum())


def same(stored: Any, wanted: Any) -> bool:
    """Whether a stored value is that of the plain calculation."""
    if wanted is None or stored is None:
        return stored is None and wanted is None
    if isinstance(wanted, dict):
        return json.loads(stored) == wanted
    if isinstance(wanted, str):
        return stored == wanted
    return math.isfinite(stored) and math.isclose(stored, float(wanted), rel_tol=1e-8, abs_tol=1e-9)
