"""All metrics of a wallet side by side, for readers who want all of them.

The engine plans a read of 140 columns longer than it reads them. So the same numbers stand once more among the parts of
the wallet's document (``wallet_documents``): one part has the numbers of all its categories and windows, another the
words. Their names hold the order of the values: what older definitions packed is not read as something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.metrics.catalogue import RELATIONS, computed
from polyhouse.models.arrow_columns import words

if TYPE_CHECKING:
    from polyhouse.models.metric_rows import MetricRows

NUMBERS, WORDS = "metrics", "metric words"
_UNKNOWN = 0x7FF8_0000_0000_0001
"""Bits that say that a number has no value; a NaN that somebody computed has others, and is refused by readers."""
_KEY_BYTES = 16
_ROW_ENDS, _WORD_ENDS, _NO_WORD = "\x1e", "\x1f", "\x00"


@cache
def number_names() -> tuple[str, ...]:
    """The numbers of a row, in their order: the samples of the relations, then the metrics that are numbers."""
    return (
        *(relation.sample_column for relation in RELATIONS),
        *(metric.name for metric in computed() if not metric.is_text),
    )


@cache
def word_names() -> tuple[str, ...]:
    """The words of a row, in their order."""
    return tuple(metric.name for metric in computed() if metric.is_text)


@cache
def part_names() -> tuple[str, str]:
    """The parts of numbers and of words in today's order."""
    order = " ".join((*number_names(), "/", *word_names()))
    digest = hashlib.sha256(order.encode()).hexdigest()[:12]
    return f"{NUMBERS} {digest}", f"{WORDS} {digest}"


def packed(rows: MetricRows) -> tuple[NDArray[np.void], list[str]]:
    """The numbers and the words of each row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = len(rows.is_overall)
    records = np.zeros(count, _dtype())
    for key in ("category", "window"):
        records[key] = words(rows.keys[key], _KEY_BYTES)
    values = records["values"]
    for place, name in enumerate(number_names()):
        column = rows.column(name)
        values[:, place] = column.fill_null(0).to_numpy(zero_copy_only=False)
        if column.null_count:
            is_unknown = column.is_null().to_numpy(zero_copy_only=False)
            values.view(np.uint64)[is_unknown, place] = _UNKNOWN
    texts = [rows.column(name).cast(pa.string()) for name in word_names()]
    options = {"null_handling": "replace", "null_replacement": _NO_WORD}
    joined: list[str] = pc.binary_join_element_wise(*texts, _WORD_ENDS, **options).to_pylist()
    return records, joined


def words_of_rows(texts: Sequence[str]) -> bytes:
    """The content of the part of words."""
    return _ROW_ENDS.join(texts).encode()


def unpacked(contents: Mapping[str, bytes]) -> list[dict[str, Any]] | None:
    """Rows of a wallet with ``category``, ``window`` and all samples and metrics, from its parts by their names.

    Returns:
        None if they are not there in today's order, but in another one.
    """
    numbers, texts = part_names()
    if numbers not in contents:
        return None if any(name.startswith(NUMBERS) for name in contents) else []
    records = np.frombuffer(contents[numbers], _dtype())
    values = records["values"].tolist()
    names = (*number_names(), *word_names())
    said = contents[texts].decode().split(_ROW_ENDS)
    for place, column in np.argwhere(np.ascontiguousarray(records["values"]).view(np.uint64) == _UNKNOWN).tolist():
        values[place][column] = None
    return [
        {"category": category.decode(), "window": window.decode()}
        | dict(zip(names, (*row, *_split(text)), strict=True))
        for category, window, row, text in zip(
            records["category"].tolist(), records["window"].tolist(), values, said, strict=True
        )
    ]


def _split(text: str) -> list[str | None]:
    return [None if word == _NO_WORD else word for word in text.split(_WORD_ENDS)]


@cache
def _dtype() -> np.dtype[np.void]:
    return np.dtype(
        [("category", f"S{_KEY_BYTES}"), ("window", f"S{_KEY_BYTES}"), ("values", "<f8", (len(number_names()),))]
    )
