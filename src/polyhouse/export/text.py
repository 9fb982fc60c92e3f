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


_PLAIN_SCALE = 6
"""Arrow prints decimals of more places with an exponent when they are small."""


def csv_pieces(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """RFC 4180 with a header line; null is an empty field, lists are JSON, flags are true and false."""
    import pyarrow as pa
    import pyarrow.csv

    yield _line(schema.names)
    options = pyarrow.csv.WriteOptions(include_header=False, eol="\r\n")
    for batch in batches:
        sink = pa.BufferOutputStream()
        texts = [_texts(column) for column in batch.columns]
        pyarrow.csv.write_csv(pa.record_batch(texts, names=schema.names), sink, options)
        yield sink.getvalue().to_pybytes()


def _texts(column: pa.Array) -> pa.Array:
    """A column as Arrow's own writer shall print it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind):
        return pc.strftime(column.cast(pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    is_small = pa.types.is_decimal(kind) and kind.scale > _PLAIN_SCALE
    if is_small or pa.types.is_floating(kind) or pa.types.is_list(kind):
        return pa.array([_csv_cell(value) for value in column.to_pylist()], pa.string())
    return column


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


def _csv_cell(value: Any) -> str | None:
    plain = readable(value)
    if isinstance(plain, Decimal):
        return format(plain, "f")
    return encode(plain).decode() if isinstance(plain, list) else plain


def _line(names: list[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerow(names)
    return out.getvalue().encode()
