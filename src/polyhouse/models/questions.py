"""Questions about one wallet whose rows come as text or bytes, so that many of them are one statement.

The same questions are asked by readers, of the tables, and by builds, who keep the answers (``wallet_documents``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from polyhouse.models.arrow_columns import words

Row = dict[str, Any]
OF_WALLET = "wallet = toFixedString(unhex({wallet:String}), 20)"
"""Condition of a question about one wallet."""
_WHOLE = {"i8": "toInt64", "u8": "toUInt64", "u4": "toUInt32", "u1": "toUInt8"}
_ID_BYTES, _WORD_BYTES = 32, 16


class Part(Protocol):
    """What a document asks for."""

    @property
    def rest(self) -> str:
        """The statement behind its columns, ``FROM …``. Its order is lost: whoever wants one sorts."""
        ...

    @property
    def text(self) -> str:
        """SQL of one row as a String."""
        ...

    def rows(self, found: list[bytes]) -> list[Row]:
        """The rows that these strings are."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """Rows as JSON: whole numbers are exact, whatever their size; ratios are doubles.

    Attributes:
        columns: name → SQL of its value: a number, text (ids as hex), a truth value, or a list or map of them.
        rest: see ``Part``.
    """

    columns: Mapping[str, str]
    rest: str

    @property
    def text(self) -> str:
        """See ``Part``."""
        return f"formatRowNoNewline('JSONCompactEachRow', {', '.join(self.columns.values())})"

    def rows(self, found: list[bytes]) -> list[Row]:
        """See ``Part``."""
        return [dict(zip(self.columns, json.loads(one), strict=True)) for one in found]


@dataclass(frozen=True)
class Layout:
    """Rows as bytes of a fixed width: the cheapest form for many numbers. A string may hold several rows.

    Attributes:
        fields: column → what it is: ``id`` of 32 bytes, ``name`` of up to 32 bytes, ``i8``, ``u8``, ``u4`` or ``u1``
            whole number of so many bytes (times are Unix seconds), ``i8?`` the same or null, ``bool``, ``word`` of up
            to 16 letters; or the words of an enumeration, of which it is one.
        rest: see ``Part``.
    """

    fields: Mapping[str, str | tuple[str, ...]]
    rest: str

    @property
    def text(self) -> str:
        """See ``Part``."""
        return f"formatRowNoNewline('RowBinary', {', '.join(_sql(*field) for field in self.fields.items())})"

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """One row."""
        return np.dtype([place for field in self.fields.items() for place in _places(*field)])

    def rows(self, found: list[bytes]) -> list[Row]:
        """See ``Part``; ids are bytes.

        Raises:
            ValueError: the bytes are no rows of this layout.
        """
        records = np.frombuffer(b"".join(found), self.dtype)
        columns = [_values(records, *field) for field in self.fields.items()]
        return [dict(zip(self.fields, row, strict=True)) for row in zip(*columns, strict=True)]

    def records(self, columns: Mapping[str, Any]) -> NDArray[np.void]:
        """Arrow columns of the fields' names as rows of bytes: what the engine makes of the same rows."""
        first = next(iter(self.fields))
        records = np.zeros(len(columns[first]), self.dtype)
        for name, kind in self.fields.items():
            _fill(records, name, kind, columns[name])
        return records


def named(*names: str, **others: str) -> dict[str, str]:
    """Columns of a question: these as they are, and others by their SQL."""
    return {name: name for name in names} | others


def _sql(name: str, kind: str | tuple[str, ...]) -> str:
    if isinstance(kind, tuple):
        return f"toUInt8({name})"
    if kind == "word":
        return f"toFixedString(toString({name}), {_WORD_BYTES})"
    if kind == "name":
        return f"toFixedString({name}, {_ID_BYTES}), toUInt8(length({name}))"
    if kind == "i8?":
        return f"toInt64(ifNull({name}, 0)), toUInt8(isNull({name}))"
    if kind == "bool":
        return f"toUInt8({name})"
    return name if kind == "id" else f"{_WHOLE[kind]}({name})"


def _places(name: str, kind: str | tuple[str, ...]) -> list[tuple[str, str]]:
    """The fields of a row of bytes that a column takes."""
    if isinstance(kind, tuple) or kind == "bool":
        return [(name, "u1")]
    if kind in ("id", "word"):
        return [(name, f"V{_ID_BYTES}" if kind == "id" else f"S{_WORD_BYTES}")]
    if kind == "name":
        return [(name, f"V{_ID_BYTES}"), (f"{name} length", "u1")]
    if kind == "i8?":
        return [(name, "<i8"), (f"{name} unknown", "u1")]
    return [(name, f"<{kind}")]


def _values(records: NDArray[np.void], name: str, kind: str | tuple[str, ...]) -> list[Any]:
    values: list[Any] = records[name].tolist()
    if isinstance(kind, tuple):
        return [kind[value] for value in values]
    if kind == "word":
        return [value.decode() for value in values]
    if kind == "name":
        lengths = records[f"{name} length"].tolist()
        return [value[:length] for value, length in zip(values, lengths, strict=True)]
    if kind == "i8?":
        unknown = records[f"{name} unknown"].tolist()
        return [None if is_unknown else value for value, is_unknown in zip(values, unknown, strict=True)]
    return [value != 0 for value in values] if kind == "bool" else values


def _fill(records: NDArray[np.void], name: str, kind: str | tuple[str, ...], column: Any) -> None:
    if kind == "word":
        records[name] = words(column, _WORD_BYTES)
    elif kind == "id":
        from polyhouse.ledger.columns import binary_cells

        records[name] = binary_cells(column).view(f"V{_ID_BYTES}").ravel()
    elif kind == "name":
        cells, lengths = _padded(column)
        records[name] = cells.view(f"V{_ID_BYTES}").ravel()
        records[f"{name} length"] = lengths
    elif kind == "i8?":
        records[name] = column.fill_null(0).to_numpy(zero_copy_only=False)
        records[f"{name} unknown"] = column.is_null().to_numpy(zero_copy_only=False)
    else:
        records[name] = column.to_numpy(zero_copy_only=False)


def _padded(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Binaries as rows of 32 bytes, filled up with zeros, and how long each is.

    Raises:
        ValueError: one is longer.
    """
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets).astype(np.int64)
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    if (lengths == _ID_BYTES).all():
        start = int(offsets[0]) if len(offsets) else 0
        return data[start : start + len(column) * _ID_BYTES].reshape(-1, _ID_BYTES), lengths
    if (lengths > _ID_BYTES).any():
        raise ValueError("an id of more than 32 bytes")
    cells = np.zeros((len(column), _ID_BYTES), np.uint8)
    is_there = np.arange(_ID_BYTES) < lengths[:, None]
    cells[is_there] = data[(offsets[:-1, None] + np.arange(_ID_BYTES))[is_there]]
    return cells, lengths
