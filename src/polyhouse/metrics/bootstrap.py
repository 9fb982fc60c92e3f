"""Bootstrap intervals of omega and return: what another draw of the same bets could have shown.

The Poisson bootstrap (Oza & Russell 2001; Chamandy et al. 2012): in each of ``REPLICATES`` replicates every bet counts
0, 1, 2, … times, drawn from a Poisson distribution of mean 1. The interval lies between the 2.5 % and 97.5 % quantiles
of the replicates (percentile method, Efron & Tibshirani 1993, ch. 13). The draws follow from the wallet and the bet's
place among its bets alone, and sums are whole numbers: the same bets give the same interval, bit for bit, in any build,
slice or process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

REPLICATES = 1_000
LEAST_BETS = 20
MOST_BETS = 400
"""Above this the limit of the bootstrap (``omega_low`` … of the catalogue) is as good; measured in docs/flags.md."""
COMPILED_FROM = 20_000
"""Bets in all samples from which on compiling pays."""
LOW, HIGH = REPLICATES // 40, REPLICATES - REPLICATES // 40 - 1
"""Places of the quantiles among the sorted replicates."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Seeds = NDArray[np.uint64]

_AT_ONCE = 150
"""Samples that are no continuation, computed at once: some 15 MB."""
_DRAWS = 4  # of 16 bits each, from one hash
_GOLDEN, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ATLEAST = (41_427, 17_317, 5_262, 1_245, 240, 39, 5, 1)
"""65,536 times the chance that a Poisson variable of mean 1 is at least 1, 2, …; together 65,536: the mean is exact."""


def count_table() -> NDArray[np.uint8]:
    """16 random bits → how often a bet counts."""
    table = np.zeros(65_536, np.uint8)
    for chance in _ATLEAST:
        table[:chance] += 1
    return table


def mixed(numbers: Seeds) -> Seeds:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): a random-looking permutation of 64-bit numbers."""
    z = numbers + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return z ^ (z >> np.uint64(31))


def counts(seeds: Seeds) -> Ints:
    """How often each bet counts in each replicate: bets × ``REPLICATES``."""
    blocks = np.arange(REPLICATES // _DRAWS, dtype=np.uint64)
    hashes = mixed(seeds[:, None] + blocks[None, :] * np.uint64(_GOLDEN))
    shifts = np.arange(_DRAWS, dtype=np.uint64) * np.uint64(16)
    bits = (hashes[:, :, None] >> shifts) & np.uint64(0xFFFF)
    found: Ints = count_table()[bits.reshape(len(seeds), REPLICATES)].astype(np.int64)
    return found


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of bets, which may share bets.

    Attributes:
        starts: place of each sample's first row in ``rows``, and their number at the end.
        rows: places in the other columns.
        is_more: whether a sample also has all bets of the one before it; its own rows are what comes to them.
        seeds: of each bet.
        values: bets × (gain, loss, stake), micro-USDC, none below 0; a bet has no gain or no loss.
    """

    starts: Ints
    rows: Ints
    is_more: NDArray[np.bool_]
    seeds: Seeds
    values: Ints

    def sums(self) -> Ints:
        """Samples × (gains, losses, stakes)."""
        added = np.append(np.zeros((1, 3), np.int64), np.cumsum(self.values[self.rows], axis=0), axis=0)
        firsts = np.maximum.accumulate(np.where(self.is_more, 0, self.starts[:-1]))
        found: Ints = added[self.starts[1:]] - added[firsts]
        return found


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals per sample; NaN where there is none: nothing won or nothing lost (omega), nothing staked."""

    omega_low: Floats
    omega_high: Floats
    roi_low: Floats
    roi_high: Floats


def intervals(samples: Samples) -> Intervals:
    """The intervals of all samples.

    ``omega_high`` is NaN as well if so many replicates hold no loss that the quantile is infinite.
    """
    count = len(samples.starts) - 1
    found = np.full((4, count), np.nan)
    sums = _sums_compiled if len(samples.rows) >= COMPILED_FROM else _sums_plain
    all_sums = samples.sums().astype(np.float64)
    firsts = np.flatnonzero(~samples.is_more)[::_AT_ONCE].tolist()
    for low, high in pairwise([*firsts, count]):
        drawn = sums(samples, low, high)
        whole = all_sums[low:high]
        gains, losses, stakes = (drawn[:, place].astype(np.float64) for place in range(3))
        with np.errstate(divide="ignore", invalid="ignore"):
            omega, roi = gains / losses, (gains - losses) / stakes
            omega = np.where(np.isnan(omega), (whole[:, 0] / whole[:, 1])[:, None], omega)
            roi = np.where(stakes == 0, ((whole[:, 0] - whole[:, 1]) / whole[:, 2])[:, None], roi)
        has_omega, has_roi = (whole[:, 0] > 0) & (whole[:, 1] > 0), whole[:, 2] > 0
        for place, (ratio, is_known) in enumerate(((omega, has_omega), (roi, has_roi))):
            ordered = np.partition(ratio[is_known], (LOW, HIGH), axis=1)
            found[2 * place, low:high][is_known] = ordered[:, LOW]
            found[2 * place + 1, low:high][is_known] = np.where(np.isfinite(ordered[:, HIGH]), ordered[:, HIGH], np.nan)
    return Intervals(*found)


def _sums_plain(samples: Samples, low: int, high: int) -> Ints:
    """Samples × (gains, losses, stakes) × ``REPLICATES``."""
    found = np.zeros((high - low, 3, REPLICATES), np.int64)
    for sample in range(low, high):
        rows = samples.rows[samples.starts[sample] : samples.starts[sample + 1]]
        found[sample - low] = samples.values[rows].T @ counts(samples.seeds[rows])
        if samples.is_more[sample]:
            found[sample - low] += found[sample - low - 1]
    return found


def _sums_compiled(samples: Samples, low: int, high: int) -> Ints:
    found = np.zeros((high - low, 3, REPLICATES), np.int64)
    thresholds = np.array(_ATLEAST, np.uint16)
    _kernel()(
        samples.starts, samples.rows, samples.is_more, samples.seeds, samples.values, thresholds, low, found
    )  # fmt: skip
    return found


def _kernel() -> Callable[..., None]:
    from polyhouse.metrics.bootstrap_columns import add_replicates

    return cast("Callable[..., Any]", add_replicates)
