"""The answer to a question as Arrow batches: text as text, times as times, amounts exact, units in the schema."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import polyhouse
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.as_of import at_moment
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment
from polyhouse.reads.relations.question import Question
from polyhouse.reads.relations.statement import SQL, Column, Statement, statement_of

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_SECONDS = 3_600.0
"""Of a condition that somebody typed."""
_DECIMAL_BYTES = 16
_MICROS = "_micros"


@dataclass(frozen=True, slots=True)
class Answer:
    """A table that is read when its batches are asked for.

    Attributes:
        schema: of every batch. Its metadata: ``polyhouse.table``, ``.as_of`` (newest row behind computed numbers),
            ``.build`` (number of the newest build), ``.version``; of a field: ``unit``.
        batches: at most 65,536 rows each, read as they are taken.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]

    def close(self) -> None:
        """Give back what the rest would be read with; nothing once all batches are taken."""
        if isinstance(self.batches, Generator):
            self.batches.close()


def answer_question(warehouse: Warehouse, question: Question) -> Answer:
    """Ask a table. What cannot be is refused here, before the first row.

    Raises:
        BadInputError: no such table or column, a value that cannot be, a condition that users may not ask.
        WarehouseUnavailableError: the engine does not answer; also while batches are taken.
    """
    store = at_moment(warehouse, question.as_of) if question.as_of else warehouse
    if question.sql:  # before its columns are asked for
        _refuse_others(question.sql)
        store.query_readonly(f"DESCRIBE TABLE (\n{question.sql}\n)", max_rows=10_000, timeout_seconds=TIMEOUT_SECONDS)
    statement = statement_of(store, question)
    if statement.user_text:
        # The fences of users' SQL, on the very text that is streamed afterwards.
        fenced = f"SELECT count() FROM ({statement.sql}) WHERE false"
        store.query_readonly(fenced, max_rows=1, timeout_seconds=TIMEOUT_SECONDS)
    schema = _schema(statement.columns, question.money, _facts(store, question))
    return Answer(schema, _batches(store, statement, question.money, schema))


def _refuse_others(statement: str) -> None:
    """A table can be made of a SELECT only; SHOW and DESCRIBE are for `polyhouse sql`."""
    first = statement.lstrip("( \t\r\n").split(maxsplit=1)
    if not first or first[0].lower() not in {"select", "with", "from"}:
        raise BadInputError("a table can be made of a SELECT or WITH only", hint="`polyhouse sql` runs the others")


def _facts(warehouse: Warehouse, question: Question) -> dict[str, str]:
    return {
        "polyhouse.table": question.table or SQL,
        "polyhouse.as_of": moment(newest_build_time(warehouse)) or "",
        "polyhouse.build": str(warehouse.query("SELECT max(build) FROM builds").rows[0][0]),
        "polyhouse.version": polyhouse.__version__,
    }


def _schema(columns: Sequence[Column], money: str, facts: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([field for column in columns for field in _fields(column, money)], metadata=facts)


def _fields(column: Column, money: str) -> list[pa.Field]:
    import pyarrow as pa

    if column.kind != "money":
        metadata = {"unit": column.unit} if column.unit else None
        return [pa.field(column.name, _type(column), metadata=metadata)]
    whole = pa.field(column.name + _MICROS, pa.int64(), metadata={"unit": f"millionth of {column.unit or 'one'}"})
    exact = pa.field(column.name, pa.decimal128(38, 6), metadata={"unit": column.unit})
    return {"micros": [whole], "decimal": [exact], "both": [exact, whole]}[money]


def _type(column: Column) -> pa.DataType:
    import pyarrow as pa

    plain = {
        "text": pa.string(), "time": pa.timestamp("ms", "UTC"), "date": pa.date32(), "number": pa.float64(),
        "flag": pa.bool_(), "ratio": pa.decimal128(38, column.scale),
    }  # fmt: skip
    if column.kind == "whole":
        return _whole_type(column.type)
    return _list_type(column.type) if column.kind == "list" else plain[column.kind]


def _whole_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    # Sixteen and eight bits are widened: programs add them up.
    return pa.uint64() if "UInt64" in kind else pa.int64()


def _list_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    if "Decimal" in kind:
        return pa.list_(pa.decimal128(38, 6))
    if "String" in kind:
        return pa.list_(pa.string())
    return pa.list_(pa.float64() if "Float" in kind else pa.uint64() if "UInt64" in kind else pa.int64())


def _batches(warehouse: Warehouse, statement: Statement, money: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    listed = ", ".join(_set(name, value) for name, value in statement.settings.items())
    sql = f"{statement.sql} SETTINGS {listed}" if listed else statement.sql
    for batch in warehouse.query_columns(sql):
        arrays = [
            array
            for column, values in zip(statement.columns, batch.columns, strict=True)
            for array in _arrays(column, values, money)
        ]
        yield pa.record_batch(arrays, schema=schema)


def _set(name: str, value: str) -> str:
    return f"{name} = {value}"


def _arrays(column: Column, values: pa.Array, money: str) -> list[pa.Array]:
    if column.kind != "money":
        return [_converted(column, values)]
    if money == "decimal":
        return [values.cast(_type_of_money())]
    whole = micros(values)
    return [whole] if money == "micros" else [values.cast(_type_of_money()), whole]


def _type_of_money() -> pa.DataType:
    import pyarrow as pa

    return pa.decimal128(38, 6)


def _converted(column: Column, values: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = _type(column)
    if column.kind == "time":  # unsigned seconds, 0 = unknown
        return _known(values.cast(pa.int64())).cast(pa.timestamp("s", "UTC")).cast(wanted)
    if column.kind == "date" and not pa.types.is_date32(values.type):
        return values.cast(pa.int32()).cast(wanted)
    if column.kind == "number":
        doubles = values.cast(pa.float64())
        return pc.if_else(pc.is_finite(doubles), doubles, None)
    return values.cast(wanted)


def _known(seconds: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(seconds, 0), None, seconds)


def micros(values: Any) -> pa.Array:
    """Decimals with 6 places as whole micro units, from the same bytes: a decimal is its digits as an integer.

    Raises:
        OverflowError: an amount above 9.2 trillion.
    """
    import pyarrow as pa

    words = np.frombuffer(values.buffers()[1], np.int64)[2 * values.offset : 2 * (values.offset + len(values))]
    low, high = words[0::2], words[1::2]
    is_known = np.asarray(values.is_valid())
    if np.any((high != low >> 63) & is_known):
        raise OverflowError("an amount does not fit into 64 bits of micro units")
    return pa.array(np.where(is_known, low, 0), pa.int64(), mask=None if is_known.all() else ~is_known)
