"""Filters of leaderboards: which rows of a board in memory pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import numpy as np

from polyhouse.domain.amounts import micros, parse_decimal
from polyhouse.errors import BadInputError
from polyhouse.reads.board_columns import Array
from polyhouse.reads.board_rows import Block, Board, Rows
from polyhouse.reads.board_sorts import RATIOS, pnl_of, ratio_of, units_of

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
        passes: rows of a board and value → which of them pass; a row without the value asked for does not.
        metrics: columns it looks at that are metrics.
        negative: the argument may be below 0.
        computed: columns it looks at that are computed from others, once for a board.
    """

    kind: Kind
    passes: Callable[[Block, Any], Array]
    metrics: tuple[str, ...] = ()
    negative: bool = False
    computed: tuple[str, ...] = ()


def passing(board: Board, values: Mapping[str, int | float]) -> Array:
    """Which rows of a board pass all of these filters, given by name and value."""
    for name in {name for one in values for name in FILTERS[one].computed}:
        board.columns[name] = board.once(name, partial(_COMPUTED[name], board))
    found = np.ones(len(board), bool)
    for block in board.blocks():
        rows = found[block.start : block.end]
        for name, value in values.items():
            rows &= FILTERS[name].passes(block, value)
    return found


def _is_marked(rows: Rows) -> Array:
    marked: Array = rows["unknown"] == 0
    return marked


def _ratio(name: str, *, at_least: bool = True, negative: bool = False) -> Filter:
    """Rows whose ratio is at least (at most) a number of 10⁻⁹, exactly; none of those that have no ratio."""

    def passes(rows: Block, value: int) -> Array:
        ratios, limit = rows[f"ratio {name}"], value / _E9
        low, high = limit - _CLOSE * abs(limit), limit + _CLOSE * abs(limit)
        sure, perhaps = (ratios > high, ratios >= low) if at_least else (ratios < low, ratios <= high)
        near = np.flatnonzero(sure != perhaps)
        if len(near):
            signs = _signs(*ratio_of(name, rows.at(near))[:2], value)
            sure[near] = signs >= 0 if at_least else signs <= 0
        found: Array = sure
        return found

    return Filter("ratio", passes, negative=negative, computed=(f"ratio {name}",))


def _pnl(compared: Callable[[Array, int], Array]) -> Filter:
    return Filter("usd", lambda b, value: _is_marked(b) & compared(b["pnl"], value), negative=True, computed=("pnl",))


def _signs(above: Array, below: Array, value: int) -> Array:
    """Sign of above / below − value · 10⁻⁹ per row, exact; ``below`` is positive."""
    largest = max(int(np.abs(above).max(initial=0)) * _E9, int(below.max(initial=0)) * abs(value))
    whole = np.int64 if largest <= _MOST else object  # numbers of any size
    left, right = above.astype(whole) * _E9, below.astype(whole) * value
    signs: Array = (left > right).astype(np.int8) - (left < right).astype(np.int8)
    return signs


def _floats(board: Board, name: str) -> Array:
    above, below, known = ratio_of(name, board)
    floats: Array = np.full(len(board), np.nan)
    np.divide(above, below, out=floats, where=known)
    return floats


def _at_least(metric: str, kind: Kind = "number", *, negative: bool = False) -> Filter:
    return Filter(kind, lambda board, value: board[metric] >= value, (metric,), negative)


def _at_most(metric: str) -> Filter:
    return Filter("number", lambda board, value: board[metric] <= value, (metric,))


FILTERS: Mapping[str, Filter] = {
    "min_trades": Filter("count", lambda b, value: b["trades"] >= value),
    "min_units": Filter("count", lambda b, value: units_of(b) >= value),
    "min_gains_losses": Filter("usd", lambda b, value: b["gains"] >= value - b["losses_abs"]),
    "min_pnl": _pnl(lambda pnl, value: pnl >= value),
    "max_pnl": _pnl(lambda pnl, value: pnl <= value),
    "min_win_rate": _ratio("win_rate"),
    "max_win_rate": _ratio("win_rate", at_least=False),
    "min_omega": _ratio("omega"),
    "min_roi": _ratio("roi", negative=True),
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
    "min_category_share": _ratio("category_share"),
}
"""Filters by the argument that switches them on. They need the columns that ``Boards.get`` gives by ``whole``."""

_COMPUTED: Mapping[str, Callable[[Board], Array]] = {
    "pnl": pnl_of,
    **{f"ratio {name}": partial(_floats, name=name) for name in (*RATIOS, "category_share")},
}


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
