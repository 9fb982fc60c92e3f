"""The rows of daily series, and the aggregates that their metrics share.

A window of N days holds the last N UTC days, the newest included; a younger series begins with its first day. Days
without a row changed nothing: their result is 0, and the value and the capital of the day before stand. Days are
counted from the window's first one, which is 0. Sums are exact integers of any size; each metric divides once.
"""

from __future__ import annotations

from polyhouse.metrics.metric import Relation
from polyhouse.metrics.series import DAYS_PER_YEAR

RECENT_DAYS = 60
_DAY_SECONDS = 86_400
_LONG_AGO = 1_000_000


def _weighted(values: str, weights: str) -> str:
    return f"arraySum(arrayMap((v, w) -> toInt256(v) * w, {values}, {weights}))"


def _sum_of_days(begin: str, length: str) -> str:
    """Σ t over ``length`` days from day ``begin``."""
    return f"{length} * {begin} + intDiv({length} * ({length} - 1), 2)"


RELATION = Relation(
    "days",
    "one UTC day of a wallet or of one of its categories on which something changed",
    parts={
        "newest_day": f"intDiv(toInt64({{as_of:UInt32}}), {_DAY_SECONDS})",
        "days": (
            f"least(if(window_seconds = 0, {_LONG_AGO}, intDiv(window_seconds, {_DAY_SECONDS})),"
            f" newest_day + 1 - intDiv(toInt64(min(first_at)), {_DAY_SECONDS}))"
        ),
        "total": "sum(toInt256(change))",
        "squares": "sum(toInt256(change) * change)",
        "spread": "days * squares - total * total",
        "down_squares": "sumIf(toInt256(change) * change, change < 0)",
        "up_sum": "sumIf(toInt256(change), change > 0)",
        "down_sum": "-sumIf(toInt256(change), change < 0)",
        "peak_at_risk": "toInt256(max(at_risk_peak))",
        "series": (
            f"arraySort(groupArray((intDiv(toInt64(at), {_DAY_SECONDS}), change, at_risk, at_risk_before,"
            " at_risk_peak)))"
        ),
        "day_numbers": "arrayMap(r -> r.1 - (newest_day + 1 - days), series)",
        "changes": "arrayMap(r -> r.2, series)",
        "spans": "arrayMap((t, next) -> next - t, day_numbers, arrayPushBack(arrayPopFront(day_numbers), days))",
        "values": "arrayCumSum(changes)",
        # The fall from the running peak, which starts at 0: a sum that never goes below 0.
        "falls": "arrayCumSumNonNegative(arrayMap(x -> -x, changes))",
        "deepest": "toInt256(arrayMax(falls))",
        "fall_days": _weighted("falls", "spans"),
        "fall_square_days": "arraySum(arrayMap((f, s) -> toInt256(f) * f * s, falls, spans))",
        "days_below": "arraySum(arrayMap((f, s) -> if(f > 0, s, 0), falls, spans))",
        "last_at_peak": "arrayLastIndex(f -> f = 0, falls)",
        "days_recovered": (
            "arraySum(arrayMap((f, s, place) -> if(f > 0 AND place < last_at_peak, s, 0), falls, spans,"
            " arrayEnumerate(falls)))"
        ),
        "recoveries": (
            "arraySum(arrayMap((f, before) -> toInt64(f = 0 AND before > 0), falls,"
            " arrayPushFront(arrayPopBack(falls), toInt64(0))))"
        ),
        "risk_days": f"{_weighted('arrayMap(r -> r.3, series)', 'spans')} + toInt256(series[1].4) * day_numbers[1]",
        "traded": "sum(toInt256(volume))",
        "ascending": "arraySort(changes)",
        "losing_days": "toInt64(countIf(change < 0))",
        "idle_days": "days - n",
        "tail_days": "intDiv(days + 19, 20)",
        "tail_edge": (
            "multiIf(tail_days <= losing_days, ascending[tail_days], tail_days <= losing_days + idle_days, 0,"
            " ascending[tail_days - idle_days])"
        ),
        "tail_sum": (
            "arraySum(arraySlice(ascending, 1, least(tail_days, losing_days)))"
            " + arraySum(arraySlice(ascending, losing_days + 1, greatest(tail_days - losing_days - idle_days, 0)))"
        ),
        "value_days": _weighted("values", "spans"),
        "value_moment": (
            f"arraySum(arrayMap((v, t, s) -> toInt256(v) * ({_sum_of_days('t', 's')}), values, day_numbers, spans))"
        ),
        "value_moment_2": (
            "arraySum(arrayMap((v, t, s) -> toInt256(v) * (s * t * t + t * s * (s - 1)"
            " + intDiv((s - 1) * s * (2 * s - 1), 6)), values, day_numbers, spans))"
        ),
        "growth_percent": (
            f"100 * (pow(toFloat64(peak_at_risk + total) / toFloat64(peak_at_risk), {DAYS_PER_YEAR}. / days) - 1)"
        ),
        "ulcer": "100 * sqrt(toFloat64(fall_square_days) / days) / toFloat64(peak_at_risk)",
        "recent": f"least(days, {RECENT_DAYS})",
        "recent_begins": "arrayMap(t -> greatest(t - (days - recent), 0), day_numbers)",
        "recent_spans": (
            "arrayMap((t, s, b) -> greatest(t + s - (days - recent) - b, 0), day_numbers, spans, recent_begins)"
        ),
        "recent_falls": _weighted("falls", "recent_spans"),
        "recent_moment": (
            f"arraySum(arrayMap((f, t, s) -> toInt256(f) * ({_sum_of_days('t', 's')}), falls, recent_begins,"
            " recent_spans))"
        ),
        "return_moment": (
            "arraySum(arrayMap((r, t) -> if(r.5 > 0, (2 * t - (days - 1)) * (toFloat64(r.2) / toFloat64(r.5)), 0.),"
            " series, day_numbers))"
        ),
        "cubic_days": "days * (days * days - 1)",
    },
    has_overall=True,
)
"""Columns of the rows: models/days.sql."""
