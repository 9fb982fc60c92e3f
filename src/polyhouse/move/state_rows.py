"""All rows of a state store, from one engine to another: SQLite and PostgreSQL hold the same tables.

A copy is read in one snapshot and written in one transaction, so it is all of one moment, or nothing.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, text

from polyhouse.errors import ConfigError
from polyhouse.state.database import RESTORE_NOTE, SCHEMA, parse_url, sqlite_path, translated
from polyhouse.state.lifecycle import database_clock, open_engine
from polyhouse.state.queue import LEASE_SECONDS
from polyhouse.state.schema import checkpoints, metadata, notes, runs

_BATCH = 2_000


def copy_state(source_url: str, target_url: str) -> dict[str, int]:
    """Make the target hold what the source holds, and nothing else; the target is made if it is not there.

    Returns:
        Rows by table.

    Raises:
        RetryableError: one of them does not answer; the target is as it was.
        ConfigError: one of them cannot be opened.
    """
    with opened(source_url) as source, opened(target_url) as target:
        with _snapshot(source) as reading, _writing(target) as writing:
            rows = {table.name: _replace(reading, writing, table.name) for table in metadata.sorted_tables}
            if target.dialect.name == "postgresql":
                _number_on(writing)
        return rows


def save_state(url: str, file: Path) -> dict[str, int]:
    """A copy of the store as one SQLite file, whichever engine it is on. Returns rows by table.

    Raises:
        RetryableError: the store does not answer.
        ConfigError: it cannot be opened.
    """
    path = sqlite_path(parse_url(url))
    if path is None:
        rows = copy_state(url, f"sqlite:///{file}")
    else:
        with opened(url) as engine, _snapshot(engine) as reading:
            rows = {table.name: _count(reading, table.name) for table in metadata.sorted_tables}
            save_file(path, file)
    _as_one_file(file)
    return rows


def save_file(path: Path, file: Path) -> None:
    """A consistent copy of a SQLite file that others may be writing to."""
    source, copy = sqlite3.connect(f"file:{path}?mode=ro", uri=True), sqlite3.connect(file)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()


def newest_work(url: str) -> int:
    """When something was last done with this store, Unix seconds; 0 = never."""
    with opened(url) as engine, _snapshot(engine) as reading:
        times = (func.max(runs.c.started_at), func.max(runs.c.finished_at))
        found = [
            *reading.execute(select(*times)).one(),
            reading.execute(select(func.max(checkpoints.c.updated_at))).scalar(),
        ]
    return max(int(moment or 0) for moment in found)


def runs_at_work(url: str) -> list[str]:
    """Commands of other machines that gave a sign of life lately; [] on SQLite, where the warehouse's lock tells."""
    with opened(url) as engine, _snapshot(engine) as reading:
        if engine.dialect.name == "sqlite":
            return []
        alive = runs.c.alive_at > int(database_clock(engine)()) - LEASE_SECONDS
        found = reading.execute(select(runs.c.command, runs.c.worker).where(runs.c.status == "running", alive))
        return [f"{command} ({worker})" for command, worker in found]


def mark_restore(url: str, what: str | None) -> None:
    """Say that the stores are being replaced by ``what``, so that nobody works on them; None: not any more."""
    with opened(url) as engine, _writing(engine) as writing:
        writing.execute(notes.delete().where(notes.c.key == RESTORE_NOTE))
        if what is not None:
            row = {"key": RESTORE_NOTE, "value": json.dumps(what), "updated_at": int(time.time())}
            writing.execute(notes.insert(), row)


def restore_in_progress(url: str) -> bool:
    """Whether ``mark_restore`` was said and not taken back."""
    with opened(url) as engine, _snapshot(engine) as reading:
        return reading.execute(select(notes.c.key).where(notes.c.key == RESTORE_NOTE)).first() is not None


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """The store, with the schema of today."""
    engine = open_engine(url)
    try:
        with translated(engine.url):
            yield engine
    finally:
        engine.dispose()


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as plain:
        options: Mapping[str, object] = {"polyhouse_reading": True, "polyhouse_long": True}
        if engine.dialect.name == "postgresql":
            options = {**options, "isolation_level": "REPEATABLE READ"}
        connection = plain.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as plain:
        connection = plain.execution_options(polyhouse_long=True)
        with connection.begin():
            yield connection


def _replace(reading: Connection, writing: Connection, name: str) -> int:
    table = metadata.tables[name]
    writing.execute(table.delete())
    count = 0
    rows = reading.execution_options(yield_per=_BATCH).execute(select(table)).mappings()
    for batch in rows.partitions():
        writing.execute(table.insert(), [dict(row) for row in batch])
        count += len(batch)
    return count


def _count(reading: Connection, name: str) -> int:
    return int(reading.execute(select(func.count()).select_from(metadata.tables[name])).scalar_one())


def _number_on(writing: Connection) -> None:
    """Rows that came with their numbers leave PostgreSQL's own counting behind."""
    for table in metadata.sorted_tables:
        if table.autoincrement_column is not None:
            writing.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{SCHEMA}.{table.name}', 'id'),"
                    f" GREATEST((SELECT max(id) FROM {table.name}), 1))"
                )
            )


def _as_one_file(file: Path) -> None:
    """Without the side files of a database that is written to, and checked page by page."""
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    finally:
        connection.close()
    if verdict != "ok":
        raise ConfigError(f"The state store's copy is damaged: {verdict}.")
