"""Connections and transactions of the state store.

SQLite: WAL with synchronous=FULL (a checkpoint must not be less durable than it claims, and never more durable than the
rows it stands behind: the warehouse syncs first), every writing transaction takes the write lock at once (BEGIN
IMMEDIATE), so that it never fails in the middle because another process wrote.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError, OperationalError

from polyhouse.errors import AuthError, ConfigError, PolyhouseError, RetryableError

SUPPORTED = "sqlite:////absolute/state.db or postgresql://user:password@host:5432/database"
_BUSY_SECONDS = 30


def parse_url(url: str) -> URL:
    """Read a state URL.

    Raises:
        ConfigError: not SQLite on a file or PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("The state store's URL is malformed.", hint=f"Use {SUPPORTED}.") from error
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise ConfigError("The state store needs a file.", hint=f"Use {SUPPORTED}.")
        return parsed
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == backend else parsed
    raise ConfigError(f"{backend}:// is not a supported state store.", hint=f"Use {SUPPORTED}.")


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL, else None."""
    return Path(str(url.database)) if url.drivername.startswith("sqlite") else None


def connect(url: URL) -> Engine:
    """An engine with the store's durability settings.

    Raises:
        ConfigError: the database driver is not installed.
    """
    try:
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS} if sqlite_path(url) else {})
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            f"The driver for {url.drivername} is not installed.", hint="pip install 'psycopg[binary]'"
        ) from error
    if sqlite_path(url):
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by us (see _begin_sqlite); the driver's own BEGIN would be a deferred one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("polyhouse_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """Database errors leave as errors of the product, without statement text, values or passwords.

    Raises:
        RetryableError: busy, full, or not reachable.
        ConfigError: the file is damaged or not a database.
        AuthError: PostgreSQL refused the user.
    """
    try:
        yield
    except DBAPIError as error:
        raise _translate(error) from error


def _translate(error: DBAPIError) -> PolyhouseError:
    text = str(error.orig).strip() or type(error).__name__
    lower = text.lower()
    if "malformed" in lower or "not a database" in lower or "file is encrypted" in lower:
        return ConfigError(f"The state store is damaged: {text}.", hint=_RESTORE_HINT)
    if "password authentication failed" in lower:
        return AuthError("The state store refused the user or password.")
    if "unable to open" in lower or "readonly database" in lower:
        return ConfigError(f"The state store cannot be used: {text}.")
    if isinstance(error, OperationalError) or error.connection_invalidated:
        return RetryableError(f"The state store is unavailable: {text}.")
    if isinstance(error, DatabaseError):
        return PolyhouseError(f"The state store refused a statement of ours: {text}.")
    return PolyhouseError(f"The state store failed: {text}.")


_RESTORE_HINT = (
    "Move the file away: a fresh one is rebuilt from the warehouse's manifest, nothing that was read is read wrong."
)


def storable(text: str, limit: int | None = None) -> str:
    """Text from outside as every database takes it: without NUL and lone surrogates, cut at ``limit`` characters."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:limit]


class Database:
    """Transactions on one state store; thread-safe, one writer at a time in this process.

    Args:
        engine: from ``connect``.
        now: wall clock, Unix seconds.
    """

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now
        self._write_lock = threading.RLock()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._write_lock, translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            yield connection.execution_options(polyhouse_reading=True)

    def _time(self) -> int:
        return int(self._now())

    def _insert(self, table: Table) -> Any:
        """An INSERT with ``on_conflict_…``, which both databases have, each in its own module."""
        if self._engine.dialect.name == "sqlite":
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Release the store."""
        self._engine.dispose()
