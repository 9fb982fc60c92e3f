"""CSV and JSON Lines: exact digits, ISO times, one row a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from polyhouse.reads.exact import encode, shortest

if TYPE_CHECKING:
    import pyarrow as pa


def csv_pieces(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """RFC 4180 with a header line; null is an empty field, lists are JSON, flags are true and false."""
    yield _csv_lines([schema.names])
    for batch in batches:
        columns = [[_csv_cell(value) for value in column.to_pylist()] for column in batch.columns]
        yield _csv_lines(zip(*columns, strict=True))


def json_lines(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """One JSON object a line; amounts are numbers with all their digits."""
    names = schema.names
    for batch in batches:
        columns = [[readable(value) for value in column.to_pylist()] for column in batch.columns]
        lines = [encode(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]
        yield b"".join(line + b"\n" for line in lines)


def readable(value: Any) -> Any:
    """A cell as documents have it: times as ISO 8601 text, doubles by their shortest digits."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return shortest(value)
    return [readable(one) for one in value] if isinstance(value, list) else value


def _csv_cell(value: Any) -> Any:
    plain = readable(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, Decimal):
        return format(plain, "f")
    return encode(plain).decode() if isinstance(plain, list) else plain


def _csv_lines(rows: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
