"""Metrics of daily series (``days_relation``): risk, drawdown, capital, trends.

The daily result x is the change of equity over the day: realised and mark-to-market, after fees (accounting §3.8). The
bankroll is the peak capital at risk: the largest basis of open shares at any second of the window (docs/days.md).
"""

from __future__ import annotations

from polyhouse.metrics.days_relation import RECENT_DAYS
from polyhouse.metrics.metric import Metric
from polyhouse.metrics.series import DAYS_PER_YEAR
from polyhouse.metrics.series import MIN_PUBLISHED_DAYS as MIN_DAYS
from polyhouse.metrics.terms import SEED, USD, over

MIN_CHANGES = 10
"""Days with a change that a ratio of daily results needs besides the 30 days: idle days alone say nothing."""

_YEAR = f"sqrt({DAYS_PER_YEAR}.)"
_LONG = f"days >= {MIN_DAYS}"
_SHORT = f"fewer than {MIN_DAYS} days"
_BANKROLL = "bankroll = peak capital at risk in the window"
_NO_BANKROLL = "nothing was at risk"
_NOTHING_HELD = "nothing was held over a day's end"
_GROWS = f"{_LONG} AND peak_at_risk > 0 AND peak_at_risk + total > 0"
_BROKE = f"{_SHORT}, nothing was at risk, or more than the bankroll was lost"


def _usd(value: str, condition: str = "") -> str:
    dollars = f"toFloat64({value}) / {USD}"
    return f"if({condition}, {dollars}, NULL)" if condition else dollars


def _slope(moment: str, total: str, length: str, cubic: str) -> str:
    """Least-squares slope per day of a series, from Σ ago·v and Σ v over its days."""
    return f"6 * toFloat64(({length} - 1) * {total} - 2 * {moment}) / toFloat64({cubic})"


RISK = (
    Metric(
        "sortino", "Daily result per downside risk, per year",
        "mean / sqrt(Σ min(x, 0)² / n) of daily results · √365, target 0, all days counted",
        "ratio", "days", f"Sortino & Price 1994; accounting §4.3 (K17); {SEED}", "higher", 5,
        f"if({_LONG} AND down_squares > 0, {_YEAR} * toFloat64(total) / sqrt(days * toFloat64(down_squares)), NULL)",
        MIN_CHANGES, f"{_SHORT}, or no losing day",
    ),
    Metric(
        "sharpe", "Daily result per risk, per year",
        "mean / sd (n−1) of daily results · √365, risk-free rate 0, all days counted",
        "ratio", "days", f"Sharpe 1994; accounting §4.3 (K16); {SEED}", "higher", 6,
        f"if({_LONG} AND spread > 0, {_YEAR} * toFloat64(total) * sqrt((days - 1) / (days * toFloat64(spread))), NULL)",
        MIN_CHANGES, f"{_SHORT}, or all days are equal",
    ),
    Metric(
        "martin", "Yearly growth per Ulcer index", "cagr / ulcer_index",
        "ratio", "days", f"Martin & McCann 1989; {SEED}", "higher", 7,
        f"if({_GROWS} AND deepest > 0, growth_percent / ulcer, NULL)", MIN_CHANGES, f"{_BROKE}; no drawdown",
    ),
    Metric(
        "calmar", "Yearly growth per worst drawdown", "cagr / max_drawdown_percent",
        "ratio", "days", f"Young 1991; {SEED}", "higher", 8,
        f"if({_GROWS} AND deepest > 0, growth_percent * toFloat64(peak_at_risk) / (100 * toFloat64(deepest)), NULL)",
        MIN_CHANGES, f"{_BROKE}; no drawdown",
    ),
    Metric(
        "var_95", "Daily loss that is reached on one day in twenty",
        "−(the ⌈n/20⌉-th smallest daily result), all days counted, in USDC; negative where even that day gained",
        "usd", "days", SEED, "lower", 35, _usd("-tail_edge", _LONG), MIN_CHANGES, _SHORT,
    ),
    Metric(
        "downside_deviation", "Downside risk of a day", "sqrt(Σ min(x, 0)² / n) of daily results, in USDC",
        "usd", "days", SEED, "lower", 36,
        f"if({_LONG}, sqrt(toFloat64(down_squares) / days) / {USD}, NULL)", MIN_CHANGES, _SHORT,
    ),
    Metric(
        "cvar_95", "Mean loss of the worst days, one in twenty",
        "−mean of the ⌈n/20⌉ smallest daily results, all days counted, in USDC",
        "usd", "days", f"Rockafellar & Uryasev 2000; {SEED}", "lower", 37,
        f"if({_LONG}, -toFloat64(tail_sum) / tail_days / {USD}, NULL)", MIN_CHANGES, _SHORT,
    ),
    Metric(
        "volatility", "How far daily results scatter", "standard deviation (n−1) of daily results, in USDC",
        "usd", "days", "accounting §4.3", "lower", None,
        f"if({_LONG}, sqrt(toFloat64(spread) / (days * (days - 1))) / {USD}, NULL)", MIN_CHANGES, _SHORT,
    ),
    Metric(
        "omega_daily", "Gaining days over losing days", "Σ max(x, 0) / Σ max(−x, 0) of daily results; no omega of bets",
        "ratio", "days", "accounting §4.1", "higher", None, over("up_sum", "down_sum"), MIN_CHANGES, "no losing day",
    ),
)  # fmt: skip

