"""Metrics of purchases against the closing price: of the wallet, and of somebody who copies it (docs/entries.md)."""

from __future__ import annotations

from polyhouse.metrics.entries_relation import HALF_LIFE_SECONDS, SLOPE_DAYS, by_category
from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, RANK_MIN_UNITS
from polyhouse.metrics.terms import SEED, cut_to_six, json_by_category, json_object, over

_CLOSE = (
    "close = last price at or before the start of the game, the listed end or one hour before the resolution, whichever"
    " is first"
)
_NO_CLOSE = "no closing price"
_NO_TIME = "no purchase was made so long before the close"
_TELLING = f"{_NO_CLOSE}, or nothing is resolved"


def _copied(number: int, lag: str, words: str) -> Metric:
    return Metric(
        f"clv_copy_{lag}", f"Mean gain against the close when copied after {words}",
        f"mean of close − (price {words} after the purchase + fee per share), over purchases so long before the close;"
        " the price is the last one at or before then",
        "ratio", "entries", SEED, "higher", number, f"if(countIf(has_{lag}) > 0, clv_{lag} / 1e6, NULL)",
        DISPLAY_MIN_UNITS, _NO_TIME,
    )  # fmt: skip


def _half_life() -> str:
    """Seconds at which the line through the points around half of the gain meets it."""
    before, after = "left[left_half - 1]", "left[left_half]"
    step = f"toFloat64(2 * {before} - left[1]) / toFloat64(2 * ({before} - {after}))"
    start, end = "lags[left_half - 1]", "lags[left_half]"
    return f"if(left[1] > 0 AND left_half > 1, ({start} + ({end} - {start}) * {step}) / 3600, NULL)"


def _sources() -> str:
    """Timing and selection are cut to the micro-USDC so that the three add up to the result of the purchases."""
    close = "intDiv(told_close, 1000000)"
    parts = [f"{close} - told_stake + told_fees", f"told_worth - {close}", "-told_fees"]
    values = ", ".join(cut_to_six(part, "1000000") for part in parts)
    text = json_object("['timing', 'selection', 'fees']", f"[{values}]")
    return f"if(told > 0, {text}, NULL)"


CLOSE = (
    Metric(
        "clv_mean", "Mean gain of purchases against the closing price",
        f"mean of close − p, p entry price with fee; {_CLOSE} (the seed's (entry − close)·side has the wrong sign)",
        "ratio", "entries", f"accounting §4.4 (K25); {SEED}", "higher", 30, over("clv", "(closed_entries * 1000000)"),
        DISPLAY_MIN_UNITS, _NO_CLOSE,
    ),
    Metric(
        "clv_median", "Median gain of purchases against the closing price",
        f"median of close − p (mean of the two middle ones); {_CLOSE}",
        "ratio", "entries", f"accounting §4.4 (K25); {SEED}", "higher", 31,
        "if(closed_entries > 0, quantileExactInclusiveIf(0.5)(close - price, has_close) / 1e6, NULL)",
        DISPLAY_MIN_UNITS, _NO_CLOSE,
    ),
    Metric(
        "clv_beat_rate", "Share of purchases that beat the closing price",
        f"purchases with close > p / purchases with a closing price; {_CLOSE}",
        "ratio", "entries", f"accounting §4.4 (K25); {SEED}", "higher", 32,
        over("countIf(has_close AND close > price)", "closed_entries"), DISPLAY_MIN_UNITS, _NO_CLOSE,
    ),
    Metric(
        "clv_usd", "Gain of all purchases against the closing price", f"Σ shares·close − Σ stake, in USDC; {_CLOSE}",
        "usd", "entries", "accounting §4.4", "higher", None,
        "if(closed_entries > 0, toFloat64(close_value - closed_stake * 1000000) / 1e12, NULL)", 1, _NO_CLOSE,
    ),
    Metric(
        "clv_return", "Gain against the closing price per dollar staked", f"Σ shares·close / Σ stake − 1; {_CLOSE}",
        "ratio", "entries", "accounting §4.4 (its clv_pct)", "higher", None,
        over("(close_value - closed_stake * 1000000)", "(closed_stake * 1000000)"), DISPLAY_MIN_UNITS, _NO_CLOSE,
    ),
    _copied(51, "30s", "30 seconds"),
    _copied(52, "2m", "2 minutes"),
    _copied(53, "5m", "5 minutes"),
    Metric(
        "edge_half_life_hours", "Hours until half of the gain on the close is gone",
        "first time at which the sum of close − price then is half of what it was at the purchases, before fees;"
        f" between 0, 30 s, 2 min, 5 min, 1 h, 6 h and {HALF_LIFE_SECONDS[-1] // 3600} h a straight line, after the"
        " close nothing",
        "hours", "entries", SEED, "none", 54, _half_life(), RANK_MIN_UNITS,
        "no gain on the close, or more than half of it is left after a day",
    ),
    Metric(
        "clv_slope_30d", "Trend of the gain against the close over 30 days, per day",
        f"least-squares slope of close − p over the days of the purchases of the last {SLOPE_DAYS} days",
        "ratio", "entries", SEED, "higher", 82,
        f"if(recent_entries >= {DISPLAY_MIN_UNITS} AND recent_spread > 0, toFloat64(recent_x * recent_y"
        " - recent_entries * recent_xy) / toFloat64(recent_spread) / 1e6, NULL)",
        DISPLAY_MIN_UNITS, f"fewer than {DISPLAY_MIN_UNITS} such purchases, or all on one day",
    ),
    Metric(
        "clv_by_category", "Gain against the close per category", "JSON: category → clv_mean, six decimals, cut",
        "text", "entries", SEED, "none", 89, json_by_category(by_category(6), by_category(5)),
        DISPLAY_MIN_UNITS, _NO_CLOSE,
    ),
    Metric(
        "timing_share", "Share of the edge that the market confirmed before the outcome",
        "Σ w(close − p) / Σ w(o − p) over resolved purchases with a closing price",
        "ratio", "entries", SEED, "none", 101,
        over("(told_close - told_stake * 1000000)", "((told_worth - told_stake) * 1000000)", "told_worth > told_stake"),
        RANK_MIN_UNITS, f"{_TELLING}, or no edge",
    ),
    Metric(
        "edge_sources", "What the edge is made of",
        "JSON in USDC: timing Σ w(close − price before fees), selection Σ w(o − close), fees −Σ fee; they add up to the"
        " result of the purchases held to the resolution",
        "text", "entries", SEED, "none", 102, _sources(), DISPLAY_MIN_UNITS, _TELLING,
    ),
)  # fmt: skip
