"""Metrics that are made of other metrics of the same wallet, category and window: stakes against the bankroll."""

from __future__ import annotations

from polyhouse.metrics.metric import Direction, Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, RANK_MIN_UNITS
from polyhouse.metrics.terms import SEED

_BANKROLL = "bankroll = peak capital at risk in the window; bets count in the window in which they closed"
_NO_BANKROLL = "nothing was at risk"


def _percent(number: int, name: str, meaning: str, formula: str, direction: Direction, empty: str = "") -> Metric:
    sql = f"if(bankroll > 0, 100 * stake_{name} / bankroll, NULL)"
    return Metric(
        f"stake_percent_{name}", meaning, f"{formula} of 100 · stake / bankroll; {_BANKROLL}", "percent", "bets", SEED,
        direction, number, sql, 1, _NO_BANKROLL + empty, of_metrics=True,
    )  # fmt: skip


METRICS: tuple[Metric, ...] = (
    _percent(44, "sd", "How uneven stakes are", "sample standard deviation", "lower", ", or a single bet"),
    _percent(45, "mean", "Mean stake in percent of the bankroll", "mean", "none"),
    _percent(46, "max", "Largest stake in percent of the bankroll", "max", "lower"),
    _percent(47, "min", "Smallest stake in percent of the bankroll", "min", "none"),
    Metric(
        "kelly_ratio", "Stakes compared with the Kelly fraction, 1 = as the rule says",
        f"(stake_mean / bankroll) / kelly_optimal; {_BANKROLL}", "ratio", "bets",
        f"Kelly 1956; accounting §4.4; {SEED}", "none", 63,
        "if(bankroll > 0 AND kelly_optimal > 0, stake_mean / bankroll / kelly_optimal, NULL)",
        RANK_MIN_UNITS, f"{_NO_BANKROLL}, or the rule would not bet",
        of_metrics=True,
    ),
    Metric(
        "risk_of_ruin", "Chance to lose the bankroll at this size and edge",
        f"((1−a)/(1+a))^(bankroll / mean stake), a = roi; 1 where a ≤ 0, 0 where a ≥ 1; {_BANKROLL}", "ratio", "bets",
        f"gambler's ruin, Feller 1968; {SEED}", "lower", 64,
        "multiIf(bankroll IS NULL OR stake_mean IS NULL OR roi IS NULL, NULL, bankroll <= 0 OR stake_mean <= 0, NULL,"
        " roi <= 0, 1, roi >= 1, 0, pow((1 - roi) / (1 + roi), bankroll / stake_mean))",
        DISPLAY_MIN_UNITS, f"{_NO_BANKROLL}, or nothing was staked", of_metrics=True,
    ),
)  # fmt: skip
"""``sql`` is an expression over metrics; the sample is that of the relation."""
