"""Engine results → Python rows: which String is text and which is a binary id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from polyhouse.ports import QueryResult

BINARY_COLUMNS = frozenset(
    {"condition", "conditions", "unit", "neg_risk_market", "question_id", "market", "part_bytes"}
)
"""String columns of the schema that hold 31- or 32-byte ids, or other bytes; the views name ids otherwise
(``condition_id``, …).
"""


def decode_columns(result: Any) -> QueryResult:
    """Rows of a column-oriented clickhouse-connect result that was read with Strings as bytes."""
    names = tuple(result.column_names)
    columns = [
        _decode(name, kind.name, values)
        for name, kind, values in zip(names, result.column_types, result.result_set, strict=True)
    ]
    return QueryResult(columns=names, rows=list(zip(*columns, strict=True)))


def _decode(name: str, kind: str, values: Sequence[Any]) -> Sequence[Any]:
    if "String" not in kind.replace("FixedString", "") or name in BINARY_COLUMNS:
        return values
    decode: Callable[[Any], Any] = _decode_items if kind.startswith("Array(") else _decode_text
    if kind.startswith(("Tuple(", "Map(", "Array(Tuple(", "Array(Array(")):
        return values
    return [decode(value) for value in values]


def _decode_text(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        # Bytes under a name we do not know: better the bytes than a guess.
        return value


def _decode_items(value: Sequence[Any]) -> list[Any]:
    return [_decode_text(item) for item in value]
