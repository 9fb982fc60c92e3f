"""Filters of leaderboards: which rows of a board in memory pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from polyhouse.domain.amounts import micros, parse_decimal
from polyhouse.errors import BadInputError
from polyhouse.reads.boards import Array, Board
from polyhouse.reads.ratios import SHRINKAGE

_E9 = 1_000_000_000
_MOST = 2**63 - 1
_DAY_SECONDS = 86_400
_CLOSE = 1e-14
"""What floats cannot tell apart, relatively, is compared as whole numbers."""

Kind = Literal["count", "usd", "ratio", "number"]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter on numbers.

    Attributes:
        kind: what the argument is: a count, USDC (taken as micro-USDC), a ratio (taken in 10⁻⁹), any number.
        passes: board and value → which rows pass; a row without the value asked for does not.
        metrics: columns it looks at that are metrics.
        negative: the argument may be below 0.
    """

    kind: Kind
    passes: Callable[[Board, Any], Array]
    metrics: tuple[str, ...] = ()
    negative: bool = False


def _pnl(board: Board) -> Array:
    pnl: Array = board["realized"] + board["unrealized"]
    return pnl


def _is_marked(board: Board) -> Array:
    marked: Array = board["unknown"] == 0
    return marked


def _decided(board: Board) -> Array:
    decided: Array = board["wins"] + board["losses"]
    return decided


def compare_ratio(above: Array, below: Array, value: int) -> Array:
    """Sign of above / below − value · 10⁻⁹ per row, exact; ``below`` is positive where the answer is used."""
    left, right = above * 1e9, below * float(value)
    signs: Array = np.sign(left - right).astype(np.int8)
    near = np.flatnonzero(np.abs(left - right) <= _CLOSE * np.abs(left))
    exact = above[near].astype(object) * _E9 - below[near].astype(object) * value  # whole numbers of any size
    signs[near] = (exact > 0).astype(np.int8) - (exact < 0).astype(np.int8)
    return signs


def _win_rate(board: Board, value: int) -> Array:
    return compare_ratio(board["wins"], _decided(board), value)


def _omega(board: Board, value: int) -> Array:
    return compare_ratio(board["gains"] + SHRINKAGE, board["losses_abs"] + SHRINKAGE, value)


def _roi(board: Board, value: int) -> Array:
    return compare_ratio(_pnl(board), board["bought_cost"], value)


def _at_least(metric: str, kind: Kind = "number", *, negative: bool = False) -> Filter:
    return Filter(kind, lambda board, value: board[metric] >= value, (metric,), negative)


def _at_most(metric: str) -> Filter:
    return Filter("number", lambda board, value: board[metric] <= value, (metric,))


FILTERS: Mapping[str, Filter] = {
    "min_trades": Filter("count", lambda b, value: b["trades"] >= value),
    "min_units": Filter("count", lambda b, value: _decided(b) + b["flats"] >= value),
    "min_gains_losses": Filter("usd", lambda b, value: b["gains"] >= value - b["losses_abs"]),
    "min_pnl": Filter("usd", lambda b, value: _is_marked(b) & (_pnl(b) >= value), negative=True),
    "max_pnl": Filter("usd", lambda b, value: _is_marked(b) & (_pnl(b) <= value), negative=True),
    "min_win_rate": Filter("ratio", lambda b, value: (_decided(b) > 0) & (_win_rate(b, value) >= 0)),
    "max_win_rate": Filter("ratio", lambda b, value: (_decided(b) > 0) & (_win_rate(b, value) <= 0)),
    "min_omega": Filter("ratio", lambda b, value: _omega(b, value) >= 0),
    "min_roi": Filter(
        "ratio", lambda b, value: _is_marked(b) & (b["bought_cost"] > 0) & (_roi(b, value) >= 0), negative=True
    ),
    "min_volume": Filter("usd", lambda b, value: b["volume"] >= value),
    "min_markets": Filter("count", lambda b, value: b["markets"] >= value),
    "active_within_days": Filter("count", lambda b, value: b["last_trade"] >= max(b.as_of - value * _DAY_SECONDS, 1)),
    "min_track_record_days": _at_least("track_record_days"),
    "min_active_days": _at_least("active_days", "count"),
    "min_trades_per_day": Filter("number", lambda b, value: b["trades"] >= value * b["active_days"], ("active_days",)),
    "max_trades_per_day": Filter("number", lambda b, value: b["trades"] <= value * b["active_days"], ("active_days",)),
    "min_median_stake": _at_least("stake_median"),
    "max_median_stake": _at_most("stake_median"),
    "min_hours_held": _at_least("hours_held_median"),
    "max_hours_held": _at_most("hours_held_median"),
    "max_drawdown": _at_most("max_drawdown"),
    "max_drawdown_percent": _at_most("max_drawdown_percent"),
    "max_one_hit_share": _at_most("one_hit_share"),
    "min_roi_without_best_3": _at_least("roi_without_best_3", negative=True),
    "min_category_share": Filter("ratio", lambda b, value: compare_ratio(b["volume"], b["whole_volume"], value) >= 0),
}
"""Filters by the argument that switches them on. ``whole_volume`` is a column of ``boards.with_whole``."""


def bound_value(name: str, value: Any, one: Filter) -> int | float:
    """The value of a filter as it is compared.

    Raises:
        BadInputError: it is no such number, or out of range.
    """
    if one.kind == "count":
        if type(value) is not int or not 0 <= value <= _MOST:
            raise BadInputError(f"{name} {value!r} is out of range", hint=f"a whole number from 0 to {_MOST}")
        return value
    if one.kind == "usd":
        return micros(value, name, allow_negative=one.negative)
    number = parse_decimal(value, name)
    least = -_E9 if one.negative else 0
    if not least <= number <= _E9:
        raise BadInputError(f"{name} {value!r} is out of range", hint=f"a number from {least} to {_E9}")
    return _in_e9(name, number) if one.kind == "ratio" else float(number)


def _in_e9(name: str, number: Decimal) -> int:
    scaled = number.scaleb(9)
    if scaled != scaled.to_integral_value():
        raise BadInputError(f"{name} {number} is not valid: it has more than 9 decimals")
    return int(scaled)
