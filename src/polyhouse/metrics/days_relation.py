"""The rows of daily series, and the aggregates that their metrics share.

A window of N days holds the last N UTC days, the newest included; a younger series begins with its first day. Days
without a row changed nothing: their result is 0, and the value and the capital of the day before stand. Days count
backwards: ``ago`` is 0 for the newest one. Sums are exact integers; each metric divides once, at the end.

What happens on a day stands for all later ones, so a sum over all days of a cumulative value is a sum over the changes:
a change ``ago`` days ago counts ago + 1 times. That needs no path; only drawdowns do.
"""

from __future__ import annotations

from polyhouse.metrics.metric import Relation
from polyhouse.metrics.series import DAYS_PER_YEAR

RECENT_DAYS = 60
_DAY_SECONDS = 86_400

RELATION = Relation(
    "days",
    "one UTC day of a wallet or of one of its categories on which something changed",
    parts={
        "days": (
            f"if(window_seconds = 0, max(first_ago) + 1, least(intDiv(window_seconds, {_DAY_SECONDS}),"
            " max(first_ago) + 1))"
        ),
        "total": "sum(toInt128(change))",
        "squares": "toInt256(sum(toInt128(change) * change))",
        "spread": "days * squares - toInt256(total) * total",
        "down_squares": "sumIf(toInt128(change) * change, change < 0)",
        "up_sum": "sumIf(toInt128(change), change > 0)",
        "down_sum": "-sumIf(toInt128(change), change < 0)",
        # Sums over all days of the cumulative result, of it times ``ago``, and of it times ``ago`` squared.
        "value_days": "toInt256(sum(toInt128(change) * (ago + 1)))",
        "value_moment": "toInt256(sum(toInt128(change) * intDiv(ago * (ago + 1), 2)))",
        "value_moment_2": "toInt256(sum(toInt128(change) * intDiv(ago * (ago + 1) * (2 * ago + 1), 6)))",
        "cubic_days": "days * (days * days - 1)",
        "peak_at_risk": "toInt128(max(at_risk_peak))",
        "risk_days": "toInt128(argMax(at_risk_before, ago)) * days + sum(toInt128(risk_change) * (ago + 1))",
        "traded": "sum(toInt128(volume))",
        "return_moment": "(days - 1) * toInt256(sum(return_e12)) - 2 * toInt256(sum(return_e12 * ago))",
        # The days of the path, the oldest first, and what each lost.
        "agos": "arrayReverseSort(groupArray(ago))",
        "path_losses": "arrayReverseSort((loss, a) -> a, groupArray(-change), groupArray(ago))",
        # The fall from the running peak, which starts at 0: a sum of the losses that never goes below 0.
        "falls": "arrayCumSumNonNegative(path_losses)",
        "spans": "arrayMap((a, next) -> a - next, agos, arrayPushBack(arrayPopFront(agos), toInt64(-1)))",
        "deepest": "toInt128(arrayMax(falls))",
        "fall_days": "arraySum(arrayMap((f, s) -> toInt128(f) * s, falls, spans))",
        "fall_square_days": "arraySum(arrayMap((f, s) -> toInt128(f) * f * s, falls, spans))",
        "days_below": "arraySum(arrayMap((f, s) -> if(f > 0, s, 0), falls, spans))",
        "days_lasting": "if(falls[-1] > 0, agos[arrayLastIndex(f -> f = 0, falls) + 1] + 1, 0)",
        "recoveries": (
            "toInt64(arrayCount((f, before) -> f = 0 AND before > 0, falls,"
            " arrayPushFront(arrayPopBack(falls), toInt64(0))))"
        ),
        # A fall stands from `ago` down to the day after the next change: the part of it inside the newest days.
        "recent": f"least(days, {RECENT_DAYS})",
        "recent_falls": (
            "arraySum(arrayMap((f, a, s) -> toInt128(f) * greatest(least(a, recent - 1) - (a - s), 0), falls, agos,"
            " spans))"
        ),
        "recent_moment": (
            "intDiv(arraySum(arrayMap((f, a, s) -> toInt128(f) * greatest("
            "least(a, recent - 1) * least(a + 1, recent) - (a - s + 1) * (a - s), 0), falls, agos, spans)), 2)"
        ),
        "ascending": "arrayReverse(arrayMap(x -> -x, arraySort(path_losses)))",
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
        "growth_percent": (
            f"100 * (pow(toFloat64(peak_at_risk + total) / toFloat64(peak_at_risk), {DAYS_PER_YEAR}. / days) - 1)"
        ),
        "ulcer": "100 * sqrt(toFloat64(fall_square_days) / days) / toFloat64(peak_at_risk)",
    },
    has_overall=True,
)
"""Columns of the rows: models/days.sql."""
