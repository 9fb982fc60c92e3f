"""What to rank: the question that a leaderboard answers, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import METRIC_WINDOWS
from polyhouse.reads.board_filters import FILTERS, bound_value
from polyhouse.reads.board_sorts import ALIASES, Sort, find_sort
from polyhouse.reads.totals import OVERALL, check_category, check_window

MAX_LIMIT = 100_000
_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class LeaderboardQuery:
    """What to rank. Every filter left at None (or False) filters nothing; ratios are fractions (0.55, not 55).

    Attributes:
        category: ``overall`` or one of the categories.
        window: ``1d`` ``7d`` ``30d`` ``90d`` ``180d`` ``lifetime``.
        sort: one of ``board_sorts.SORTS``; best first.
        min_trades: fills at least. min_units: closed bets at least.
        min_gains_losses: gains + losses at least, USDC.
        limit: rows at most.
        cursor: ``next_cursor`` of the page before; everything else must be as it was there.
        reverse: worst first.
        preset: ``copy_trading`` fills in every filter of ``PRESETS`` that was not given.
        min_pnl, max_pnl: realised + unrealised PnL, USDC.
        min_win_rate, max_win_rate: of decided bets.
        min_omega: shrunk omega. min_roi: PnL per bought cost.
        min_volume: USDC. min_markets: conditions traded.
        active_within_days: the last fill is at most so many days older than the newest row of the store.
        exclude_bots, exclude_market_makers: leave out wallets that carry these flags.
        specialists_only: wallets that are specialists (of the category; on ``overall`` of any).
        min_category_share: of the wallet's volume in the window, that of the category.
        min_track_record_days, min_active_days: days between first opening and last close; days with a fill.
        min_trades_per_day, max_trades_per_day: fills per active day.
        min_median_stake, max_median_stake: of closed bets, USDC.
        min_hours_held, max_hours_held: median of closed bets.
        max_drawdown: worst fall of the result, USDC. max_drawdown_percent: in percent of the bankroll.
        max_one_hit_share: share of the result that the best bet made.
        min_roi_without_best_3: return without the three best bets.
    """

    category: str = OVERALL
    window: str = "lifetime"
    sort: str = "omega"
    min_trades: int = 0
    min_units: int = 20
    min_gains_losses: str = "100"
    limit: int = 100
    cursor: str | None = None
    reverse: bool = False
    preset: str | None = None
    min_pnl: str | None = None
    max_pnl: str | None = None
    min_win_rate: str | None = None
    max_win_rate: str | None = None
    min_omega: str | None = None
    min_roi: str | None = None
    min_volume: str | None = None
    min_markets: int | None = None
    active_within_days: int | None = None
    exclude_bots: bool = False
    exclude_market_makers: bool = False
    specialists_only: bool = False
    min_category_share: str | None = None
    min_track_record_days: str | None = None
    min_active_days: int | None = None
    min_trades_per_day: str | None = None
    max_trades_per_day: str | None = None
    min_median_stake: str | None = None
    max_median_stake: str | None = None
    min_hours_held: str | None = None
    max_hours_held: str | None = None
    max_drawdown: str | None = None
    max_drawdown_percent: str | None = None
    max_one_hit_share: str | None = None
    min_roi_without_best_3: str | None = None

    def arguments(self) -> dict[str, Any]:
        """The fields as JSON-able arguments."""
        return asdict(self)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "copy_trading": {
        "min_trades": 31, "min_markets": 9, "min_active_days": 6, "active_within_days": 5, "min_median_stake": "10",
        "max_trades_per_day": "50", "min_pnl": "0", "min_roi_without_best_3": "0", "exclude_bots": True,
        "exclude_market_makers": True,
    },
}  # fmt: skip
"""Whom somebody can follow: the copy-trading rules of seed_systems.md §2.2 (more than 30 trades, 8 markets and 5
trading days, a trade in the last 5 days, median bet of 10 $, under 50 fills a day, ahead without the three best bets).
"""

_SWITCHES = ("reverse", "exclude_bots", "exclude_market_makers", "specialists_only")
_DEFAULTS = {field.name: field.default for field in fields(LeaderboardQuery)}
_NO_FILTERS = frozenset({"category", "window", "sort", "limit", "cursor", "reverse", "preset"})


@dataclass(frozen=True, slots=True)
class Checked:
    """A question that can be asked: preset filled in, words known, numbers in range.

    Attributes:
        query: the question, with the names of sort and filters that were found.
        sort: the order.
        values: filter → its value as ``board_filters`` takes it, of those that are on.
        metrics: the metrics that order and filters need.
    """

    query: LeaderboardQuery
    sort: Sort
    values: Mapping[str, int | float]
    metrics: tuple[str, ...]

    @property
    def is_standard(self) -> bool:
        """Whether nothing but the usual minimum filters: the lists whose places are kept day by day."""
        usual = {name: _DEFAULTS[name] for name in ("min_units", "min_gains_losses")}
        return not self.query.reverse and {n: str(v) for n, v in self.filters().items()} == {
            name: str(value) for name, value in usual.items()
        }

    def filters(self) -> dict[str, Any]:
        """The filters that are on, as they were given."""
        given = self.query.arguments()
        return {name: v for name, v in given.items() if name not in _NO_FILTERS and v not in (None, False)}


def check(query: LeaderboardQuery) -> Checked:
    """Check a question.

    Raises:
        BadInputError: an unknown category, window, sort or preset, a number out of range, or a metric in a window that
            metrics do not have.
    """
    query = _with_preset(query)
    check_category(query.category)
    check_window(query.window)
    sort = find_sort(query.sort, query.window)
    if type(query.limit) is not int or not 1 <= query.limit <= MAX_LIMIT:
        raise BadInputError(f"limit {query.limit!r} is out of range", hint=f"a whole number from 1 to {MAX_LIMIT}")
    for name in _SWITCHES:
        if type(getattr(query, name)) is not bool:
            raise BadInputError(f"{name} {getattr(query, name)!r} is not valid: expected true or false")
    values: dict[str, int | float] = {}
    metrics = {sort.name} if sort.kind == "metric" else set()
    for name, one in FILTERS.items():
        value = getattr(query, name)
        if value is not None:
            values[name] = bound_value(name, value, one)
            if one.metrics and query.window not in METRIC_WINDOWS:
                raise BadInputError(
                    f"{name} needs metrics, which have no window {query.window}",
                    hint=f"one of the windows: {' '.join(METRIC_WINDOWS)}",
                )
            metrics.update(one.metrics)
    query = replace(query, sort=ALIASES.get(query.sort, query.sort))
    return Checked(query, sort, values, tuple(sorted(metrics)))


def _with_preset(query: LeaderboardQuery) -> LeaderboardQuery:
    if query.preset is None:
        return query
    preset = PRESETS.get(query.preset)
    if preset is None:
        raise BadInputError(f"unknown preset {str(query.preset)[:40]!r}", hint=f"one of: {' '.join(PRESETS)}")
    missing = {name: value for name, value in preset.items() if getattr(query, name) == _DEFAULTS[name]}
    return replace(query, **missing)
