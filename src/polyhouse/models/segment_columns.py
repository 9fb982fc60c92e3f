"""Sums over scopes and windows, compiled: what ``segments`` computes plainly, for hundreds of thousands of rows.

Each row is looked at once per scope, in 1 to 5 ns. Both say exactly the same; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.uint8]

_HALF, _LOW, _SIGN = np.uint64(32), np.uint64(0xFFFFFFFF), np.int64(63)
_NONE, _SPREAD = np.uint64(0), np.uint64(0x9E3779B97F4A7C15)


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


@_compiled
def add_numbers(index: Ints, edges: Ints, chosen: Flags, values: Ints, found: Ints) -> None:
    """Fill ``found`` (scopes × windows) with the sums of the chosen rows, modulo 2 to the power of 64."""
    for scope in range(len(edges)):
        total = 0
        for window in range(found.shape[1]):
            for place in range(edges[scope, window], edges[scope, window + 1]):
                row = index[place]
                if chosen[row]:
                    total += values[row]
            found[scope, window] = total


@_compiled
def add_products(index: Ints, edges: Ints, chosen: Flags, x: Ints, y: Ints, z: Ints, found: Words) -> None:
    """Fill ``found`` (scopes × windows × 2 words) with the sums of x·y·z over the chosen rows.

    An empty ``y`` or ``z`` is none.
    """
    for scope in range(len(edges)):
        low, high = _NONE, _NONE
        for window in range(found.shape[1]):
            for place in range(edges[scope, window], edges[scope, window + 1]):
                row = index[place]
                if chosen[row]:
                    first, second = np.uint64(x[row]), np.uint64(x[row] >> _SIGN)
                    if len(y):
                        first, second = _times(first, second, y[row])
                    if len(z):
                        first, second = _times(first, second, z[row])
                    low += first
                    high += second + (np.uint64(1) if low < first else _NONE)
            found[scope, window, 0] = low
            found[scope, window, 1] = high


@_compiled
def _times(low: np.uint64, high: np.uint64, factor: np.int64) -> tuple[np.uint64, np.uint64]:
    """A number of two words times one of one word, modulo 2 to the power of 128."""
    other = np.uint64(factor)
    a, b, c, d = low & _LOW, low >> _HALF, other & _LOW, other >> _HALF
    bottom, left, right = a * c, a * d, b * c
    middle = (bottom >> _HALF) + (left & _LOW) + (right & _LOW)
    top = b * d + (left >> _HALF) + (right >> _HALF) + (middle >> _HALF)
    # The words of a negative factor above the first are all ones, which takes the lower word away from the higher one.
    top += high * other - (low if factor < 0 else _NONE)
    return (middle << _HALF) | (bottom & _LOW), top


@_compiled
def count_distinct(index: Ints, edges: Ints, chosen: Flags, values: Words, size: int, found: Ints) -> None:
    """Fill ``found`` (scopes × windows) with the number of different values of the chosen rows.

    Args:
        index: rows, scope by scope. edges: of scopes and windows. chosen: rows that count. values: per row.
        size: a power of two, at least twice the rows of any scope.
        found: what is filled.
    """
    seen, owner = np.zeros(size, np.uint64), np.full(size, -1, np.int64)
    last = np.uint64(size - 1)
    for scope in range(len(edges)):
        count = 0
        for window in range(found.shape[1]):
            for place in range(edges[scope, window], edges[scope, window + 1]):
                row = index[place]
                if chosen[row]:
                    value = values[row]
                    slot = ((value * _SPREAD) >> _HALF) & last
                    while owner[slot] == scope and seen[slot] != value:
                        slot = (slot + np.uint64(1)) & last
                    if owner[slot] != scope:
                        owner[slot] = scope
                        seen[slot] = value
                        count += 1
            found[scope, window] = count
