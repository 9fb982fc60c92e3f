"""Metrics of closed bets (``bets_relation``): shape of the results, costs, streaks, and our own with their bounds."""

from __future__ import annotations

from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, FLAT_BELOW, RANK_MIN_UNITS, SHRINKAGE
from polyhouse.metrics.terms import NO_STAKE, ONE_SIDED, SEED, UNDECIDED, USD, over


def _half_omega(half: str) -> tuple[str, str]:
    """Gains and losses of one half, each with the shrinkage."""
    return (
        f"toInt256(arraySum(arrayMap(x -> greatest(x, 0), {half})) + {SHRINKAGE})",
        f"toInt256({SHRINKAGE} - arraySum(arrayMap(x -> least(x, 0), {half})))",
    )


def _trend() -> str:
    (new_gains, new_losses), (old_gains, old_losses) = _half_omega("newer"), _half_omega("older")
    new, old = f"10 * {new_gains} * {old_losses}", f"{old_gains} * {new_losses}"
    return f"multiIf({new} > 11 * {old}, 'improving', {new} < 9 * {old}, 'declining', 'stable')"


SHAPE = (
    Metric(
        "tail_ratio", "Size of the largest wins against the largest losses",
        "mean of the top tenth of wins / mean of the worst tenth of losses (tenths rounded up)",
        "ratio", "bets", SEED, "higher", 60,
        "if(wins > 0 AND losses > 0, (arraySum(arraySlice(by_size, -win_tail)) / win_tail)"
        " / (-arraySum(arraySlice(by_size, 1, loss_tail)) / loss_tail), NULL)",
        RANK_MIN_UNITS, ONE_SIDED,
    ),
    Metric(
        "skewness", "Lean of the results: above 0 = rare large wins", "m3 / m2^1.5 of the results, population moments",
        "ratio", "bets", SEED, "none", 61,
        "if(spread_2 > 0, toFloat64(spread_3) / (toFloat64(spread_2) * sqrt(toFloat64(spread_2))), NULL)",
        RANK_MIN_UNITS, "all results are equal",
    ),
    Metric(
        "kurtosis", "Weight of the extremes, 0 = as a normal distribution",
        "m4 / m2² − 3 of the results, population moments",
        "ratio", "bets", SEED, "none", 62,
        "if(spread_2 > 0, toFloat64(spread_4) / (toFloat64(spread_2) * toFloat64(spread_2)) - 3, NULL)",
        RANK_MIN_UNITS, "all results are equal",
    ),
    Metric(
        "return_per_dollar_hour", "Result per dollar staked and hour held",
        "Σ x / Σ stake · hours held; realised results stand for the EV of the seed's list",
        "per_hour", "bets", SEED, "higher", 69, over("net * 3600", "stake_seconds"), DISPLAY_MIN_UNITS, NO_STAKE,
    ),
    Metric(
        "net_to_gross", "What fees left of the result", "Σ x / Σ (x + fee)",
        "ratio", "bets", SEED, "higher", 70, over("net", "gross", "gross > 0"), 1, "no profit before fees",
    ),
    Metric(
        "fee_per_bet", "Mean fee of a bet", "Σ fee / bets, in USDC",
        "usd", "bets", SEED, "lower", 71, f"fees_paid / n / {USD}",
    ),
    Metric(
        "fees_to_gross_wins", "Fees as a share of what won bets brought before fees",
        "Σ fee / Σ max(x + fee, 0), fees of all bets",
        "ratio", "bets", SEED, "lower", 72, over("fees_paid", "gross_gains"), 1, "no gain before fees",
    ),
    Metric(
        "longest_win_streak", "Most won bets in a row", "longest run of wins by close; flat bets are skipped",
        "count", "bets", SEED, "higher", 74,
        "arrayMax(arrayConcat([toInt64(0)], arrayMap((s, l) -> if(s[1] > 0, l, 0), streaks, streak_lengths)))",
    ),
    Metric(
        "longest_loss_streak", "Most lost bets in a row", "longest run of losses by close; flat bets are skipped",
        "count", "bets", SEED, "lower", 75,
        "arrayMax(arrayConcat([toInt64(0)], arrayMap((s, l) -> if(s[1] < 0, l, 0), streaks, streak_lengths)))",
    ),
    Metric(
        "current_streak", "Length of the run that lasts, negative for losses",
        "length of the last run by close with the sign of its results; flat bets are skipped; 0 without a decided bet",
        "count", "bets", SEED, "higher", 76, "if(decided > 0, streak_lengths[-1] * streaks[-1][1], 0)",
    ),
    Metric(
        "streak_length_sd", "How unequal the runs of wins and losses are",
        "sample standard deviation of the lengths of all runs by close",
        "count", "bets", SEED, "none", 77,
        "if(streak_count > 1, sqrt((streak_count * arraySum(arrayMap(l -> l * l, streak_lengths)) - decided * decided)"
        " / (streak_count * (streak_count - 1))), NULL)",
        1, "fewer than two runs",
    ),
    Metric(
        "trend", "Whether the newer half of the bets went better than the older half",
        "shrunk omega of the newer half / of the older half by close: improving > 1.1, declining < 0.9, else stable",
        "text", "bets", "seed_systems.md §§1.1, 2.1", "none", 85, _trend(), RANK_MIN_UNITS,
    ),
    Metric(
        "hot_hand_z", "Whether wins and losses come in clusters, in standard deviations",
        "(expected runs − runs) / sd of the runs test (Wald & Wolfowitz); positive = streakier than chance",
        "z", "bets", f"Wald & Wolfowitz 1940; {SEED}", "none", 86,
        "if(2 * wins * losses > decided, (2. * wins * losses / decided + 1 - streak_count)"
        " / sqrt(2. * wins * losses * (2. * wins * losses - decided) / (toFloat64(decided) * decided * (decided - 1))),"
        " NULL)",
        RANK_MIN_UNITS, ONE_SIDED,
    ),
)  # fmt: skip

