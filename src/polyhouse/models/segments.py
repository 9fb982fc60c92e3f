"""Rows in scopes and windows: which rows each of them holds, and sums, extremes and lists over these.

The windows of a scope are nested and end at one moment, so with the newest rows first each of them is a beginning of
the scope's rows. What is summed up is summed up once, between the beginnings of windows, and then added window by
window; rows outside a shorter window are never looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Ints

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_LARGEST = 1 << 62
COMPILED_FROM = 50_000
"""Rows from which on compiling pays."""
Flags = NDArray[np.uint8]
WHOLE = -1
"""The category of a scope that holds all of them."""


@dataclass(frozen=True, slots=True)
class Scopes:
    """Wallets as a whole and in each of their categories.

    A wallet of a single category has one scope, which is both.

    Attributes:
        index: places of rows, scope by scope, the newest first.
        edges: scopes × (windows + 1): where in ``index`` a scope starts, and where the rows of each window end, the
            shortest one first.
        wallet: place of the wallet.
        category: place of the category, ``WHOLE`` for all.
        is_both: whether the scope's category is the only one of its wallet, so that the scope is the whole as well.
    """

    index: Ints
    edges: Ints
    wallet: Ints
    category: Ints
    is_both: NDArray[np.bool_]

    @property
    def lengths(self) -> Ints:
        """Scopes × windows: rows of each."""
        return self.edges[:, 1:] - self.edges[:, :1]


def scopes_of(wallet: Ints, category: Ints, age: Ints, windows: int, *, has_whole: bool) -> Scopes:
    """The scopes of some rows.

    Args:
        wallet: per row, from 0. category: per row, from 0.
        age: place of the shortest window that holds the row.
        windows: their number.
        has_whole: the rows of wallets as a whole are among them, as a category; else these are made here.
    """
    categories = int(category.max(initial=0)) + 1
    index, edges, key = _sorted(wallet * categories + category, age, windows)
    owner, kind = key // categories, key % categories
    is_both = np.zeros(len(key), dtype=bool)
    if has_whole:
        return Scopes(index, edges, owner, kind, is_both)
    is_both = np.bincount(owner)[owner] == 1 if len(owner) else is_both
    is_mixed = np.ones(int(wallet.max(initial=0)) + 1, dtype=bool)
    is_mixed[owner[is_both]] = False
    mixed = np.flatnonzero(is_mixed[wallet])
    inside, more, wholes = _sorted(wallet[mixed], age[mixed], windows)
    return Scopes(
        np.concatenate([index, mixed[inside]]),
        np.concatenate([edges, more + len(index)]),
        np.concatenate([owner, wholes]),
        np.concatenate([kind, np.full(len(wholes), WHOLE)]),
        np.concatenate([is_both, np.zeros(len(wholes), dtype=bool)]),
    )


def _sorted(scope: Ints, age: Ints, windows: int) -> tuple[Ints, Ints, Ints]:
    """Rows by scope and age, the edges of windows, and the scopes."""
    key = scope * windows + age
    index = np.argsort(key, kind="stable") if np.any(key[1:] < key[:-1]) else np.arange(len(key))
    key = key[index]
    scopes = key // windows
    known = scopes[np.flatnonzero(np.append(True, scopes[1:] != scopes[:-1]))] if len(key) else scopes
    edges = np.searchsorted(key, known[:, None] * windows + np.arange(windows + 1))
    return index, edges, known


def counts(chosen: Flags, scopes: Scopes) -> Ints:
    """Scopes × windows: the number of chosen rows."""
    return cast("Ints", _reduced(np.add, chosen.astype(np.int64), scopes, 0))


def sums(values: Any, chosen: Flags, scopes: Scopes) -> Any:
    """Scopes × windows: the sum of whole numbers, modulo 2 to the power of their bits, as the engine sums.

    Args:
        values: per row; a matrix of 64-bit words, the lowest first, for wider numbers.
        chosen: whether a row counts.
        scopes: of the rows.
    """
    if values.ndim == 1 and len(values) >= COMPILED_FROM:
        found = np.zeros(scopes.lengths.shape, dtype=np.int64)
        _compiled().add_numbers(scopes.index, scopes.edges, chosen, values.view(np.int64), found)
        return found.view(values.dtype)
    masked = np.where(chosen if values.ndim == 1 else chosen[:, None], values, values.dtype.type(0))
    return _by_halves(masked, lambda part: _reduced(np.add, part, scopes, 0))


def sums_of_products(factors: Sequence[Ints], chosen: Flags, scopes: Scopes) -> Any:
    """Scopes × windows: the sum of the products of up to three numbers of each row, as two 64-bit words."""
    if len(factors[0]) >= COMPILED_FROM:
        found = np.zeros((*scopes.lengths.shape, 2), dtype=np.uint64)
        none = np.zeros(0, dtype=np.int64)
        x, y, z = [*factors, none, none][:3]
        _compiled().add_products(scopes.index, scopes.edges, chosen, x, y, z, found)
        return found
    return sums(products(factors), chosen, scopes)


def sums_of_runs(values: Any, firsts: Ints) -> Any:
    """The sums, likewise, of the rows from each of these places to before the next one."""
    return _by_halves(values, lambda part: np.add.reduceat(part, firsts) if len(firsts) else part[:0])


def _by_halves(values: Any, added: Callable[[Any], Any]) -> Any:
    """Sums of numbers of any width, from sums of 64 bits: of halves of words these cannot overflow."""
    if values.ndim == 1:
        return added(values.astype(np.uint64 if values.dtype.kind == "u" else np.int64, copy=False))
    halves = np.ascontiguousarray(values).view(np.uint32)
    parts, carry = [], cast("Any", np.uint64(0))
    for place in range(halves.shape[1]):
        total = added(halves[:, place].astype(np.uint64)) + carry
        parts.append((total & _LOW).astype(np.uint32))
        carry = total >> _HALF
    return np.stack(parts, axis=-1).view(np.uint64)


def products(factors: Sequence[Any]) -> Any:
    """The products of signed 64-bit numbers as matrices of two words, modulo 2 to the power of 128."""
    limbs = _limbs(factors[0])
    for factor in factors[1:]:
        others, carry, made = _limbs(factor), np.zeros(len(factor), np.uint64), []
        for place in range(len(limbs)):
            # Halves of products, so that a sum of eight of them fits.
            low, high = carry, np.zeros(len(factor), np.uint64)
            for one in range(place + 1):
                product = limbs[one] * others[place - one]
                low, high = low + (product & _LOW), high + (product >> _HALF)
            made.append(low & _LOW)
            carry = (low >> _HALF) + high
        limbs = made
    return np.stack([limbs[0] | limbs[1] << _HALF, limbs[2] | limbs[3] << _HALF], axis=1)


def _limbs(values: Any) -> list[Any]:
    """Signed numbers as four times 32 bits, the lowest first."""
    sign = (values >> np.int64(63)).view(np.uint64) & _LOW
    whole = values.view(np.uint64)
    return [whole & _LOW, whole >> _HALF, sign, sign]


def least(values: Any, scopes: Scopes) -> Any:
    """Scopes × windows: the smallest number."""
    return _reduced(np.minimum, values, scopes, np.iinfo(values.dtype).max)


def greatest(values: Any, scopes: Scopes) -> Any:
    """Scopes × windows: the largest number."""
    return _reduced(np.maximum, values, scopes, np.iinfo(values.dtype).min)


def any_bits(values: Any, scopes: Scopes) -> Any:
    """Scopes × windows: the bits that are set in any number."""
    return _reduced(np.bitwise_or, values, scopes, 0)


def at_greatest(values: Any, ranks: Any, scopes: Scopes) -> Any:
    """Scopes × windows: the number of the row with the largest rank; among equal ranks that of the first row."""
    rows = len(ranks)
    dense = ranks.astype(np.int64) - int(ranks.min(initial=0)) if _is_narrow(ranks, rows) else _numbered(ranks)
    best = greatest(dense * rows + (rows - 1 - np.arange(rows)), scopes)
    return values[rows - 1 - np.where(scopes.lengths > 0, best, 0) % max(rows, 1)] if rows else best


def _is_narrow(ranks: Any, rows: int) -> bool:
    """Whether ranks and places of rows fit into one number together."""
    return bool(rows) and (int(ranks.max()) - min(int(ranks.min()), 0) + 1) * rows < _LARGEST


def _numbered(ranks: Any) -> Ints:
    """Of each rank its place among the different ones, ascending."""
    return cast("Ints", np.unique(ranks, return_inverse=True)[1].astype(np.int64))


def distinct(values: Any, chosen: Flags, scopes: Scopes) -> Ints:
    """Scopes × windows: how many different 64-bit words the chosen rows have."""
    longest = int(scopes.lengths.max(initial=1))
    if len(values) >= COMPILED_FROM:
        found = np.zeros(scopes.lengths.shape, dtype=np.int64)
        size = 1 << (2 * longest - 1).bit_length()
        _compiled().count_distinct(scopes.index, scopes.edges, chosen, values.view(np.uint64), size, found)
        return found
    codes = np.unique(values, return_inverse=True)[1].astype(np.int64)
    scope = np.repeat(np.arange(len(scopes.edges)), scopes.lengths[:, -1])
    places = np.flatnonzero(chosen[scopes.index])
    key = scope[places] * (int(codes.max(initial=0)) + 1) + codes[scopes.index[places]]
    is_first = np.zeros(len(scopes.index), dtype=np.int64)
    is_first[places[np.unique(key, return_index=True)[1]]] = 1
    return cast("Ints", _summed(np.add, is_first, scopes, 0))


def _compiled() -> Any:
    from polyhouse.models import segment_columns

    return segment_columns


def rows_of(scopes: Scopes, kept: Ints) -> tuple[Ints, Ints]:
    """The rows of some windows: where those of each start (and their number at the end), and the rows.

    Args:
        scopes: all.
        kept: places in scopes × windows.
    """
    lengths = scopes.lengths.ravel()[kept]
    starts = np.append(0, np.cumsum(lengths))
    firsts = scopes.edges[kept // scopes.lengths.shape[1], 0]
    return starts, scopes.index[np.repeat(firsts - starts[:-1], lengths) + np.arange(starts[-1])]


def _reduced(reduce: np.ufunc, values: Any, scopes: Scopes, nothing: int) -> Any:
    return _summed(reduce, values[scopes.index], scopes, nothing)


def _summed(reduce: np.ufunc, values: Any, scopes: Scopes, nothing: int) -> Any:
    """From values in the order of ``index``."""
    starts = scopes.edges[:, :-1]
    pieces = reduce.reduceat(np.append(values, values.dtype.type(nothing)), starts.ravel(), dtype=values.dtype)
    pieces = pieces.reshape(starts.shape)
    pieces[scopes.edges[:, 1:] == starts] = nothing
    return reduce.accumulate(pieces, axis=1)
