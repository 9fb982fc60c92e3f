"""Metrics of a row side by side in one column, for readers who want all of a wallet.

The engine plans a read of 140 columns longer than it reads them, so both metric tables hold the same numbers once more
in ``packed``, the words in ``packed_words``; the engine fills both whenever a row is written without them.
``packed_by`` names the order of a row's values: rows of older definitions keep theirs until a build writes them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhouse.metrics.catalogue import RELATIONS, computed
from polyhouse.models.arrow_columns import lists, names

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = {
    "packed": "Array(Nullable(Float64))",
    "packed_words": "Array(Nullable(String))",
    "packed_by": "LowCardinality(String)",
}
"""Name → type of the columns that hold the others once more."""


@cache
def number_names() -> tuple[str, ...]:
    """Columns in ``packed``, in its order: the samples of the relations, then the metrics that are numbers."""
    return (
        *(relation.sample_column for relation in RELATIONS),
        *(metric.name for metric in computed() if not metric.is_text),
    )


@cache
def word_names() -> tuple[str, ...]:
    """Columns in ``packed_words``, in its order."""
    return tuple(metric.name for metric in computed() if metric.is_text)


@cache
def order() -> str:
    """Names today's order of the values."""
    return hashlib.sha256(" ".join((*number_names(), "/", *word_names())).encode()).hexdigest()[:12]


def is_today(defaults: Mapping[str, str]) -> bool:
    """Whether a table whose columns have these default expressions packs its rows in today's order."""
    return order() in defaults.get("packed_by", "")


def unpacking() -> list[str]:
    """Changes of a table after which none of its columns is needed for packing."""
    return [f"MODIFY COLUMN {name} {kind} MATERIALIZED {_EMPTY[name]}" for name, kind in COLUMNS.items()]


def packing() -> list[str]:
    """Changes of a table that has all metrics, after which its rows are packed as they are written."""
    samples = {relation.sample_column for relation in RELATIONS}
    numbers = ", ".join(f"toNullable(toFloat64({name}))" if name in samples else name for name in number_names())
    made = {"packed": f"[{numbers}]", "packed_words": f"[{', '.join(word_names())}]", "packed_by": f"'{order()}'"}
    return [f"MODIFY COLUMN {name} {kind} MATERIALIZED {made[name]}" for name, kind in COLUMNS.items()]


def packed(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """What these changes make of rows; for rows that are written as columns, where it costs a tenth."""
    import pyarrow as pa

    rows = len(next(iter(columns.values())))
    numbers = [columns[name] for name in number_names()]
    values = np.empty((len(numbers), rows), np.float64)
    unknown = np.zeros((len(numbers), rows), bool)
    for place, column in enumerate(numbers):
        values[place] = column.fill_null(0).to_numpy()
        if column.null_count:
            unknown[place] = column.is_null().to_numpy(zero_copy_only=False)
    words = pa.concat_arrays([columns[name] for name in word_names()])
    order_of_words = np.arange(len(words)).reshape(-1, rows).T.ravel()
    made = {
        "packed": pa.array(values.T.ravel(), mask=unknown.T.ravel()),
        "packed_words": words.take(pa.array(order_of_words)),
    }
    found = {name: lists(np.arange(rows + 1) * (len(made[name]) // max(rows, 1)), made[name]) for name in made}
    return found | {"packed_by": names(np.zeros(rows, np.int32), pa.array([order()]))}


def unpacked(numbers: Sequence[float | None], words: Sequence[str | None], by: str) -> dict[str, Any] | None:
    """Name → value of one row; None if it was packed in another order than today's."""
    if by != order():
        return None
    return dict(zip((*number_names(), *word_names()), (*numbers, *words), strict=True))


_EMPTY = {"packed": "[]", "packed_words": "[]", "packed_by": "''"}