OWN = (
    Metric(
        "omega_shrunk", "Omega that few bets cannot push far from 1: what rankings use",
        "(G + 50 $) / (L + 50 $) with the gains and losses of omega_net",
        "ratio", "bets", "accounting §4.1", "higher", None,
        f"toFloat64(gains + {SHRINKAGE}) / toFloat64(losses_abs + {SHRINKAGE})",
    ),
    Metric(
        "omega_low", "Lower 95 % bound of omega",
        "omega · exp(−1.96·e), e² = n/(n−1) · (Σg²/G² + Σl²/L²): the limit of the bootstrap (infinitesimal jackknife)",
        "ratio", "bets", "Efron & Tibshirani 1993; accounting §4.1", "higher", None,
        "if(gains > 0 AND losses_abs > 0, gains / losses_abs * exp(-omega_error), NULL)", RANK_MIN_UNITS, ONE_SIDED,
    ),
    Metric(
        "omega_high", "Upper 95 % bound of omega", "omega · exp(+1.96·e), e as for omega_low",
        "ratio", "bets", "Efron & Tibshirani 1993; accounting §4.1", "higher", None,
        "if(gains > 0 AND losses_abs > 0, gains / losses_abs * exp(omega_error), NULL)", RANK_MIN_UNITS, ONE_SIDED,
    ),
    Metric(
        "roi", "Result of the closed bets per dollar put in", "Σ x / Σ stake; the stake includes fees and splits",
        "ratio", "bets", "accounting §4.3 (K14)", "higher", None, over("net", "staked"), 1, NO_STAKE,
    ),
    Metric(
        "roi_low", "Lower 95 % bound of the return",
        "roi − 1.96·e, e² = n/(n−1) · Σ(x − roi·stake)² / (Σ stake)²: the limit of the bootstrap",
        "ratio", "bets", "Efron & Tibshirani 1993; accounting §4.3", "higher", None,
        "if(staked > 0, toFloat64(net) / toFloat64(staked) - roi_error, NULL)", RANK_MIN_UNITS, NO_STAKE,
    ),
    Metric(
        "roi_high", "Upper 95 % bound of the return", "roi + 1.96·e, e as for roi_low",
        "ratio", "bets", "Efron & Tibshirani 1993; accounting §4.3", "higher", None,
        "if(staked > 0, toFloat64(net) / toFloat64(staked) + roi_error, NULL)", RANK_MIN_UNITS, NO_STAKE,
    ),
    Metric(
        "roi_without_best_3", "Return without the three best bets",
        "Σ x / Σ stake without the three bets of the largest results (of equal ones, the larger stakes)",
        "ratio", "bets", "seed_systems.md §2.2", "higher", None,
        over("(net + arraySum(arrayMap(b -> b.1, best_three)))", "(staked + arraySum(arrayMap(b -> b.2, best_three)))"),
        DISPLAY_MIN_UNITS, NO_STAKE,
    ),
    Metric(
        "one_hit_share", "Share of the result that the best bet made", "max x / Σ x; above 1 = a loss without it",
        "ratio", "bets", "accounting §4.5", "lower", None, over("max(realized)", "net", "net > 0"), 1, "no net profit",
    ),
    Metric(
        "stake_median", "Median stake of a bet",
        "median of the stakes of all bets, in USDC (mean of the two middle ones)",
        "usd", "bets", "seed_systems.md §2.2", "none", None, f"quantileExactInclusive(0.5)(stake) / {USD}",
    ),
    Metric(
        "win_rate_low", "Lower 95 % bound of the win rate", "Wilson interval of win_rate, z = 1.96",
        "ratio", "bets", "Wilson 1927; accounting §4.2 (K12, K13)", "higher", None,
        "if(decided > 0, greatest((wilson_middle - wilson_spread) / wilson_scale, 0), NULL)", 1, UNDECIDED,
    ),
    Metric(
        "win_rate_high", "Upper 95 % bound of the win rate", "Wilson interval of win_rate, z = 1.96",
        "ratio", "bets", "Wilson 1927; accounting §4.2", "higher", None,
        "if(decided > 0, least((wilson_middle + wilson_spread) / wilson_scale, 1), NULL)", 1, UNDECIDED,
    ),
    Metric(
        "win_rate_by_stake", "Share of the stake that was on won bets", "Σ stake of won bets / Σ stake",
        "ratio", "bets", "accounting §4.2", "higher", None,
        over(f"sumIf(stake, realized >= {FLAT_BELOW})", "staked"), DISPLAY_MIN_UNITS, NO_STAKE,
    ),
    Metric(
        "hit_rate", "How often the side held at the resolution was right",
        "Σ payout of a share / number of outcomes held at their resolution (a fraction counts as it paid)",
        "ratio", "bets", "accounting §4.2", "higher", None,
        over("sum(held_payout_e9)", "(sum(toInt64(held_sides)) * 1000000000)"), DISPLAY_MIN_UNITS,
        "nothing was held at a resolution",
    ),
    Metric(
        "expectancy", "Mean result of a bet", "Σ x / bets, in USDC",
        "usd", "bets", "accounting §4.1", "higher", None, f"net / n / {USD}",
    ),
    Metric(
        "entry_edge", "What the purchases were worth at the resolution beyond their price",
        "Σ (shares·payout − cost) in USDC over bets on a single outcome, opened before it resolved at a price below 1",
        "usd", "bets", "accounting §4.4 (K24)", "higher", None,
        f"if(priced > 0, toFloat64(edge) / {USD}, NULL)", DISPLAY_MIN_UNITS, "no bet on a single resolved outcome",
    ),
    Metric(
        "luck_z", "How far chance at the prices paid explains the result, in standard deviations",
        "Σ w(o−p) / sqrt(Σ w²p(1−p)) over the bets of entry_edge: w shares, p mean entry price, o payout of a share",
        "z", "bets", "accounting §4.4 (K24)", "higher", None,
        f"if(priced >= {DISPLAY_MIN_UNITS}, toFloat64(edge) / sqrt(toFloat64(edge_variance)), NULL)",
        DISPLAY_MIN_UNITS, "fewer than 10 bets on a single resolved outcome",
    ),
)  # fmt: skip
