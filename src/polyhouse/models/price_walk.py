"""Prices around trades, compiled: what ``priced_trades.prices_around`` computes plainly, for many trades at once.

Trades come in the order of (market, time), so each moment that is asked for moves forward through the prices with
them; nearly all steps are short. Both say exactly the same, and a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_KEY_BITS, _MICRO = 32, 1_000_000


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


@_compiled
def _upto(keys: Ints, start: int, wanted: int) -> int:
    """How many keys are at most so large, looked for from a place near it."""
    if start > 0 and keys[start - 1] > wanted:
        low, high = 0, start
    else:
        low, step = start, 1
        while low + step <= len(keys) and keys[low + step - 1] <= wanted:
            low += step
            step *= 2
        high = min(low + step, len(keys))
    while low < high:
        middle = (low + high) // 2
        if keys[middle] <= wanted:
            low = middle + 1
        else:
            high = middle
    return low


def last_prices(
    keys: Ints, prices: Ints, market: Ints, outcome: Ints, moments: Ints, longest: int
) -> tuple[Ints, Flags]:
    """The last price of each trade's token up to its moment, and whether there is one.

    Args:
        keys: market << 32 | second, ascending.
        prices: of the first outcome.
        market: per trade.
        outcome: per trade.
        moments: per trade.
        longest: seconds after which a price is too old.
    """
    values, known = np.zeros(len(moments), dtype=np.int64), np.zeros(len(moments), dtype=np.bool_)
    if len(keys):
        _fill(keys, prices, market, outcome, moments, longest, values, known)
    else:
        values[outcome != 0] = _MICRO
    return values, known


@_compiled
def _fill(
    keys: Ints, prices: Ints, market: Ints, outcome: Ints, moments: Ints, longest: int, values: Ints, known: Flags
) -> None:
    place = 0
    for row in range(len(moments)):
        moment = moments[row]
        place = _upto(keys, place, (market[row] << _KEY_BITS) | max(moment, 0))
        last = max(place - 1, 0)
        values[row] = prices[last] if outcome[row] == 0 else _MICRO - prices[last]
        age = moment - (keys[last] & ((1 << _KEY_BITS) - 1))
        known[row] = place > 0 and moment >= 0 and keys[last] >> _KEY_BITS == market[row] and 0 <= age <= longest


def last_of_runs(order: Ints, key: Ints, ranks: Sequence[Ints]) -> Ints:
    """Of each key the place of the entry with the largest ranks; among equal ones the last.

    Args:
        order: places of entries by ascending key.
        key: per entry.
        ranks: the first one counts most.
    """
    if not len(order):
        return order
    is_first = np.append(True, key[order[1:]] != key[order[:-1]])
    starts = np.append(np.flatnonzero(is_first), len(order))
    best: Ints = np.empty(len(starts) - 1, dtype=np.int64)
    _find_best(order, starts, np.stack(ranks), best)
    return best


@_compiled
def _find_best(order: Ints, starts: Ints, ranks: Ints, best: Ints) -> None:
    """Fill ``best``: of the places in each run of ``order`` the one with the largest ranks."""
    for run in range(len(best)):
        chosen = order[starts[run]]
        for at in range(starts[run] + 1, starts[run + 1]):
            place = order[at]
            is_better = True
            for rank in range(len(ranks)):
                if ranks[rank, place] != ranks[rank, chosen]:
                    is_better = ranks[rank, place] > ranks[rank, chosen]
                    break
            if is_better:
                chosen = place
        best[run] = chosen
