"""Metrics that are defined and not computed yet, and those that public data cannot give.

An entry leaves this file when the group of its relation computes it: a number has one entry.
"""

from __future__ import annotations

from polyhouse.metrics.metric import Direction, Metric, Unit
from polyhouse.metrics.terms import SEED

_BANKROLL = "bankroll = peak capital at risk in the window, from the ledger"


def _later(
    number: int, name: str, unit: Unit, relation: str, direction: Direction, meaning: str, formula: str,
    source: str = SEED,
) -> Metric:  # fmt: skip
    return Metric(name, meaning, formula, unit, relation, source, direction, number)


def _needs(number: int, name: str, unit: Unit, direction: Direction, meaning: str, formula: str, needs: str) -> Metric:
    return Metric(name, meaning, formula, unit, "", SEED, direction, number, needs=needs)


ENTRIES = (
    _later(25, "brier", "ratio", "entries", "lower", "Squared error of entry prices as forecasts",
           "Σ w(p−o)² / Σ w, w shares, p entry price with fee, o payout; scores the market at those instants",
           "accounting §4.4 (K22)"),
    _later(26, "log_score", "ratio", "entries", "lower", "Logarithmic error of entry prices as forecasts",
           "−Σ w·(o·ln p + (1−o)·ln(1−p)) / Σ w, p between 0.001 and 0.999"),
    _later(27, "calibration_slope", "ratio", "entries", "none", "Slope of outcomes over entry prices, ideal 1",
           "least-squares slope of o on p, weighted by shares"),
    _later(28, "calibration_intercept", "ratio", "entries", "none", "Intercept of outcomes over entry prices, ideal 0",
           "least-squares intercept of o on p, weighted by shares"),
    _later(29, "calibration_error", "ratio", "entries", "none", "Gap between entry prices and outcomes",
           "Σ n_b·|hit rate − mean price| / n over ten bins of price", "accounting §4.4 (K23)"),
    _later(30, "clv_mean", "ratio", "entries", "higher", "Mean gain of entries against the closing price",
           "mean of (close − entry)·side, side +1 for a purchase; close = last mark before the event, never after the"
           " resolution (the seed's (entry − close)·side has the wrong sign)", "accounting §4.4 (K25)"),
    _later(31, "clv_median", "ratio", "entries", "higher", "Median gain of entries against the closing price",
           "median of (close − entry)·side", "accounting §4.4 (K25)"),
    _later(32, "clv_beat_rate", "ratio", "entries", "higher", "Share of entries that beat the closing price",
           "entries with (close − entry)·side > 0 / entries", "accounting §4.4 (K25)"),
    _later(33, "maker_share", "ratio", "entries", "none", "Share of fills as maker",
           "maker fills / fills with a known role"),
    _later(34, "maker_taker_volume", "ratio", "entries", "none", "Volume as maker per volume as taker",
           "Σ volume as maker / Σ volume as taker"),
    _later(44, "stake_percent_sd", "percent", "entries", "lower", "How uneven stakes are",
           f"standard deviation of 100 · stake / bankroll; {_BANKROLL}"),
    _later(45, "stake_percent_mean", "percent", "entries", "none", "Mean stake in percent of the bankroll",
           f"mean of 100 · stake / bankroll; {_BANKROLL}"),
    _later(46, "stake_percent_max", "percent", "entries", "lower", "Largest stake in percent of the bankroll",
           f"max of 100 · stake / bankroll; {_BANKROLL}"),
    _later(47, "stake_percent_min", "percent", "entries", "none", "Smallest stake in percent of the bankroll",
           f"min of 100 · stake / bankroll; {_BANKROLL}"),
    _later(48, "omega_copy_30s", "ratio", "lags", "higher", "Omega of somebody who copies 30 seconds later",
           "omega of the bets with every purchase at the last price 30 s after it"),
    _later(49, "omega_copy_2m", "ratio", "lags", "higher", "Omega of somebody who copies 2 minutes later",
           "omega of the bets with every purchase at the last price 2 min after it"),
    _later(50, "omega_copy_5m", "ratio", "lags", "higher", "Omega of somebody who copies 5 minutes later",
           "omega of the bets with every purchase at the last price 5 min after it"),
    _later(51, "clv_copy_30s", "ratio", "lags", "higher", "Mean gain against the close when copied after 30 seconds",
           "mean of (close − price 30 s after the entry)·side"),
    _later(52, "clv_copy_2m", "ratio", "lags", "higher", "Mean gain against the close when copied after 2 minutes",
           "mean of (close − price 2 min after the entry)·side"),
    _later(53, "clv_copy_5m", "ratio", "lags", "higher", "Mean gain against the close when copied after 5 minutes",
           "mean of (close − price 5 min after the entry)·side"),
    _later(54, "edge_half_life_hours", "hours", "lags", "none", "Hours until half of the gain on the close is gone",
           "time after which the mean of (close − price then)·side is half of its value at the entry"),
    _later(55, "latency_penalty", "ratio", "lags", "lower", "What five minutes cost a copier",
           "1 − omega_copy_5m / omega_net"),
    _later(56, "omega_slope_30d", "ratio", "entries", "higher", "Trend of omega over 30 days",
           "Theil–Sen slope of the weekly shrunk omega over 30 days"),
    _later(57, "omega_slope_90d", "ratio", "entries", "higher", "Trend of omega over 90 days",
           "Theil–Sen slope of the weekly shrunk omega over 90 days"),
    _later(63, "kelly_ratio", "ratio", "entries", "none", "Stakes compared with the Kelly fraction",
           f"mean stake / bankroll over mean (p − c)/(1 − c), p the shrunk hit rate of the price bin; {_BANKROLL}",
           "accounting §4.4 (K20, K21)"),
    _later(64, "risk_of_ruin", "ratio", "entries", "lower", "Chance to lose the bankroll at this size and edge",
           f"((1−a)/(1+a))^(bankroll / mean stake), a = mean edge per dollar staked; 1 where a ≤ 0; {_BANKROLL}"),
    _later(68, "crowd_correlation", "ratio", "entries", "none", "Whether the wallet trades with the crowd",
           "correlation of its signed daily volume per market with everybody else's"),
    _later(82, "clv_slope_30d", "ratio", "entries", "higher", "Trend of the gain against the close over 30 days",
           "least-squares slope of (close − entry)·side over the entry's day"),
    _later(89, "clv_by_category", "text", "entries", "none", "Gain against the close per category",
           "JSON: category → clv_mean"),
    _later(90, "lag_omega_by_category", "text", "lags", "none", "Omega of copiers per category",
           "JSON: category → omega_copy_30s, _2m, _5m"),
    _later(91, "calibration_by_category", "text", "entries", "none", "Calibration per category",
           "JSON: category → calibration_error"),
    _later(92, "return_per_hour_by_category", "text", "bets", "none", "Result per dollar and hour per category",
           "JSON: category → return_per_dollar_hour"),
    _later(94, "edge_by_archetype", "text", "entries", "none", "Where the edge is, by kind of event",
           "JSON: kind of market (series, neg-risk or single, short or long) → Σ w(o−p) / Σ w"),
    _later(97, "price_impact_per_1k", "ratio", "entries", "lower", "How far its fills move the price",
           "mean of (price of the first later match − price of the last earlier one)·side per 1,000 USDC"),
    _later(98, "yes_no_balance", "percent", "entries", "none", "Purchases of the first outcome less the second",
           "100 · (stake on index 0 − stake on index 1) / stake; index 0 is Yes in Yes/No markets only"),
    _later(101, "timing_share", "ratio", "entries", "none", "Share of the edge that comes from timing",
           "Σ w(close − p) / Σ w(o − p)"),
    _later(102, "edge_sources", "text", "entries", "none", "What the edge is made of",
           "JSON: timing Σ w(close − p), selection Σ w(o − close), fees −Σ fee, in USDC"),
)  # fmt: skip

