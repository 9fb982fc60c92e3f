"""Metrics of purchases (``entries_relation``): forecasts, sizing against the odds, and what was bought."""

from __future__ import annotations

from polyhouse.metrics.catalogue_close import CLOSE
from polyhouse.metrics.entries_relation import PRIOR_ENTRIES, by_category
from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, RANK_MIN_UNITS
from polyhouse.metrics.terms import SEED, cut_to_six, json_by_category, json_object, over

NO_RESOLVED = "no purchase of an outcome that is resolved"
_ONE_PRICE = f"{NO_RESOLVED}, or all at one price"
_RESOLVED = "resolved_entries > 0"


def _by_kind() -> str:
    values = f"arrayMap((gap, w) -> {cut_to_six('gap', 'w')}, kinds.3, kinds.4)"
    return f"if(resolved_entries > 0, {json_object('kinds.1', values)}, NULL)"


FORECAST = (
    Metric(
        "brier", "Squared error of entry prices as forecasts",
        "Σ w(p−o)² / Σ w, w shares, p entry price with fee, o payout; scores the market at those instants, not the"
        " wallet",
        "ratio", "entries", f"Brier 1950; accounting §4.4 (K22); {SEED}", "lower", 25,
        f"if({_RESOLVED}, toFloat64(wpp - 2 * wpo + woo) / toFloat64(w) / 1e12, NULL)", DISPLAY_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "log_score", "Logarithmic error of entry prices as forecasts",
        "−Σ w·(o·ln p + (1−o)·ln(1−p)) / Σ w, w shares, p entry price with fee, between 0.001 and 0.999, o payout",
        "ratio", "entries", f"Good 1952; {SEED}", "lower", 26,
        f"if({_RESOLVED}, toFloat64(w_log) / toFloat64(w) / 1e9, NULL)", DISPLAY_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "calibration_slope", "Slope of outcomes over entry prices, ideal 1",
        "least-squares slope of o on p, weighted by shares", "ratio", "entries", SEED, "none", 27,
        "if(price_spread > 0, outcome_slope, NULL)", RANK_MIN_UNITS, _ONE_PRICE,
    ),
    Metric(
        "calibration_intercept", "Intercept of outcomes over entry prices, ideal 0",
        "least-squares intercept of o on p, weighted by shares", "ratio", "entries", SEED, "none", 28,
        "if(price_spread > 0, (toFloat64(wo) - outcome_slope * toFloat64(wp)) / toFloat64(w) / 1e6, NULL)",
        RANK_MIN_UNITS, _ONE_PRICE,
    ),
    Metric(
        "calibration_error", "Gap between entry prices and outcomes",
        "Σ n_b·|mean outcome − mean price| / n over ten bins of price, one per purchase",
        "ratio", "entries", f"accounting §4.4 (K23); {SEED}", "lower", 29,
        f"if({_RESOLVED}, arraySum(arrayMap(gap -> abs(gap), bin_gap)) / resolved_entries / 1e6, NULL)",
        RANK_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "calibration_by_category", "Calibration per category",
        "JSON: category → Σ n_b·|mean outcome − mean price| / n over ten bins of price, six decimals, cut",
        "text", "entries", SEED, "none", 91, json_by_category(by_category(-3), by_category(2)),
        RANK_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "edge_by_archetype", "Where the edge is, by kind of market",
        "JSON: kind → Σ w(o−p) / Σ w, six decimals, cut; single, one_of_many (a neg-risk outcome) or recurring (of a"
        " series), _short: listed for 7 days at most",
        "text", "entries", SEED, "none", 94, _by_kind(), DISPLAY_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "surprise", "What a dollar of purchases brought beyond its price",
        "Σ stake·(o − p) / Σ stake, o payout, p entry price with fee",
        "ratio", "entries", "accounting §4.5 (K28)", "higher", None,
        "if(resolved_stake > 0, toFloat64(sumIf(toInt128(cash) * (payout - price), is_resolved))"
        " / toFloat64(resolved_stake) / 1e6, NULL)", DISPLAY_MIN_UNITS, NO_RESOLVED,
    ),
)  # fmt: skip

CHOICE = (
    Metric(
        "yes_no_balance", "Purchases of the first outcome less the second",
        "100 · (stake on index 0 − stake on index 1) / stake; index 0 is Yes in Yes/No markets only",
        "percent", "entries", SEED, "none", 98,
        "toFloat64(100 * toInt128(sum(if(outcome = 0, cash, -cash)))) / toFloat64(stake_sum)",
    ),
    Metric(
        "kelly_optimal", "Part of the bankroll that the Kelly rule would stake",
        "mean over purchases of (q − c)/(1 − c): c mean price of the purchase's bin of a tenth, q its hit rate, shrunk"
        f" by {PRIOR_ENTRIES} fair purchases; below 0 = do not buy",
        "ratio", "entries", "Kelly 1956; accounting §4.4 (K20)", "none", None,
        f"if({_RESOLVED}, kelly_mean, NULL)", RANK_MIN_UNITS, NO_RESOLVED,
    ),
    Metric(
        "purchases", "Purchases before the outcome was known", "number of purchases, one per outcome and transaction",
        "count", "entries", "accounting §4.4", "none", None, "n",
    ),
    Metric(
        "entry_price", "Mean price paid, by stake", "Σ stake·p / Σ stake, p entry price with fee", "ratio", "entries",
        "accounting §4.4", "none", None, "toFloat64(sum(toInt128(cash) * price)) / toFloat64(stake_sum) / 1e6",
    ),
    Metric(
        "underdog_share", "Share of the stake on outcomes below one half", "Σ stake at p < 0.5 / Σ stake",
        "ratio", "entries", "accounting §4.5", "none", None,
        "toFloat64(sumIf(cash, price < 500000)) / toFloat64(stake_sum)",
    ),
    Metric(
        "contrarian_share", "Share of the stake bought below the price of the day before",
        "Σ stake at p below the price 24 h before / Σ stake with such a price", "ratio", "entries", "accounting §4.5",
        "none", None, over("sumIf(cash, has_reference AND price < reference)", "sumIf(cash, has_reference)"), 1,
        "no price was a day old",
    ),
    Metric(
        "earliness", "How early in the life of a market it buys, 1 = at the start",
        "Σ stake·(end − entry)/(end − start) / Σ stake, within 0 and 1; the end is the listed one or the resolution",
        "ratio", "entries", "accounting §4.5 (K26)", "none", None,
        over("sumIf(toInt128(cash) * earliness, has_life)", "(sumIf(toInt128(cash), has_life) * 1000000)"), 1,
        "no market whose start and end are known",
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = FORECAST + CHOICE + CLOSE