CAPITAL = (
    Metric(
        "net_pnl_percent", "Result in percent of the bankroll", f"100 · Σ x / bankroll; {_BANKROLL}",
        "percent", "days", f"accounting §4.3; {SEED}", "higher", 10,
        over("(100 * total)", "peak_at_risk"), 1, _NO_BANKROLL,
    ),
    Metric(
        "cagr", "Growth of the bankroll per year",
        f"100 · ((1 + Σ x / bankroll)^(365 / days) − 1); {_BANKROLL}, taken as there from the first day",
        "percent", "days", SEED, "higher", 11, f"if({_GROWS}, growth_percent, NULL)", MIN_CHANGES, _BROKE,
    ),
    Metric(
        "worst_loss_percent", "Largest loss on one outcome in percent of the bankroll",
        f"100 · the largest loss booked on one outcome in one day / bankroll; {_BANKROLL}",
        "percent", "days", SEED, "lower", 38, over("(-100 * toInt256(min(worst)))", "peak_at_risk"), 1, _NO_BANKROLL,
    ),
    Metric(
        "return_on_capital", "Result per dollar at work on average",
        "Σ x / mean capital at risk; the mean is over the ends of all days",
        "ratio", "days", SEED, "higher", 65, over("(total * days)", "risk_days"), 1, _NOTHING_HELD,
    ),
    Metric(
        "turnover", "How often the capital was moved", "volume / mean capital at risk over the ends of all days",
        "ratio", "days", SEED, "none", 66, over("(traded * days)", "risk_days"), 1, _NOTHING_HELD,
    ),
    Metric(
        "bankroll", "Peak capital at risk: what the percentages are percentages of",
        "largest basis of open shares at any second of the window, fees included, in USDC",
        "usd", "days", f"{SEED}: a definition the ledger can prove", "none", None, _usd("peak_at_risk"),
    ),
    Metric(
        "capital_mean", "Mean capital at risk", "mean of the basis of open shares at the end of all days, in USDC",
        "usd", "days", SEED, "none", None, f"toFloat64(risk_days) / days / {USD}",
    ),
    Metric(
        "equity_change", "Result of the window, open shares at their marks",
        "Σ x: change of realised + unrealised over the window, in USDC",
        "usd", "days", "accounting §3.8", "higher", None, _usd("total"),
    ),
    Metric(
        "active_days", "Days with a trade", "days of the window with at least one fill",
        "count", "days", "seed_systems.md §2.2", "none", None, "toInt64(countIf(fills > 0))",
    ),
)  # fmt: skip

