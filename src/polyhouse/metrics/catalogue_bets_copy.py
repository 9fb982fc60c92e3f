"""Metrics of closed bets (``bets_relation``): what copying them late would have brought, weekly trends, categories."""

from __future__ import annotations

from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS
from polyhouse.metrics.terms import NO_LOSS, SEED, USD, cut_to_six, json_object, over

_LAGS = {"30s": "30 seconds", "2m": "2 minutes", "5m": "5 minutes"}
_COPY = (
    "omega of the bets with every purchase and sale at the last price {} after it, at the same fees; a trade of which"
    " nothing is known so late keeps its price, after the resolution the payout counts"
)
_WEEKS = 3
"""Weeks with bets that a trend needs."""


def _copied(number: int, lag: str) -> Metric:
    return Metric(
        f"omega_copy_{lag}", f"Omega of somebody who copies {_LAGS[lag]} later", _COPY.format(_LAGS[lag]),
        "ratio", "bets", SEED, "higher", number,
        over(f"copied_gains_{lag}", f"copied_losses_{lag}"), DISPLAY_MIN_UNITS, NO_LOSS,
    )  # fmt: skip


def _copies_by_category() -> str:
    values = [
        f"arrayMap((g, l) -> if(l > 0, {cut_to_six('g', 'greatest(l, 1)')}, 'null'), by_place.{gains},"
        f" by_place.{gains + 1})"
        for gains in (5, 7, 9)
    ]
    lists = f"arrayMap((a, b, c) -> concat('[', a, ',', b, ',', c, ']'), {', '.join(values)})"
    return json_object("place_names", lists)


def _hours_by_category() -> str:
    value = cut_to_six("x * 3600", "if(s = 0, 1, s)")
    return json_object("place_names", f"arrayMap((x, s) -> if(s = 0, 'null', {value}), by_place.3, by_place.4)")


def _omega_slope(number: int, days: int) -> Metric:
    inside = f"(window_seconds = 0 OR window_seconds >= {days * 86_400})"
    return Metric(
        f"omega_slope_{days}d", f"Trend of omega over {days} days, per week",
        f"Theil–Sen slope (median over all pairs) of the shrunk omega of each of the last {days // 7} whole weeks with"
        f" a bet, counted back from the end of the window; at least {_WEEKS} such weeks",
        "per_week", "bets", f"Sen 1968; {SEED}", "higher", number,
        f"if({inside} AND length(weeks_{days}d) >= {_WEEKS},"
        f" arraySum(arraySlice(slopes_{days}d, intDiv(length(slopes_{days}d) + 1, 2), 2 - length(slopes_{days}d) % 2))"
        f" / (2 - length(slopes_{days}d) % 2), NULL)",
        DISPLAY_MIN_UNITS, f"bets in fewer than {_WEEKS} of these weeks, or a window of fewer than {days} days",
    )  # fmt: skip


COPIES = (
    *(_copied(number, lag) for number, lag in zip((48, 49, 50), _LAGS, strict=True)),
    Metric(
        "latency_penalty", "What five minutes cost a copier", "1 − omega_copy_5m / omega_net",
        "ratio", "bets", SEED, "lower", 55,
        "if(gains > 0 AND losses_abs > 0 AND copied_losses_5m > 0,"
        " 1 - toFloat64(copied_gains_5m) / toFloat64(copied_losses_5m) / (toFloat64(gains) / toFloat64(losses_abs)),"
        " NULL)",
        DISPLAY_MIN_UNITS, "no won bet, or no losing bet",
    ),
    Metric(
        "lag_omega_by_category", "Omega of copiers per category",
        "JSON: category → [omega_copy_30s, omega_copy_2m, omega_copy_5m], six decimals, cut; null without a losing bet",
        "text", "bets", SEED, "none", 90, _copies_by_category(), DISPLAY_MIN_UNITS,
    ),
    Metric(
        "return_per_hour_by_category", "Result per dollar and hour per category",
        "JSON: category → Σ x / Σ stake · hours held, six decimals, cut; null where nothing was staked",
        "text", "bets", SEED, "none", 92, _hours_by_category(), DISPLAY_MIN_UNITS,
    ),
)  # fmt: skip

TRENDS = (_omega_slope(56, 30), _omega_slope(57, 90))

STAKES = (
    Metric(
        "stake_mean", "Mean stake of a bet",
        "Σ stake / bets, in USDC; the stake is what was put in, fees and splits included",
        "usd", "bets", SEED, "none", None, f"toFloat64(staked) / n / {USD}",
    ),
    Metric(
        "stake_sd", "How uneven stakes are, in USDC", "sample standard deviation of the stakes",
        "usd", "bets", SEED, "lower", None,
        f"if(n > 1, sqrt(toFloat64(n * staked_squares - staked * staked) / (n * (n - 1))) / {USD}, NULL)", 1,
        "a single bet",
    ),
    Metric(
        "stake_max", "Largest stake", "max stake, in USDC",
        "usd", "bets", SEED, "none", None, f"max(stake) / {USD}",
    ),
    Metric(
        "stake_min", "Smallest stake", "min stake, in USDC",
        "usd", "bets", SEED, "none", None, f"min(stake) / {USD}",
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = COPIES + TRENDS + STAKES
