"""Metrics of closed bets (``bets_relation``): results, activity, concentration and habits."""

from __future__ import annotations

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.bets_relation import WEEK_SECONDS
from polyhouse.metrics.catalogue_bets_copy import METRICS as COPY
from polyhouse.metrics.catalogue_bets_shape import OWN, SHAPE
from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, RANK_MIN_UNITS
from polyhouse.metrics.terms import NO_LOSS, NO_STAKE, ONE_SIDED, SEED, UNDECIDED, USD, over


def _variation(stakes: str) -> str:
    squares = f"arraySum(arrayMap(s -> toInt128(s) * s, {stakes}))"
    total = f"toInt256(arraySum({stakes}))"
    return f"sqrt(toFloat64(half * toInt256({squares}) - {total} * {total})) / toFloat64({total})"


def _mix() -> str:
    share = "toString(toDecimal128(intDiv(toInt256(s) * 1000000, staked), 6) / 1000000)"
    pair = f"if(s > 0, concat('\"', c, '\":', {share}), '')"
    pairs = f"arrayFilter(p -> p != '', arrayMap((c, s) -> {pair}, {list(CATEGORIES)}, by_category))"
    return f"if(staked > 0, concat('{{', arrayStringConcat({pairs}, ','), '}}'), NULL)"


RETURNS = (
    Metric(
        "omega_gross", "Gains over losses before fees", "Σ max(x+fee, 0) / Σ max(−(x+fee), 0) over bets, threshold 0",
        "ratio", "bets", f"accounting §4.1; {SEED}", "higher", 1,
        over("gross_gains", "gross_losses_abs"), DISPLAY_MIN_UNITS, NO_LOSS,
    ),
    Metric(
        "omega_net", "Gains over losses after fees", "Σ max(x, 0) / Σ max(−x, 0) over bets, threshold 0",
        "ratio", "bets", f"Keating & Shadwick 2002; accounting §4.1; {SEED}", "higher", 2,
        over("gains", "losses_abs"), DISPLAY_MIN_UNITS, NO_LOSS,
    ),
    Metric(
        "gain_to_pain", "Net result per dollar lost",
        "Σ x / Σ max(−x, 0) over bets (Schwager; = omega_net − 1; the seed's list takes it for omega itself)",
        "ratio", "bets", f"Schwager 2012; {SEED}", "higher", 3,
        over("net", "losses_abs"), DISPLAY_MIN_UNITS, NO_LOSS,
    ),
    Metric(
        "profit_factor", "What was won per dollar lost, flat bets left out",
        "Σ x of won bets / |Σ x| of lost bets (a cent at least); nearly omega_net",
        "ratio", "bets", f"accounting §4.1; {SEED}", "higher", 4,
        over("won", "lost_abs"), DISPLAY_MIN_UNITS, NO_LOSS,
    ),
    Metric(
        "net_pnl", "What the closed bets came to, after fees", "Σ x over bets, in USDC",
        "usd", "bets", f"accounting §3.5; {SEED}", "higher", 9, f"net / {USD}",
    ),
    Metric(
        "win_rate", "Share of won bets (the list's hit rate)",
        "wins / (wins + losses); a bet within a cent of zero is neither",
        "ratio", "bets", f"accounting §4.2; {SEED}", "higher", 12,
        over("wins", "decided"), DISPLAY_MIN_UNITS, UNDECIDED,
    ),
    Metric(
        "avg_win", "Mean result of won bets", "Σ x / wins over won bets, in USDC",
        "usd", "bets", SEED, "higher", 13, f"if(wins > 0, won / wins / {USD}, NULL)", 1, "no won bet",
    ),
    Metric(
        "avg_loss", "Mean result of lost bets, negative", "Σ x / losses over lost bets, in USDC",
        "usd", "bets", SEED, "higher", 14, f"if(losses > 0, -lost_abs / losses / {USD}, NULL)", 1, "no lost bet",
    ),
    Metric(
        "ev_per_bet_mean", "Expected result of a bet, from mean win and mean loss",
        "p·mean win − (1−p)·|mean loss| in USDC, p = (wins+1)/(wins+losses+2)",
        "usd", "bets", f"{SEED}; p by Laplace's rule", "higher", 15,
        f"if(wins > 0 AND losses > 0, (p_hat * won / wins - (1 - p_hat) * lost_abs / losses) / {USD}, NULL)",
        DISPLAY_MIN_UNITS, ONE_SIDED,
    ),
    Metric(
        "ev_per_bet_median", "Expected result of a bet, from median win and median loss",
        "p·median win − (1−p)·|median loss| in USDC, p = (wins+1)/(wins+losses+2)",
        "usd", "bets", "seed_systems.md §§2.1, 2.2; p by Laplace's rule", "higher", 16,
        f"if(wins > 0 AND losses > 0, (p_hat * middle_wins + (1 - p_hat) * middle_losses) / 2 / {USD}, NULL)",
        DISPLAY_MIN_UNITS, ONE_SIDED,
    ),
)  # fmt: skip

