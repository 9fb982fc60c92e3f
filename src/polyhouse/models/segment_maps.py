"""Sums by a key inside of scopes and windows: what the engine calls ``sumMap``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Ints
from polyhouse.models.arrow_columns import lists, numbers, whole_numbers
from polyhouse.models.segments import Scopes, sums_of_runs

if TYPE_CHECKING:
    import pyarrow as pa


def sums_by_key(
    keys: pa.Array, values: Sequence[Any], chosen: NDArray[np.bool_], scopes: Scopes, kept: Ints
) -> list[pa.Array]:
    """Columns of lists, per kept scope and window: the keys in their order, and the sums of each value by key.

    Keys all of whose sums are 0 are left out, as the engine does.

    Args:
        keys: per row.
        values: per row, each as ``segments.sums`` takes them.
        chosen: rows that count.
        scopes: of the rows.
        kept: places in scopes × windows.
    """
    names, code = ranked(keys)
    windows = scopes.lengths.shape[1]
    piece = np.repeat(np.arange(scopes.lengths.size), np.diff(scopes.edges, axis=1).ravel())
    places = np.flatnonzero(chosen[scopes.index])
    rows = scopes.index[places]
    cell, sums = _added(piece[places] * len(names) + code[rows], [value[rows] for value in values])
    # What lies between the starts of two windows belongs to all windows from there on.
    piece, code = cell // max(len(names), 1), cell % max(len(names), 1)
    times = windows - piece % windows
    source = np.repeat(np.arange(len(cell)), times)
    step = np.arange(len(source)) - np.repeat(np.cumsum(times) - times, times)
    cell, sums = _added((piece[source] + step) * len(names) + code[source], [value[source] for value in sums])
    is_some = np.zeros(len(cell), dtype=bool)
    for value in sums:
        is_some |= value.astype(bool) if value.ndim == 1 else value.any(axis=1)
    window = cell // max(len(names), 1)
    is_some &= np.isin(window, kept)
    starts = np.append(np.searchsorted(window[is_some], kept), is_some.sum())
    found = [names.take(numbers(cell[is_some] % max(len(names), 1)))]
    found += [whole_numbers(value[is_some]) for value in sums]
    return [lists(starts, column) for column in found]


def ranked(keys: pa.Array) -> tuple[pa.Array, Ints]:
    """The different keys in their order, and the place of each row's key among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(keys)
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), rank[encoded.indices.to_numpy()]


def _added(cells: Ints, values: Sequence[Any]) -> tuple[Ints, list[Any]]:
    """The different cells, ascending, and the sum of each value over the entries of one."""
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])) if len(cells) else cells
    return cells[first], [sums_of_runs(value[order], first) for value in values]
