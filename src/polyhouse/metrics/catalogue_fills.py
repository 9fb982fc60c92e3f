"""Metrics of trades (``fills_relation``): roles, costs of trading, impact, and times."""

from __future__ import annotations

from polyhouse.metrics.metric import Metric
from polyhouse.metrics.ratios import DISPLAY_MIN_UNITS, RANK_MIN_UNITS
from polyhouse.metrics.terms import SEED, USD, over

_NO_ROLE = "no trade whose role is known"
_NO_PRICE = "no trade as taker with a price within the hour before it"

ROLES = (
    Metric(
        "maker_share", "Share of fills as maker",
        "maker fills / (maker + taker fills); fills of unknown role do not count",
        "ratio", "fills", SEED, "none", 33, over("maker_fills", "(maker_fills + taker_fills)"), DISPLAY_MIN_UNITS,
        _NO_ROLE,
    ),
    Metric(
        "maker_taker_volume", "Volume as maker per volume as taker", "Σ volume as maker / Σ volume as taker",
        "ratio", "fills", SEED, "none", 34, over("maker_volume", "taker_volume"), DISPLAY_MIN_UNITS,
        "no volume as taker",
    ),
)  # fmt: skip

COSTS = (
    Metric(
        "slippage_per_bet", "What taking cost beyond the last price, per outcome traded",
        "Σ shares·(price before fees − last price of the hour before)·side over trades as taker / outcomes so traded,"
        " in USDC; the last price stands for the mid of a book that nobody publishes",
        "usd", "fills", f"Perold 1988; {SEED}", "lower", 73,
        f"if(slipped_outcomes > 0, toFloat64(slipped) / slipped_outcomes / 1e6 / {USD}, NULL)", DISPLAY_MIN_UNITS,
        _NO_PRICE,
    ),
    Metric(
        "adverse_selection", "How far prices run against its resting orders",
        "mean of (price before fees − price 5 minutes later)·side over trades as maker; the last price until then"
        " stands for the mid, after the resolution the payout",
        "ratio", "fills", f"Huang & Stoll 1996; {SEED}", "lower", 96,
        over("sumIf((quote - after_5m) * side, is_exposed)", "(exposed * 1000000)"), DISPLAY_MIN_UNITS,
        "no trade as maker is five minutes old",
    ),
    Metric(
        "price_impact_per_1k", "How far its taking moves the price, per 1,000 USDC",
        "1000 · Σ (price 5 minutes later − last price of the hour before)·side / Σ volume over trades as taker",
        "ratio", "fills", f"Huang & Stoll 1996; {SEED}", "lower", 97, over("(1000 * moved)", "moving_volume"),
        DISPLAY_MIN_UNITS, _NO_PRICE,
    ),
)  # fmt: skip

CROWD = (
    Metric(
        "crowd_correlation", "Whether it trades with the crowd (above 0) or against it",
        "Pearson correlation over trades of volume·side with the move of the outcome's price on that UTC day; the move"
        " stands for the net demand of everybody, which no public feed tells for all fills",
        "ratio", "fills", f"Kyle 1985; {SEED}", "none", 68,
        "if(spread_x > 0 AND spread_y > 0, toFloat64(moves * move_xy - move_x * move_y)"
        " / sqrt(toFloat64(spread_x)) / sqrt(toFloat64(spread_y)), NULL)", RANK_MIN_UNITS,
        "no price at both ends of a day, or all volumes or all moves are equal",
    ),
)  # fmt: skip

TIMES = (
    Metric(
        "trades_per_active_day", "Trades on a day with any", "trades / UTC days with a trade",
        "count", "fills", "seed_systems.md §2.2", "none", None, "n / uniqExact(day)",
    ),
    Metric(
        "trade_gap_median", "Median seconds between its trades",
        "median over trades of the seconds since the wallet last traded in an earlier second, of whatever category",
        "seconds", "fills", "seed_systems.md §2.2 (bot likelihood)", "none", None,
        "if(countIf(gap >= 0) > 0, quantileExactInclusiveIf(0.5)(gap, gap >= 0), NULL)", DISPLAY_MIN_UNITS,
        "all in the second of the wallet's first trade",
    ),
    Metric(
        "hours_of_day", "Hours of the day in which it ever traded, of 24", "number of UTC hours with a trade",
        "count", "fills", "seed_systems.md §2.2 (bot likelihood)", "none", None,
        "bitCount(groupBitOr(bitShiftLeft(toUInt32(1), hour)))", RANK_MIN_UNITS,
    ),
)  # fmt: skip

METRICS: tuple[Metric, ...] = ROLES + COSTS + CROWD + TIMES
