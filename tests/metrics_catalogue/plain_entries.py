"""Every metric of purchases once more, in the plainest Python over a list of trades, with numpy.

``PLAIN`` maps the name of a metric to a function of the purchases, the end of the window and its days (0 = lifetime).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
from plain_trades import DAY, HOUR, Trade

PLAIN: dict[str, Callable[[Sequence[Trade], int, int], Any]] = {}


def plain(function: Callable[[Sequence[Trade], int, int], Any]) -> Callable[[Sequence[Trade], int, int], Any]:
    PLAIN[function.__name__] = function
    return function


def arrays(trades: Sequence[Trade]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares, entry prices and payouts of what is resolved."""
    known = [(t.shares / 1e6, t.price / 1e6, t.payout_e6 / 1e6) for t in trades if t.payout_e6 is not None]
    return tuple(np.array(known, dtype=float).reshape(-1, 3).T)  # type: ignore[return-value]


def closed(trades: Sequence[Trade]) -> list[Trade]:
    return [t for t in trades if t.close_e6 is not None]


def gain(t: Trade) -> float:
    return (t.close_e6 - t.price) / 1e6


def cut(numerator: int, denominator: int) -> Decimal:
    """Six decimals, cut towards zero."""
    whole = abs(numerator) * 10**6 // abs(denominator)
    return Decimal(whole if (numerator < 0) == (denominator < 0) else -whole).scaleb(-6)


def by(trades: Sequence[Trade], name: Callable[[Trade], str]) -> dict[str, list[Trade]]:
    groups: defaultdict[str, list[Trade]] = defaultdict(list)
    for t in trades:
        groups[name(t)].append(t)
    return dict(groups)


