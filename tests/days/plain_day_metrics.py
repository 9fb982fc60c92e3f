"""Every metric of daily series worked out the slow way: one number per day of the window, then the textbook formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DAY = 86_400
Row = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """A window's days without a gap, oldest first, in USDC.

    ``x``: results; ``value``: their running sum; ``fall``: running peak (from 0) less value; ``capital``: at risk at
    the day's end.
    """

    x: np.ndarray
    value: np.ndarray
    fall: np.ndarray
    capital: np.ndarray
    peak: float
    rows: Sequence[Row]

    @property
    def n(self) -> int:
        return len(self.x)


def window_of(rows: dict[int, Row], newest_day: int, length: int | None) -> Window | None:
    """The last ``length`` days (all of them if None) of a scope; None if nothing changed on them."""
    first = min(rows)
    if length is not None:
        first = max(first, newest_day - length + 1)
    days = range(first, newest_day + 1)
    inside = [day for day in sorted(rows) if day >= first]
    if not inside:
        return None
    x = [0 if (row := rows.get(day)) is None or row["pnl"] is None else row["pnl"] for day in days]
    capital, at_risk = [], rows[inside[0]]["at_risk_before"]
    for day in days:
        at_risk = rows[day]["at_risk"] if day in rows else at_risk
        capital.append(at_risk)
    value, peak, values, falls = 0, 0, [], []
    for change in x:
        value += change
        peak = max(peak, value)
        values.append(value)
        falls.append(peak - value)
    chosen = [rows[day] | {"t": day - first} for day in inside]
    peak_at_risk = max(row["at_risk_peak"] for row in chosen)
    money = [np.array(cells, dtype=float) / 1e6 for cells in (x, values, falls, capital)]
    return Window(*money, peak_at_risk / 1e6, chosen)


def _long(formula: Callable[[Window], float | None]) -> Callable[[Window], float | None]:
    """Only from 30 days and 10 changes on."""
    return lambda w: formula(w) if w.n >= 30 and len(w.rows) >= 10 else None


def _over(a: float, b: float) -> float | None:
    return a / b if b else None


def _cagr(w: Window) -> float | None:
    growth = (w.peak + w.x.sum()) / w.peak if w.peak else 0
    return 100 * (growth ** (365 / w.n) - 1) if growth > 1e-15 else None


def _worst_days(w: Window) -> np.ndarray:
    return np.sort(w.x)[: math.ceil(w.n / 20)]


def _ulcer(w: Window) -> float | None:
    return float(np.sqrt(np.mean((100 * w.fall / w.peak) ** 2))) if w.peak else None


def _per(divisor: Callable[[Window], float | None]) -> Callable[[Window], float | None]:
    def formula(w: Window) -> float | None:
        growth, risk = _cagr(w), divisor(w)
        return growth / risk if growth is not None and risk else None

    return _long(formula)


def _recoveries(w: Window) -> float | None:
    lengths, below = [], 0
    for fall in w.fall:
        if fall > 0:
            below += 1
        elif below:
            lengths.append(below)
            below = 0
    return float(np.mean(lengths)) if lengths else None


def _slope(values: np.ndarray) -> float:
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def _hourly_returns(w: Window) -> np.ndarray:
    returns = np.zeros(w.n)
    for row in w.rows:
        if row["at_risk_peak"]:
            returns[row["t"]] = w.x[row["t"]] / (row["at_risk_peak"] / 1e6) / 24
    return returns


def _sum(w: Window, column: str) -> float:
    return sum(row[column] for row in w.rows) / 1e6


PLAIN: dict[str, Callable[[Window], float | None]] = {
    "sharpe": _long(lambda w: math.sqrt(365) * _over(w.x.mean(), w.x.std(ddof=1)) if w.x.any() else None),
    "sortino": _long(
        lambda w: math.sqrt(365) * w.x.mean() / np.sqrt(np.mean(np.minimum(w.x, 0) ** 2)) if (w.x < 0).any() else None
    ),
    "martin": _per(_ulcer),
    "calmar": _per(lambda w: 100 * w.fall.max() / w.peak if w.peak else None),
    "net_pnl_percent": lambda w: _over(100 * w.x.sum(), w.peak),
    "cagr": _long(_cagr),
    "max_drawdown": lambda w: w.fall.max(),
    "avg_drawdown": lambda w: w.fall[w.fall > 0].mean() if (w.fall > 0).any() else None,
    "time_in_drawdown": lambda w: (w.fall > 0).mean(),
    "ulcer_index": _ulcer,
    "avg_recovery_days": _recoveries,
    "var_95": _long(lambda w: -_worst_days(w)[-1]),
    "downside_deviation": _long(lambda w: np.sqrt(np.mean(np.minimum(w.x, 0) ** 2))),
    "cvar_95": _long(lambda w: -_worst_days(w).mean()),
    "worst_loss_percent": lambda w: _over(-100 * min(row["worst"] for row in w.rows) / 1e6, w.peak),
    "pnl_slope": _long(lambda w: _slope(w.value)),
    "pnl_acceleration": _long(lambda w: 2 * float(np.polyfit(np.arange(w.n), w.value, 2)[0])),
    "return_on_capital": lambda w: _over(w.x.sum(), w.capital.mean()),
    "turnover": lambda w: _over(_sum(w, "volume"), w.capital.mean()),
    "return_per_hour_slope": _long(lambda w: _slope(_hourly_returns(w))),
    "drawdown_slope_60d": _long(lambda w: _slope(w.fall[-60:])),
    "volatility": _long(lambda w: w.x.std(ddof=1)),
    "omega_daily": lambda w: _over(np.maximum(w.x, 0).sum(), np.maximum(-w.x, 0).sum()) if len(w.rows) >= 10 else None,
    "bankroll": lambda w: w.peak,
    "capital_mean": lambda w: w.capital.mean(),
    "equity_change": lambda w: w.x.sum(),
    "active_days": lambda w: sum(row["fills"] > 0 for row in w.rows),
    "max_drawdown_percent": lambda w: _over(100 * w.fall.max(), w.peak),
    "current_drawdown": lambda w: w.fall[-1],
}
"""Name of the metric → its value in a window; None where it has none."""
