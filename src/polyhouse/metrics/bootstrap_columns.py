"""The sums of bootstrap replicates, compiled: what ``bootstrap`` computes plainly, for millions of bets.

Some 2 ns for each bet and replicate. Sums are whole numbers, so both say exactly the same; a test holds them equal.
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

_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S16, _S27, _S30, _S31 = np.uint64(16), np.uint64(27), np.uint64(30), np.uint64(31)
_LAST_16 = np.uint64(0xFFFF)


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


@_compiled
def add_replicates(
    starts: Ints,
    rows: Ints,
    seeds: NDArray[np.uint64],
    values: Ints,
    table: NDArray[np.uint8],
    first: int,
    found: Ints,
) -> None:
    """Add to ``found`` (samples × replicates × sums) the bets of the samples from ``first`` on."""
    replicates = found.shape[1]
    for place in range(found.shape[0]):
        for at in range(starts[first + place], starts[first + place + 1]):
            row = rows[at]
            gain, loss, stake = values[row, 0], values[row, 1], values[row, 2]
            counter = seeds[row]
            for block in range(0, replicates, 4):
                z = counter + _GOLDEN
                z = (z ^ (z >> _S30)) * _MIX_1
                z = (z ^ (z >> _S27)) * _MIX_2
                z ^= z >> _S31
                for draw in range(4):
                    times = table[z & _LAST_16]
                    z >>= _S16
                    found[place, block + draw, 0] += times * gain
                    found[place, block + draw, 1] += times * loss
                    found[place, block + draw, 2] += times * stake
                counter += _GOLDEN
