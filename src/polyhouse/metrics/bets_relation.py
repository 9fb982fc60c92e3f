"""The rows of closed bets, and the aggregates that their metrics share.

A bet is a closed unit of a wallet (accounting §3.5) into which it put something or that realised something; liquidity
provision and income are none. A bet belongs to the window in which it closed, with all it ever realised.
"""

from __future__ import annotations

from polyhouse.metrics.metric import Relation
from polyhouse.metrics.ratios import FLAT_BELOW

WEEK_SECONDS = 604_800

RELATION = Relation(
    "bets",
    "one closed unit of a wallet: a condition, or a neg-risk market in which the wallet converted",
    parts={
        "net": "sum(realized)",
        "gains": "sumIf(realized, realized > 0)",
        "losses_abs": "-sumIf(realized, realized < 0)",
        "wins": f"toInt64(countIf(realized >= {FLAT_BELOW}))",
        "losses": f"toInt64(countIf(realized <= -{FLAT_BELOW}))",
        "decided": "wins + losses",
        "won": f"sumIf(realized, realized >= {FLAT_BELOW})",
        "lost_abs": f"-sumIf(realized, realized <= -{FLAT_BELOW})",
        "fees_paid": "sum(fees)",
        "gross": "net + fees_paid",
        "gross_gains": "sumIf(realized + fees, realized + fees > 0)",
        "gross_losses_abs": "-sumIf(realized + fees, realized + fees < 0)",
        "staked": "sum(toInt256(stake))",
        "staked_squares": "sum(toInt256(stake) * stake)",
        "p_hat": "(wins + 1) / (decided + 2)",
        "median_win": f"quantileExactInclusiveIf(0.5)(realized, realized >= {FLAT_BELOW})",
        "median_loss_abs": f"-quantileExactInclusiveIf(0.5)(realized, realized <= -{FLAT_BELOW})",
        # power sums: exact up to a million bets of up to 100 million USDC
        "sum_1": "sum(toInt256(realized))",
        "sum_2": "sum(toInt256(realized) * realized)",
        "sum_3": "sum(toInt256(realized) * realized * realized)",
        "sum_4": "sum(toInt256(realized) * realized * realized * realized)",
        "spread_2": "n * sum_2 - sum_1 * sum_1",
        "spread_3": "n * n * sum_3 - 3 * n * sum_1 * sum_2 + 2 * sum_1 * sum_1 * sum_1",
        "spread_4": (
            "n * n * n * sum_4 - 4 * n * n * sum_1 * sum_3 + 6 * n * sum_1 * sum_1 * sum_2"
            " - 3 * sum_1 * sum_1 * sum_1 * sum_1"
        ),
        "staked_products": "sum(toInt256(realized) * stake)",
        "roi_spread": (
            "sum_2 * staked * staked - 2 * sum_1 * staked * staked_products + sum_1 * sum_1 * staked_squares"
        ),
        "gain_squares": "sumIf(toInt256(realized) * realized, realized > 0)",
        "loss_squares": "sumIf(toInt256(realized) * realized, realized < 0)",
        "wilson_middle": "wins / decided + 1.96 * 1.96 / (2 * decided)",
        "wilson_spread": (
            "1.96 * sqrt(wins * losses / (toFloat64(decided) * decided * decided)"
            " + 1.96 * 1.96 / (4. * decided * decided))"
        ),
        "wilson_scale": "1 + 1.96 * 1.96 / decided",
        "omega_error": (
            "1.96 * sqrt(n / (n - 1) * (toFloat64(gain_squares) / (toFloat64(gains) * gains)"
            " + toFloat64(loss_squares) / (toFloat64(losses_abs) * losses_abs)))"
        ),
        "roi_error": "1.96 * sqrt(n / (n - 1) * toFloat64(roi_spread)) / toFloat64(staked * staked)",
        "priced": "countIf(entry_shares > 0)",
        "edge": "sumIf(toInt256(entry_payout) - entry_cost, entry_shares > 0)",
        "edge_variance": "sumIf(toInt256(entry_cost) * (entry_shares - entry_cost), entry_shares > 0)",
        "by_close": "arraySort((x, p) -> p, groupArray(realized), groupArray(close_place))",
        "half": "intDiv(n, 2)",
        "older": "arraySlice(by_close, 1, half)",
        "newer": "arraySlice(by_close, n - half + 1)",
        "signs": f"arrayMap(x -> if(x > 0, 1, -1), arrayFilter(x -> abs(x) >= {FLAT_BELOW}, by_close))",
        "streaks": "arraySplit((s, step) -> step != 0, signs, arrayDifference(signs))",
        "streak_lengths": "arrayMap(s -> toInt64(length(s)), streaks)",
        "streak_count": "toInt64(length(streaks))",
        "winning": f"arraySort(groupArrayIf(realized, realized >= {FLAT_BELOW}))",
        "losing": f"arraySort(groupArrayIf(realized, realized <= -{FLAT_BELOW}))",
        "win_tail": "intDiv(wins + 9, 10)",
        "loss_tail": "intDiv(losses + 9, 10)",
        "best_three": "arraySlice(arrayReverseSort(groupArray((realized, stake))), 1, 3)",
        "by_category": "sumMap([toString(category)], [toInt256(stake)])",
        "seconds_held": "toInt64(at) - opened",
        "stake_seconds": "sum(toInt256(stake) * seconds_held)",
        "span_seconds": (
            f"greatest({WEEK_SECONDS}, least(if(window_seconds = 0, toInt64(4294967295), window_seconds),"
            " toInt64({as_of:UInt32}) - min(since)))"
        ),
        "weeks": f"intDiv(span_seconds, {WEEK_SECONDS})",
        "week_counts": f"sumMap([toInt64(intDiv(toInt64({{as_of:UInt32}}) - at, {WEEK_SECONDS}))], [toInt64(1)])",
        "in_whole_weeks": "arrayFilter((c, w) -> w < weeks, week_counts.2, week_counts.1)",
        "is_weekend": "toDayOfWeek(toDateTime(opened, 'UTC')) >= 6",
        "weekend_staked": "sumIf(toInt256(stake), is_weekend)",
        "weekday_staked": "sumIf(toInt256(stake), NOT is_weekend)",
        "has_lead": "resolved_at >= opened AND resolved_at > 0",
        "resolved": "countIf(has_lead)",
        "leads": "groupArrayIf((toInt64(resolved_at) - opened, realized, stake), has_lead)",
        "middle_lead": "arraySort(arrayMap(b -> b.1, leads))[intDiv(length(leads), 2) + 1]",
        "early": "arrayFilter(b -> b.1 >= middle_lead, leads)",
        "late": "arrayFilter(b -> b.1 < middle_lead, leads)",
        "early_staked": "arraySum(arrayMap(b -> toInt256(b.3), early))",
        "late_staked": "arraySum(arrayMap(b -> toInt256(b.3), late))",
        "stakes": "arraySort((x, p) -> p, groupArray(toInt256(stake)), groupArray(open_place))",
        "older_stakes": "arraySlice(stakes, 1, half)",
        "newer_stakes": "arraySlice(stakes, n - half + 1)",
    },
)
"""Columns of the rows: models/bets.sql."""
