"""The filters of the leaderboard for people: what they are called, how they are grouped, which are on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from polyhouse.serve.pages.tables import with_query


@dataclass(frozen=True, slots=True)
class Field:
    """One filter: its parameter, its words, an example of a value, whether it needs metrics (windows of 30 days on)."""

    name: str
    label: str
    example: str = ""
    needs_metrics: bool = False
    is_switch: bool = False


GROUPS: tuple[tuple[str, tuple[Field, ...]], ...] = (
    (
        "Sample",
        (
            Field("min_units", "Closed bets, at least", "20"),
            Field("min_gains_losses", "Gains + losses, at least $", "100"),
            Field("min_trades", "Trades, at least", "0"),
            Field("min_markets", "Markets, at least"),
            Field("min_volume", "Volume, at least $"),
        ),
    ),
    (
        "Result",
        (
            Field("min_pnl", "PnL, at least $"),
            Field("max_pnl", "PnL, at most $"),
            Field("min_omega", "Omega, at least", "1.2"),
            Field("min_roi", "ROI, at least", "0.05"),
            Field("min_win_rate", "Win rate, at least", "0.55"),
            Field("max_win_rate", "Win rate, at most", "0.95"),
        ),
    ),
    (
        "Activity",
        (
            Field("active_within_days", "Traded within days", "7"),
            Field("min_track_record_days", "Track record, days at least", "90", needs_metrics=True),
            Field("min_active_days", "Active days, at least", "10", needs_metrics=True),
            Field("min_trades_per_day", "Trades per active day, at least", needs_metrics=True),
            Field("max_trades_per_day", "Trades per active day, at most", "50", needs_metrics=True),
            Field("min_category_share", "Share of the category, at least", "0.5"),
        ),
    ),
    (
        "Style and risk",
        (
            Field("min_median_stake", "Median bet, at least $", "10", needs_metrics=True),
            Field("max_median_stake", "Median bet, at most $", needs_metrics=True),
            Field("min_hours_held", "Hours held, at least", needs_metrics=True),
            Field("max_hours_held", "Hours held, at most", needs_metrics=True),
            Field("max_drawdown", "Drawdown, at most $", needs_metrics=True),
            Field("max_drawdown_percent", "Drawdown, at most %", "30", needs_metrics=True),
            Field("max_one_hit_share", "Best bet's share, at most", "0.5", needs_metrics=True),
            Field("min_roi_without_best_3", "ROI without the best 3, at least", "0", needs_metrics=True),
        ),
    ),
    (
        "Who",
        (
            Field("exclude_bots", "Leave out likely bots", is_switch=True),
            Field("exclude_market_makers", "Leave out market makers", is_switch=True),
            Field("specialists_only", "Specialists only", is_switch=True),
        ),
    ),
)
"""What the form offers, in its order. Ratios are fractions, as in the API: 0.55 is 55 %."""

_LABELS = {field.name: field for _, group in GROUPS for field in group}


def active_filters(request: Request, filters: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(words, address without it) of the filters that are on and not by default."""
    found = []
    for name, value in filters.items():
        field = _LABELS.get(name)
        if field is None or str(value) == str(defaults[name]) or name not in request.query_params:
            continue
        words = field.label if field.is_switch else f"{field.label} {value}"
        found.append((words, with_query(request, **{name: None, "cursor": None})))
    return found