def bin_of(t: Trade) -> int:
    return min(t.price // 100_000, 9)


@plain
def brier(trades, as_of, days):
    w, p, o = arrays(trades)
    return np.average((p - o) ** 2, weights=w) if len(w) else None


@plain
def log_score(trades, as_of, days):
    w, p, o = arrays(trades)
    p = np.clip(p, 0.001, 0.999)
    return -np.average(o * np.log(p) + (1 - o) * np.log(1 - p), weights=w) if len(w) else None


def fitted(trades):
    w, p, o = arrays(trades)
    # polyfit's weights are those of the residuals, not of their squares
    return np.polyfit(p, o, 1, w=np.sqrt(w)) if len(set(p)) > 1 else None


@plain
def calibration_slope(trades, as_of, days):
    line = fitted(trades)
    return None if line is None else line[0]


@plain
def calibration_intercept(trades, as_of, days):
    line = fitted(trades)
    return None if line is None else line[1]


def gaps(trades: Sequence[Trade]) -> tuple[int, int]:
    """Σ over the bins |Σ (o − p)| in micro, and the purchases."""
    known = [t for t in trades if t.payout_e6 is not None]
    total = sum(abs(sum(t.payout_e6 - t.price for t in members)) for members in by(known, bin_of).values())
    return total, len(known)


@plain
def calibration_error(trades, as_of, days):
    total, count = gaps(trades)
    return total / count / 1e6 if count else None


@plain
def calibration_by_category(trades, as_of, days):
    known = by([t for t in trades if t.payout_e6 is not None], lambda t: t.category)
    values = {name: gaps(members) for name, members in known.items()}
    return {name: float(cut(total, count * 10**6)) for name, (total, count) in values.items()} or None


def worth(t: Trade) -> int:
    return t.shares * t.payout_e6 // 10**6


@plain
def edge_by_archetype(trades, as_of, days):
    known = by([t for t in trades if t.payout_e6 is not None], lambda t: t.kind)
    return {
        kind: float(cut(sum(worth(t) - t.cash for t in members), sum(t.shares for t in members)))
        for kind, members in known.items()
    } or None


@plain
def surprise(trades, as_of, days):
    known = [t for t in trades if t.payout_e6 is not None]
    return (
        np.average([(t.payout_e6 - t.price) / 1e6 for t in known], weights=[t.cash for t in known]) if known else None
    )


@plain
def yes_no_balance(trades, as_of, days):
    first, second = (sum(t.cash for t in trades if t.outcome == outcome) for outcome in (0, 1))
    return 100 * (first - second) / (first + second)


@plain
def kelly_optimal(trades, as_of, days):
    known = [t for t in trades if t.payout_e6 is not None]
    parts = []
    for members in by(known, bin_of).values():
        price = np.mean([t.price / 1e6 for t in members])
        hits = sum(t.payout_e6 / 1e6 for t in members)
        belief = (hits + 10 * price) / (len(members) + 10)
        parts += [(belief - price) / (1 - price) if price < 1 else 0.0] * len(members)
    return np.mean(parts) if parts else None


@plain
def purchases(trades, as_of, days):
    return len(trades)


@plain
def entry_price(trades, as_of, days):
    return np.average([t.price / 1e6 for t in trades], weights=[t.cash for t in trades])


@plain
def underdog_share(trades, as_of, days):
    return sum(t.cash for t in trades if t.price < 500_000) / sum(t.cash for t in trades)


@plain
def contrarian_share(trades, as_of, days):
    known = [t for t in trades if t.day_before_e6 is not None]
    return sum(t.cash for t in known if t.price < t.day_before_e6) / sum(t.cash for t in known) if known else None


@plain
def earliness(trades, as_of, days):
    known = [t for t in trades if t.earliness_e6 is not None]
    return np.average([t.earliness_e6 / 1e6 for t in known], weights=[t.cash for t in known]) if known else None


@plain
def clv_mean(trades, as_of, days):
    return np.mean([gain(t) for t in closed(trades)]) if closed(trades) else None


@plain
def clv_median(trades, as_of, days):
    return np.median([gain(t) for t in closed(trades)]) if closed(trades) else None


@plain
def clv_beat_rate(trades, as_of, days):
    return np.mean([gain(t) > 0 for t in closed(trades)]) if closed(trades) else None


@plain
def clv_usd(trades, as_of, days):
    return sum(t.shares * t.close_e6 - t.cash * 10**6 for t in closed(trades)) / 1e12 if closed(trades) else None


@plain
def clv_return(trades, as_of, days):
    known = closed(trades)
    return sum(t.shares * t.close_e6 for t in known) / sum(t.cash * 10**6 for t in known) - 1 if known else None


def copied(trades, lag, seconds):
    known = [t for t in closed(trades) if t.at + seconds < t.closes_at]
    return np.mean([(t.close_e6 - t.after[lag] - t.price + t.quote) / 1e6 for t in known]) if known else None


@plain
def clv_copy_30s(trades, as_of, days):
    return copied(trades, "30s", 30)


@plain
def clv_copy_2m(trades, as_of, days):
    return copied(trades, "2m", 120)


@plain
def clv_copy_5m(trades, as_of, days):
    return copied(trades, "5m", 300)


@plain
def edge_half_life_hours(trades, as_of, days):
    lags = {"30s": 30, "2m": 120, "5m": 300, "1h": HOUR, "6h": 6 * HOUR, "1d": DAY}
    points = [(0, sum(t.close_e6 - t.quote for t in closed(trades)))]
    for lag, seconds in lags.items():
        left = sum(t.close_e6 - t.after[lag] for t in closed(trades) if t.at + seconds < t.closes_at)
        points.append((seconds, left))
    half = points[0][1] / 2
    if half <= 0:
        return None
    for (start, above), (end, below) in pairwise(points):
        if below <= half:
            return float(np.interp(half, [below, above], [end, start])) / HOUR
    return None


@plain
def clv_slope_30d(trades, as_of, days):
    recent = [t for t in closed(trades) if (as_of - t.at) // DAY < 30]
    day = [-((as_of - t.at) // DAY) for t in recent]
    return np.polyfit(day, [gain(t) for t in recent], 1)[0] if len(recent) >= 10 and len(set(day)) > 1 else None


@plain
def clv_by_category(trades, as_of, days):
    groups = by(closed(trades), lambda t: t.category)
    return {
        name: float(cut(sum(t.close_e6 - t.price for t in members), len(members) * 10**6))
        for name, members in groups.items()
    } or None


def told(trades):
    return [t for t in closed(trades) if t.payout_e6 is not None]


@plain
def timing_share(trades, as_of, days):
    edge = sum(worth(t) - t.cash for t in told(trades))
    timing = sum(t.shares * t.close_e6 / 1e6 - t.cash for t in told(trades))
    return timing / edge if edge > 0 else None


@plain
def edge_sources(trades, as_of, days):
    known = told(trades)
    if not known:
        return None
    close = sum(t.shares * t.close_e6 for t in known) // 10**6
    fees = sum(t.fee for t in known)
    timing = close - sum(t.cash for t in known) + fees
    selection = sum(worth(t) for t in known) - close
    return {"timing": timing / 1e6, "selection": selection / 1e6, "fees": -fees / 1e6}