_NEWS = "the times of news that move a market (a licensed feed), to the second"
_BOOK = "the order book at every fill; the exchange publishes no history of it"

NEEDS = (
    _needs(67, "ev_news_window", "usd", "higher", "Result of bets within five minutes of news",
           "mean x of bets opened within 5 min after news of their event", _NEWS),
    _needs(73, "slippage_per_bet", "usd", "lower", "What fills cost beyond the price that was there",
           "Σ shares·(price − mid at the order) / bets", _BOOK),
    _needs(79, "deposit_integrity", "ratio", "none", "Whether deposits and trading explain the balance",
           "(deposits − withdrawals + trading cash) / balance", "every deposit and withdrawal of the wallet's owner"),
    _needs(93, "news_reaction_seconds", "count", "lower", "Median seconds from news to a trade",
           "median of first fill after news − news", _NEWS),
    _needs(95, "spread_capture", "ratio", "higher", "Share of the spread earned as maker",
           "Σ shares·(mid − price)·side / Σ shares·half spread over maker fills", _BOOK),
    _needs(96, "adverse_selection", "ratio", "lower", "How far prices run against its resting orders",
           "mean of (mid 5 min after − price)·(−side) over maker fills", _BOOK),
    _needs(99, "liquidity_access", "ratio", "higher", "Share of the book it could use at its prices",
           "volume / depth within one cent at the fill", _BOOK),
    _needs(100, "news_latency_percentiles", "text", "none", "Distribution of the reaction to news",
           "JSON: percentiles of news_reaction_seconds", _NEWS),
)  # fmt: skip

METRICS: tuple[Metric, ...] = ENTRIES + NEEDS
