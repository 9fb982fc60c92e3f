"""Columns of numbers and ids as Arrow columns, without a look at single values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.ledger.columns import Bytes, Ints


def binary(cells: Bytes) -> pa.Array:
    """Rows of bytes as ids of a fixed width."""
    import pyarrow as pa

    cells = np.ascontiguousarray(cells)
    return pa.Array.from_buffers(pa.binary(cells.shape[1]), len(cells), [None, pa.py_buffer(cells)])


def numbers(
    values: Ints | NDArray[np.bool_], kind: str = "int64", unknown: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Integers as a column of a NumPy type; null where ``unknown``."""
    import pyarrow as pa

    return pa.array(np.ascontiguousarray(values).astype(kind, copy=False), mask=unknown)


def names(places: Ints, known: pa.Array) -> pa.Array:
    """Places in a list of names as a column of those names, each stored once."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), known)


def words(column: pa.Array, size: int) -> NDArray[np.bytes_]:
    """A column of text as cells of a fixed size.

    Raises:
        ValueError: a text is longer.
    """
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    known = np.array([text if isinstance(text, bytes) else text.encode() for text in column.dictionary.to_pylist()])
    if known.itemsize > size and len(known):
        raise ValueError(f"a word of more than {size} letters")
    return known.astype(f"S{size}")[column.indices.to_numpy()] if len(column) else np.zeros(0, f"S{size}")


def lists(starts: Ints, values: pa.Array) -> pa.Array:
    """A column of lists; ``starts`` has the number of all values at its end."""
    import pyarrow as pa

    return pa.ListArray.from_arrays(pa.array(starts.astype(np.int32)), values)


def whole_numbers(values: Any) -> pa.Array:
    """Whole numbers as a column; those of a matrix of 64-bit words, the lowest first, as binaries of a fixed width."""
    import pyarrow as pa

    if values.ndim == 1:
        return pa.array(np.ascontiguousarray(values))
    return binary(np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1))
