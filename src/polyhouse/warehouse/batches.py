"""Columns of a declared table → one Arrow table in the declared types, or an error that names the first bad value.

Arrow alone is too kind for money: it turns ``1.0`` and ``True`` into ``1``. So the Python type of every value is
checked first; a set of types over a list costs about 20 ns a value.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from polyhouse.errors import BadInputError
from polyhouse.tables import KINDS, SOURCES, Columns, ColumnType, Table

if TYPE_CHECKING:
    import pyarrow as pa

_PYTHON_TYPE: Mapping[ColumnType, type] = {
    "address": bytes, "id32": bytes, "condition": bytes, "i64": int, "u64": int, "u32": int, "u16": int, "u8": int,
    "bool": bool, "time": int, "text": str, "word": str,
}  # fmt: skip
_ITEM_TYPE: Mapping[ColumnType, type] = {"texts": str, "id32s": bytes, "u64s": int, "i64s": int}
_CONDITION_LENGTHS = frozenset({0, 31, 32})
_ALLOWED_WORDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("observations", "source"): frozenset(SOURCES),
    ("observations", "kind"): frozenset(KINDS),
}


def arrow_type(column: ColumnType) -> pa.DataType:
    """The Arrow type a declared column travels in."""
    import pyarrow as pa

    builders: Mapping[ColumnType, Callable[[], pa.DataType]] = {
        "address": lambda: pa.binary(20),
        "id32": lambda: pa.binary(32),
        "condition": pa.binary,
        "i64": pa.int64,
        "u64": pa.uint64,
        "u32": pa.uint32,
        "u16": pa.uint16,
        "u8": pa.uint8,
        "bool": pa.bool_,
        "time": pa.uint32,
        "text": pa.string,
        "word": pa.string,
        "texts": lambda: pa.list_(pa.string()),
        "id32s": lambda: pa.list_(pa.binary(32)),
        "u64s": lambda: pa.list_(pa.uint64()),
        "i64s": lambda: pa.list_(pa.int64()),
    }
    return builders[column]()


def to_arrow(table: Table, columns: Columns, *, run: int) -> pa.Table:
    """Build the batch without ``version``; ``run`` is filled, columns that are left out take the table's defaults
    inside the engine, which is cheaper than to carry them there.

    Raises:
        BadInputError: unknown column, unequal lengths, or a value of the wrong type, size or range; the message names
            table, column and row (0-based).
    """
    import pyarrow as pa

    rows = _row_count(table, columns)
    arrays, fields = [], []
    for name, kind in table.columns.items():
        if name == "version":
            continue
        if name == "run":
            array = pa.repeat(pa.scalar(_checked_run(table, columns, run), pa.uint64()), rows)
        elif name in columns:
            array = _array(table, name, kind, columns[name])
        else:
            continue
        arrays.append(array)
        fields.append(pa.field(name, array.type, nullable=False))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def content_digest(batch: pa.Table) -> bytes:
    """sha256 over the values of every column except ``run``: equal exactly for equal batches."""
    import pyarrow as pa

    digest = hashlib.sha256()
    kept = batch.drop_columns(["run"]) if "run" in batch.column_names else batch
    # The stream format is a function of schema and values once offsets start at zero, which copying guarantees.
    with pa.ipc.new_stream(sink := _HashSink(digest.update), kept.schema) as writer:
        writer.write_table(kept.combine_chunks())
    del sink
    return digest.digest()


class _HashSink:
    """A write-only file object that feeds a digest, so that a batch is hashed without a copy of it in memory."""

    closed = False

    def __init__(self, update: Callable[[bytes], None]) -> None:
        self._update = update

    def write(self, data: Any) -> int:
        self._update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is held open."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _row_count(table: Table, columns: Columns) -> int:
    unknown = sorted(set(columns) - set(table.columns))
    if unknown:
        raise BadInputError(f"Table {table.name} has no column {', '.join(unknown)}.")
    if "version" in columns:
        raise BadInputError(f"Column version of {table.name} is filled by the warehouse and cannot be given.")
    lengths = {name: len(values) for name, values in columns.items()}
    if not lengths:
        raise BadInputError(f"A batch for {table.name} has no columns.")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}={length}" for name, length in lengths.items())
        raise BadInputError(f"Columns of a batch for {table.name} have different lengths: {shown}.")
    return next(iter(lengths.values()))


def _checked_run(table: Table, columns: Columns, run: int) -> int:
    given = columns.get("run")
    if given is not None and any(value != run for value in given):
        raise BadInputError(f"Column run of {table.name} differs from the run of the batch ({run}).")
    return run


def _array(table: Table, name: str, kind: ColumnType, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    # Most columns of words have one word: comparing costs less than to convert each of them.
    is_one_word = kind == "word" and len(values) > 1 and list(values).count(values[0]) == len(values)
    problem = _find_problem(table, name, kind, values[:1] if is_one_word else values)
    if problem is not None:
        raise _bad(table, name, kind, *problem)
    declared = arrow_type(kind)
    try:
        if is_one_word:
            return pa.repeat(pa.scalar(values[0], declared), len(values))
        return _lists_of_ids(values) if kind == "id32s" else pa.array(values, declared)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
        pass
    for row, value in enumerate(values):
        try:
            pa.array([value], declared)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError, TypeError, ValueError):
            raise _bad(table, name, kind, row, value) from None
    raise BadInputError(f"Column {name} of {table.name} is too large for one batch.")


def _lists_of_ids(values: Sequence[Sequence[bytes]]) -> pa.Array:
    """Lists of 32-byte ids, made flat: a third of the time that nested values take."""
    import pyarrow as pa

    offsets = pa.array(accumulate(map(len, values), initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(list(chain.from_iterable(values)), pa.binary(32)))


def _find_problem(table: Table, name: str, kind: ColumnType, values: Sequence[Any]) -> tuple[int, Any] | None:
    """The first row whose value has the wrong Python type, length or word."""
    if kind in _ITEM_TYPE:
        wanted = {_ITEM_TYPE[kind]}
        if set(map(type, values)) <= {list, tuple} and set(map(type, chain.from_iterable(values))) <= wanted:
            return None
        return _first(values, lambda value: isinstance(value, (list, tuple)) and set(map(type, value)) <= wanted)
    python_type = _PYTHON_TYPE[kind]
    if set(map(type, values)) - {python_type}:
        return _first(values, lambda value: type(value) is python_type)
    if kind == "condition" and not set(map(len, values)) <= _CONDITION_LENGTHS:
        return _first(values, lambda value: len(value) in _CONDITION_LENGTHS)
    words = _ALLOWED_WORDS.get((table.name, name))
    if words is not None and not words.issuperset(values):
        return _first(values, words.__contains__)
    return None


def _first(values: Sequence[Any], accepted: Callable[[Any], bool]) -> tuple[int, Any] | None:
    return next(((row, value) for row, value in enumerate(values) if not accepted(value)), None)


def _bad(table: Table, name: str, kind: ColumnType, row: int, value: Any) -> BadInputError:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "…"
    return BadInputError(f"{table.name}.{name}, row {row}: {shown} is not a valid {kind}.")