DRAWDOWN = (
    Metric(
        "max_drawdown", "Worst fall of the result from its peak",
        "max(running peak − value) of the cumulative daily result, in USDC; both start at 0 with the window",
        "usd", "days", f"accounting §4.3 (K19); {SEED}", "lower", 17, _usd("deepest"),
    ),
    Metric(
        "avg_drawdown", "Mean fall from the peak while below it",
        "mean of peak − value over days below the peak, in USDC",
        "usd", "days", SEED, "lower", 18, over("fall_days", f"(days_below * {USD})"), 1, "never below the peak",
    ),
    Metric(
        "time_in_drawdown", "Share of days below the peak", "days that end below the running peak / days",
        "ratio", "days", SEED, "lower", 19, "days_below / days",
    ),
    Metric(
        "ulcer_index", "Depth and length of drawdowns in one number",
        f"sqrt(mean of dd² over all days), dd = 100 · (peak − value) / bankroll; {_BANKROLL}",
        "percent", "days", f"Martin & McCann 1989; {SEED}", "lower", 20, "if(peak_at_risk > 0, ulcer, NULL)", 1,
        _NO_BANKROLL,
    ),
    Metric(
        "avg_recovery_days", "Mean days from falling below a peak to reaching it again",
        "days of finished drawdowns / their number; one that still lasts does not count",
        "days", "days", SEED, "lower", 21, over("(days_below - days_lasting)", "recoveries"), 1, "no drawdown is over",
    ),
    Metric(
        "max_drawdown_percent", "Worst fall from the peak in percent of the bankroll",
        f"100 · max_drawdown / bankroll; {_BANKROLL}; above 100 where more was lost than was ever at risk at once",
        "percent", "days", SEED, "lower", None, over("(100 * deepest)", "peak_at_risk"), 1, _NO_BANKROLL,
    ),
    Metric(
        "current_drawdown", "How far below its peak the result is now",
        "peak − value at the end of the window, in USDC",
        "usd", "days", "seed_systems.md §2.1", "lower", None, _usd("falls[-1]"),
    ),
    Metric(
        "drawdown_slope_60d", "Whether the drawdown deepens, in USDC per day",
        f"least-squares slope of peak − value over the last {RECENT_DAYS} days of the window",
        "usd_per_day", "days", SEED, "lower", 84,
        f"if({_LONG}, {_slope('recent_moment', 'recent_falls', 'recent', '(recent * (recent * recent - 1))')} / {USD},"
        " NULL)",
        MIN_CHANGES, _SHORT,
    ),
)  # fmt: skip

TREND = (
    Metric(
        "pnl_slope", "Trend of the result, in USDC per day", "least-squares slope of the cumulative daily result",
        "usd_per_day", "days", SEED, "higher", 58,
        f"if({_LONG}, {_slope('value_moment', 'value_days', 'days', 'cubic_days')} / {USD}, NULL)", MIN_CHANGES, _SHORT,
    ),
    Metric(
        "pnl_acceleration", "Whether the trend steepens, in USDC per day and day",
        "twice the quadratic coefficient of the least-squares parabola of the cumulative daily result",
        "usd_per_day", "days", SEED, "higher", 59,
        f"if({_LONG}, 60 * toFloat64(6 * value_moment_2 - 6 * (days - 1) * value_moment"
        f" + (days - 1) * (days - 2) * value_days) / (toFloat64(cubic_days) * (days * days - 4)) / {USD}, NULL)",
        MIN_CHANGES, _SHORT,
    ),
    Metric(
        "return_per_hour_slope", "Whether the result per dollar and hour improves, per day",
        "least-squares slope over all days of x / (24 · the day's peak capital at risk), the quotient to 12 decimals",
        "per_hour", "days", f"{SEED} (its EV/h, with results for expectations)", "higher", 83,
        f"if({_LONG}, 6 * toFloat64(return_moment) / toFloat64(cubic_days) / 24e12, NULL)", MIN_CHANGES, _SHORT,
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = RISK + CAPITAL + DRAWDOWN + TREND