ACTIVITY = (
    Metric(
        "resolved_bets", "Closed bets", "number of bets: settled by the resolution or sold out",
        "count", "bets", SEED, "none", 22, "n",
    ),
    Metric(
        "track_record_days", "Days from the first opening to the last close among the bets",
        "(max close − min opening) / 86,400; may exceed the window, which bets enter by their close",
        "days", "bets", SEED, "none", 23, "(toInt64(max(at)) - min(opened)) / 86400",
    ),
    Metric(
        "bets_per_week", "Bets closed per week of the window",
        "bets · 7 d / span; span = the window, or the time since the wallet's first bet if shorter; a week at least",
        "per_week", "bets", SEED, "none", 24, f"n * {WEEK_SECONDS} / span_seconds",
    ),
    Metric(
        "hours_held_mean", "Mean hours from opening a bet to its close",
        "mean of close − first event of the unit, in hours; a pause while nothing was held counts",
        "hours", "bets", SEED, "none", 39, "sum(seconds_held) / n / 3600",
    ),
    Metric(
        "hours_held_median", "Median hours from opening a bet to its close",
        "median of close − first event of the unit, in hours (mean of the two middle ones)",
        "hours", "bets", SEED, "none", 40, "quantileExactInclusive(0.5)(seconds_held) / 3600",
    ),
    Metric(
        "category_mix", "Share of the stake by category",
        "JSON: category → its stake / all stakes, six decimals floored; none for categories without a stake",
        "text", "bets", SEED, "none", 41, _mix(), 1, NO_STAKE,
    ),
    Metric(
        "category_hhi", "Concentration of the stake over categories", "Σ s² / (Σ s)² over categories; 1 = all in one",
        "ratio", "bets", f"accounting §4.5; {SEED}", "none", 42,
        over("arraySum(arrayMap(s -> toInt128(s) * s, by_category))", "(staked * staked)"), 1, NO_STAKE,
    ),
    Metric(
        "market_hhi", "Concentration of the stake over bets", "Σ s² / (Σ s)² over bets; 1 = all in one",
        "ratio", "bets", f"accounting §4.5 (K27); {SEED}", "none", 43,
        over("staked_squares", "(staked * staked)"), 1, NO_STAKE,
    ),
    Metric(
        "weekday_weekend_roi_gap", "Return of bets opened Monday to Friday less that of bets opened at weekends",
        "Σ x / Σ stake on weekdays − the same on Saturday and Sunday (UTC, by opening)",
        "ratio", "bets", SEED, "none", 78,
        "if(weekday_staked > 0 AND weekend_staked > 0, sumIf(realized, NOT is_weekend) / weekday_staked"
        " - sumIf(realized, is_weekend) / weekend_staked, NULL)",
        RANK_MIN_UNITS, "nothing staked on weekdays, or nothing at weekends",
    ),
    Metric(
        "days_to_resolution", "Mean days from opening a bet to the resolution",
        "mean of last resolution among the unit's conditions − opening, over bets all of whose conditions resolved",
        "days", "bets", SEED, "none", 80,
        over("sumIf(toInt64(resolved_at) - opened, has_lead)", "(resolved * 86400)"), 1, "nothing is resolved",
    ),
    Metric(
        "early_late_roi_gap", "Return of the bets opened longest before the resolution less that of the others",
        "Σ x / Σ stake of bets whose lead to the resolution is the wallet's median lead or more, − the others'",
        "ratio", "bets", SEED, "none", 81,
        "if(early_staked > 0 AND late_staked > 0, sumIf(realized, has_lead AND is_early) / early_staked"
        " - sumIf(realized, has_lead AND NOT is_early) / late_staked, NULL)",
        RANK_MIN_UNITS, "nothing staked early, or nothing late",
    ),
    Metric(
        "bets_per_week_variance", "How unsteady the number of bets per week is",
        "sample variance of bets closed per whole week, counted back from the end of the window; empty weeks are 0",
        "ratio", "bets", SEED, "lower", 87,
        "if(weeks >= 4, (weeks * week_squares - in_whole_weeks * in_whole_weeks) / (weeks * (weeks - 1)), NULL)",
        1, "less than four weeks of history",
    ),
    Metric(
        "sizing_discipline_trend", "Whether stakes became more even: newer half against older half",
        "sd/mean of the stakes of the newer half − the same of the older half, by opening; negative = more even",
        "ratio", "bets", SEED, "lower", 88,
        f"if(arraySum(older_stakes) > 0 AND arraySum(newer_stakes) > 0,"
        f" {_variation('newer_stakes')} - {_variation('older_stakes')}, NULL)",
        RANK_MIN_UNITS, NO_STAKE,
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = RETURNS + ACTIVITY + SHAPE + OWN + COPY
