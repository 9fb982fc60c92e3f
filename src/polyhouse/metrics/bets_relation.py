"""The rows of closed bets, and the aggregates that their metrics share.

A bet is a closed unit of a wallet (accounting §3.5) into which it put something or that realised something; liquidity
provision and income are none. A bet belongs to the window in which it closed, with all it ever realised.
"""

from __future__ import annotations

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.metric import Relation
from polyhouse.metrics.ratios import FLAT_BELOW, SHRINKAGE

WEEK_SECONDS = 604_800
_STAKE_OF = "sumIf(stake, category = '{}')"

COPY_LAGS = ("30s", "2m", "5m")
"""Delays of a copier; the columns ``copied_<lag>``: results of the bets at the prices so much later."""


def _weeks(days: int) -> dict[str, str]:
    """Weeks ago and shrunk omega of the whole weeks with a bet of the last so many days; the slopes of all pairs."""
    length = days // 7
    pairs = [
        "arrayMap((newer, older, start, end) -> (newer - older) / (end - start),"
        f" arraySlice(omegas_{days}d, 1, -{step}), arraySlice(omegas_{days}d, {step + 1}),"
        f" arraySlice(weeks_{days}d, 1, -{step}), arraySlice(weeks_{days}d, {step + 1}))"
        for step in range(1, length)
    ]
    return {
        f"weeks_{days}d": f"arrayFilter(w -> w < {length}, weekly.1)",
        f"omegas_{days}d": f"arraySlice(weekly_omegas, 1, length(weeks_{days}d))",
        f"slopes_{days}d": f"arraySort(arrayConcat({', '.join(pairs)}))",
    }


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
        "staked": "toInt256(sum(stake))",
        "staked_squares": "toInt256(sum(toInt128(stake) * stake))",
        "p_hat": "(wins + 1) / (decided + 2)",
        # Sums of squares fit 128 bits and the rest 256 for a million bets of up to 100 million USDC each.
        "sum_1": "toInt256(net)",
        "sum_2": "toInt256(sum(toInt128(realized) * realized))",
        "sum_3": "sum(toInt256(toInt128(realized) * realized) * realized)",
        "sum_4": "sum(toInt256(toInt128(realized) * realized) * (toInt128(realized) * realized))",
        "spread_2": "n * sum_2 - sum_1 * sum_1",
        "spread_3": "n * n * sum_3 - 3 * n * sum_1 * sum_2 + 2 * sum_1 * sum_1 * sum_1",
        "spread_4": (
            "n * n * n * sum_4 - 4 * n * n * sum_1 * sum_3 + 6 * n * sum_1 * sum_1 * sum_2"
            " - 3 * sum_1 * sum_1 * sum_1 * sum_1"
        ),
        "staked_products": "toInt256(sum(toInt128(realized) * stake))",
        "roi_spread": (
            "sum_2 * staked * staked - 2 * sum_1 * staked * staked_products + sum_1 * sum_1 * staked_squares"
        ),
        "gain_squares": "sumIf(toInt128(realized) * realized, realized > 0)",
        "loss_squares": "sumIf(toInt128(realized) * realized, realized < 0)",
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
        "edge": "sumIf(entry_payout - entry_cost, entry_shares > 0)",
        "edge_variance": "sumIf(toInt128(entry_cost) * (entry_shares - entry_cost), entry_shares > 0)",
        "by_close": "arraySort((x, p) -> p, groupArray(realized), groupArray(close_place))",
        "half": "intDiv(n, 2)",
        "older": "arraySlice(by_close, 1, half)",
        "newer": "arraySlice(by_close, n - half + 1)",
        "signs": f"arrayMap(x -> if(x > 0, 1, -1), arrayFilter(x -> abs(x) >= {FLAT_BELOW}, by_close))",
        "streaks": "arraySplit((s, step) -> step != 0, signs, arrayDifference(signs))",
        "streak_lengths": "arrayMap(s -> toInt64(length(s)), streaks)",
        "streak_count": "toInt64(length(streaks))",
        "by_size": "arraySort(by_close)",
        "win_tail": "intDiv(wins + 9, 10)",
        "loss_tail": "intDiv(losses + 9, 10)",
        # Sum of the two middle ones of the won and of the lost bets; of an odd number the middle one twice.
        "middle_wins": "by_size[n - intDiv(wins, 2)] + by_size[n - intDiv(wins - 1, 2)]",
        "middle_losses": "by_size[intDiv(losses, 2) + 1] + by_size[intDiv(losses + 1, 2)]",
        "best_three": (
            "arraySlice(arrayPartialSort(3,"
            " arrayMap((x, s) -> (-x, -s), groupArray(realized), groupArray(stake))), 1, 3)"
        ),
        "by_category": f"[{', '.join(_STAKE_OF.format(category) for category in CATEGORIES)}]",
        "seconds_held": "toInt64(at) - opened",
        "stake_seconds": "sum(toInt128(stake) * seconds_held)",
        "span_seconds": (
            f"greatest({WEEK_SECONDS}, least(if(window_seconds = 0, toInt64(4294967295), window_seconds),"
            " toInt64({as_of:UInt32}) - min(since)))"
        ),
        "weeks": f"intDiv(span_seconds, {WEEK_SECONDS})",
        "weeks_ago": (
            f"arrayFilter(w -> w < weeks, groupArray(toUInt16(intDiv(toInt64({{as_of:UInt32}}) - at, {WEEK_SECONDS}))))"
        ),
        "in_whole_weeks": "toInt64(length(weeks_ago))",
        # Σ c² over the weeks' counts c: the r-th bet of a week adds 2r - 1.
        "week_squares": "arraySum(arrayMap(r -> 2 * toInt64(r) - 1, arrayEnumerateUniq(weeks_ago)))",
        "is_weekend": "toDayOfWeek(toDateTime(opened, 'UTC')) >= 6",
        "weekend_staked": "sumIf(stake, is_weekend)",
        "weekday_staked": "sumIf(stake, NOT is_weekend)",
        "has_lead": "resolved_at >= opened AND resolved_at > 0",
        "resolved": "countIf(has_lead)",
        "early_staked": "sumIf(stake, has_lead AND is_early)",
        "late_staked": "sumIf(stake, has_lead AND NOT is_early)",
        "stakes": "arraySort((x, p) -> p, groupArray(stake), groupArray(open_place))",
        "older_stakes": "arraySlice(stakes, 1, half)",
        "newer_stakes": "arraySlice(stakes, n - half + 1)",
        # By category: its place in the list, bets, Σ x, Σ stake · seconds, then gains and losses of copiers per delay.
        "by_place": (
            f"sumMap([indexOf({list(CATEGORIES)}, category)], [toInt64(1)], [realized],"
            " [toInt128(stake) * seconds_held], "
            + ", ".join(f"[greatest(copied_{lag}, 0)], [greatest(-copied_{lag}, 0)]" for lag in COPY_LAGS)
            + ")"
        ),
        "place_names": f"arrayMap(place -> {list(CATEGORIES)}[place], by_place.1)",
        **{f"copied_gains_{lag}": f"sumIf(copied_{lag}, copied_{lag} > 0)" for lag in COPY_LAGS},
        **{f"copied_losses_{lag}": f"-sumIf(copied_{lag}, copied_{lag} < 0)" for lag in COPY_LAGS},
        "week": f"intDiv(toInt64({{as_of:UInt32}}) - at, {WEEK_SECONDS})",
        "weekly": (
            "sumMapIf([week], [greatest(realized, 0)], [greatest(-realized, 0)], [toInt64(1)],"
            f" week >= 0 AND week < {90 // 7})"
        ),
        "weekly_omegas": (
            f"arrayMap((gained, lost) -> (gained + {SHRINKAGE}) / (lost + {SHRINKAGE}), weekly.2, weekly.3)"
        ),
        **_weeks(30),
        **_weeks(90),
    },
)
"""Columns of the rows: models/bets.sql."""
