"""The forms in which a document is answered: JSON, and its table as CSV or Arrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyhouse.reads.exact import encode
from polyhouse.serve.refusals import NotAcceptableError
from polyhouse.serve.schemas.documents import TABLES
from polyhouse.serve.schemas.fields import Column, Kind, columns

if TYPE_CHECKING:
    import pyarrow as pa

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"

Render = Callable[[str, Mapping[str, Any]], bytes]


@dataclass(frozen=True, slots=True)
class Form:
    """One form. ``render`` takes the name of the read function and its document."""

    media_type: str
    render: Render


def chosen_form(name: str, accept: str) -> Form:
    """The form that the ``Accept`` header asks for; JSON where it does not care.

    Raises:
        NotAcceptableError: it takes nothing that there is.
    """
    offered = [form for form in FORMS if form.media_type == JSON or name in TABLES]
    quality = {form: _quality(form.media_type, accept) for form in offered}
    best = max(offered, key=lambda form: quality[form])  # the first of equals
    if not quality[best]:
        kinds = ", ".join(form.media_type for form in offered)
        raise NotAcceptableError("nothing of what Accept names can be answered", hint=f"there is {kinds}")
    return best


def takes_gzip(accept_encoding: str) -> bool:
    """Whether a client takes compressed answers."""
    for word in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in word.split(";"))
        if name == "gzip":
            return _weight_of(parameters) > 0
    return False


def _quality(media_type: str, accept: str) -> float:
    """How much the header wants this type, 0 = not at all: the most precise of its words counts (RFC 9110 §12.5.1)."""
    if not accept.strip():
        return 1.0
    group = media_type.split("/", maxsplit=1)[0] + "/*"
    found = (0, 0.0)
    for word in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in word.split(";"))
        precision = {media_type: 3, group: 2, "*/*": 1}.get(kind, 0)
        if precision > found[0]:
            found = precision, _weight_of(parameters)
    return found[1]


def _weight_of(parameters: list[str]) -> float:
    text = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _json(_name: str, document: Mapping[str, Any]) -> bytes:
    return encode(document)


def _csv(name: str, document: Mapping[str, Any]) -> bytes:
    """RFC 4180 with a header line; null is an empty field, lists and objects are JSON."""
    table = TABLES[name]
    shown = columns(table.fields)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.name for column in shown])
    writer.writerows([_cell(column.value(row)) for column in shown] for row in document[table.path])
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return encode(value).decode()
    return value


def arrow_table(name: str, document: Mapping[str, Any]) -> pa.Table:
    """The table of a document in Arrow; money is decimal128 with 6 decimals, ratios with 9."""
    import pyarrow as pa

    table = TABLES[name]
    shown = columns(table.fields)
    rows = document[table.path]
    schema = pa.schema([(column.name, _arrow_type(column.kind)) for column in shown])
    arrays = [_arrow_array(column, rows, schema.field(column.name).type) for column in shown]
    return pa.table(arrays, schema=schema)


def _arrow(name: str, document: Mapping[str, Any]) -> bytes:
    """An Arrow IPC stream."""
    import pyarrow as pa

    table = arrow_table(name, document)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    types = {
        "count": pa.int64(), "money": pa.decimal128(38, 6), "ratio": pa.decimal128(38, 9), "number": pa.float64(),
        "flag": pa.bool_(), "words": pa.list_(pa.string()),
    }  # fmt: skip
    return types.get(kind, pa.string())


def _arrow_array(column: Column, rows: list[Mapping[str, Any]], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    values = [column.value(row) for row in rows]
    if column.kind == "number":
        values = [None if value is None else float(value) for value in values]
    elif column.kind in {"document", "value"}:
        values = [None if value is None else _text(value) for value in values]
    return pa.array(values, kind)


def _text(value: Any) -> str:
    return encode(value).decode() if isinstance(value, Mapping | list | tuple) else str(value)


FORMS = (Form(JSON, _json), Form(CSV, _csv), Form(ARROW, _arrow))
