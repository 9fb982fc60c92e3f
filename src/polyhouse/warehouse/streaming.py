"""Large results as Arrow batches. The one place where embedded and server differ: clickhouse-connect holds a whole
Arrow result of the embedded engine in memory, so its own streaming interface is used there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polyhouse.warehouse.engine import Engine, embedded_connection_string, session_settings
from polyhouse.warehouse.faults import translate
from polyhouse.warehouse.location import Embedded

if TYPE_CHECKING:
    import pyarrow as pa

BULK = "SETTINGS max_block_size = 65505, preferred_block_size_bytes = 4194304"
"""Of statements that read much: the embedded engine's small blocks keep loaders small, but cost twice here."""
_BATCH_ROWS = 65_536


def stream_batches(engine: Engine, sql: str, params: Mapping[str, Any] | None) -> Iterator[pa.RecordBatch]:
    """See ``ClickHouseWarehouse.query_columns``."""
    if isinstance(engine.location, Embedded):
        return _embedded(engine, sql, params)
    return _server(engine, sql, params)


def _embedded(engine: Engine, sql: str, params: Mapping[str, Any] | None) -> Iterator[pa.RecordBatch]:
    from clickhouse_connect.driver.binding import bind_query

    text, bound = bind_query(sql, dict(params) if params else None)
    values = {name.removeprefix("param_"): value for name, value in bound.items()}
    with _handle(engine, {}) as handle:
        result = handle.send_query(text, "Arrow", params=values)
        try:
            yield from _bounded(result.record_batch(_BATCH_ROWS))
        finally:
            result.close()


@contextmanager
def _handle(engine: Engine, settings: Mapping[str, Any]) -> Iterator[Any]:
    """A connection of the embedded engine's own module, with settings on top of those of our sessions."""
    import chdb

    location = engine.location
    assert isinstance(location, Embedded)
    connect: Callable[[str], Any] = chdb.connect
    chosen = {**session_settings(location), **settings}
    with engine.borrow():  # keeps the engine open, and counts this handle against the pool
        handle = None
        try:
            handle = connect(embedded_connection_string(location))
            handle.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in chosen.items()))
            if engine.database:
                handle.query(f"USE {engine.database}")
            yield handle
        except RuntimeError as error:
            raise translate(_coded(error)) from error
        finally:
            if handle is not None:
                handle.close()


def insert_in_memory(engine: Engine, table: str, rows: pa.Table, settings: Mapping[str, Any]) -> None:
    """Insert Arrow columns into a table of the embedded engine from where they lie, without a file between."""
    names = ", ".join(rows.column_names)
    # The engine finds `rows` by its name among our local variables.
    sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM Python(rows)"
    with _handle(engine, settings) as handle:
        handle.query(sql)


def _server(engine: Engine, sql: str, params: Mapping[str, Any] | None) -> Iterator[pa.RecordBatch]:
    with (
        engine.borrow() as client,
        client.query_arrow_stream(sql, parameters=dict(params) if params else None, use_strings=False) as stream,
    ):
        yield from _bounded(stream)


def _bounded(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The engine's blocks, cut to at most ``_BATCH_ROWS`` rows (views, not copies), without empty ones."""
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(start, _BATCH_ROWS)


def _coded(error: RuntimeError) -> Exception:
    """The engine's error with its code, as clickhouse-connect would raise it."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    _, _, tail = str(error).partition("Code: ")
    digits = tail.split(".", 1)[0]
    return DatabaseError(str(error), code=int(digits) if digits.isdigit() else None)
