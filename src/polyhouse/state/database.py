"""Connections and transactions of the state store.

SQLite: WAL with synchronous=FULL (a checkpoint must not be less durable than it claims, and never more durable than the
rows it stands behind: the warehouse syncs first), every writing transaction takes the write lock at once (BEGIN
IMMEDIATE), so that it never fails in the middle because another process wrote.

PostgreSQL: a pool of connections; one that broke while it was idle is replaced before its next use, one that breaks
inside a transaction is an error (whether the commit arrived is not known; everything here may be done again). All that
a session needs to know is said once per transaction, and nothing is prepared on the server, so that poolers which hand
out a connection per transaction (Supabase, PgBouncer) work. The tables live in a schema of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from polyhouse.errors import ConfigError, RetryableError
from polyhouse.failpoints import reach
from polyhouse.state.ahead import AheadOfTime
from polyhouse.state.failures import translate

SUPPORTED = "sqlite:////absolute/state.db or postgresql://user:password@host:5432/database"
SCHEMA = "polyhouse"
"""Schema of the tables on PostgreSQL: beside an application's own tables, and outside what Supabase serves by REST."""

RESTORE_NOTE = "restore"
"""The note that stands here while the stores are being replaced by a backup; nobody works beside that."""

STATEMENT_SECONDS = 60
LONG_STATEMENT_SECONDS = 900
"""Bounds of one statement on PostgreSQL; the longer one for what touches the whole registry, and for migrations."""

_BUSY_SECONDS = 30
_CONNECT_SECONDS = 10
_RECYCLE_SECONDS = 1_800
FORGOT = "polyhouse_forgot"
"""Set in the ``info`` of a connection whose transaction deletes checkpoints: what was read ahead is void with it."""


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
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"{parsed.drivername}:// is not a supported state store.", hint=f"Use {SUPPORTED}.")


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite URL, else None."""
    return Path(str(url.database)) if url.drivername.startswith("sqlite") else None


def connect(url: URL) -> Engine:
    """An engine with the store's settings.

    Raises:
        ConfigError: the database driver is not installed.
    """
    try:
        engine = _sqlite_engine(url) if sqlite_path(url) else _postgres_engine(url)
    except (ModuleNotFoundError, NoSuchModuleError, ImportError) as error:
        raise ConfigError(
            f"The driver for {url.drivername} is not installed.", hint="pip install 'psycopg[binary]'"
        ) from error
    return engine


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_engine(url: URL) -> Engine:
    ours = {
        "connect_timeout": _CONNECT_SECONDS, "application_name": "polyhouse", "keepalives_idle": 30,
        "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000,
    }  # fmt: skip
    engine = create_engine(
        url,
        connect_args={name: value for name, value in ours.items() if name not in url.query}
        | {"prepare_threshold": None},
        pool_size=4,
        max_overflow=12,
        pool_timeout=_BUSY_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # Transactions are begun by us (see _begin_sqlite); the driver's own BEGIN would be a deferred one.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(
        "PRAGMA cache_size = -32768"
    )  # KiB; the default of 2 MiB does not hold the indexes of a large registry
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("polyhouse_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_postgres(connection: Connection) -> None:
    seconds = LONG_STATEMENT_SECONDS if connection.get_execution_options().get("polyhouse_long") else STATEMENT_SECONDS
    # Without bitmap scans the head of the queue is always read in the order of its index. With them, a planner whose
    # statistics are older than the last million new wallets sorts all of them for each claim.
    settings = {
        "search_path": SCHEMA, "statement_timeout": f"{seconds}s", "enable_bitmapscan": "off", "jit": "off",
        "idle_in_transaction_session_timeout": f"{LONG_STATEMENT_SECONDS}s",
    }  # fmt: skip
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    connection.exec_driver_sql(f"SELECT {calls}")


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Database errors leave as errors of the product, without statement text, values or passwords.

    Raises:
        RetryableError: busy, full, not reachable, or the connection broke.
        ConfigError: the file is damaged or not a database; the database or a right on it is missing.
        AuthError: PostgreSQL refused the user.
    """
    try:
        yield
    except DBAPIError as error:
        raise translate(error, url.password, sqlite_path(url)) from error
    except PoolTimeoutError as error:
        raise RetryableError("The state store is unavailable: all connections to it are in use.") from error


def storable(text: str, limit: int | None = None) -> str:
    """Text from outside as every database takes it: without NUL and lone surrogates, cut at ``limit`` characters."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:limit]


class Database:
    """Transactions on one state store; thread-safe.

    Args:
        engine: from ``connect``.
        now: wall clock, Unix seconds.
        worker: the name under which this store takes leases unless a call names another worker.

    Attributes:
        patience_seconds: how long a call waits for a server that is away (see ``patience``).
        ahead: checkpoints that were read before they are asked for.
    """

    patience_seconds = 0.0

    def __init__(self, engine: Engine, now: Callable[[], float], worker: str = "") -> None:
        self._engine = engine
        self._now = now
        self.worker = worker
        self.ahead = AheadOfTime()
        self._is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer; those of this process queue here instead of polling for the file's lock.
        self._write_lock = threading.RLock() if self._is_sqlite else nullcontext()

    @property
    def is_shared(self) -> bool:
        """Whether processes of other machines can use it."""
        return not self._is_sqlite

    @contextmanager
    def _writing(self, *, everything: bool = False) -> Iterator[Connection]:
        """A transaction; ``everything``: it changes the whole registry, so it is alone with it and may take long."""
        with self._write_lock, translated(self._engine.url), self._engine.connect() as plain:
            connection = plain.execution_options(polyhouse_long=everything)
            info = connection.info
            try:
                with connection.begin():
                    if everything and not self._is_sqlite:
                        # Row by row in any order, it could deadlock with those who change a few wallets.
                        connection.execute(text("LOCK TABLE wallets IN EXCLUSIVE MODE"))
                    yield connection
                    reach("K11")
            finally:
                # After an error too: it may be that only the answer to the commit was lost.
                if info.pop(FORGOT, False):
                    self.ahead.moved(None)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._engine.url), self._engine.connect() as connection:
            yield connection.execution_options(polyhouse_reading=True)

    def _locked(self, query: Select[Any], *, skip: bool = False) -> Select[Any]:
        """The query with its rows locked until the end of the transaction; ``skip``: leave out those that are."""
        return query if self._is_sqlite else query.with_for_update(skip_locked=skip)

    def _time(self) -> int:
        return int(self._now())

    def _insert(self, table: Table) -> Any:
        """An INSERT with ``on_conflict_…``, which both databases have, each in its own module."""
        if self._is_sqlite:
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Release the store."""
        self._engine.dispose()
