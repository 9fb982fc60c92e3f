"""One publication in PostgreSQL: a transaction in which staged rows replace what differs from them.

Rows come by COPY into temporary tables, in batches, and are compared there by the database itself: a row that says the
same is not touched, so that indexes, replicas and subscribers see changes alone. Readers see the old publication until
the commit, and the new one after it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from polyhouse.errors import ConfigError, PolyhouseError
from polyhouse.publish.tables import TABLES, WALLET, Published
from polyhouse.state.database import connect, parse_url, sqlite_path
from polyhouse.state.failures import translate

if TYPE_CHECKING:
    import pyarrow as pa

LOCK_SECONDS = 30
"""How long a publication waits for somebody who holds one of its tables."""

_PLACE = "The database of the publication"
_VERSIONS = "alembic_version"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows of one table."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int


class Target:
    """The schema of one database in which applications find the tables.

    Args:
        url: ``postgresql://…``.
        schema: made if it is not there; nothing but the publication lives in it.
        lock_seconds: how long to wait for a table that somebody holds.

    Raises:
        ConfigError: the URL is none of PostgreSQL.
    """

    def __init__(self, url: str, schema: str, *, lock_seconds: int = LOCK_SECONDS) -> None:
        parsed = parse_url(url)
        if sqlite_path(parsed) is not None:
            raise ConfigError("Tables are published in PostgreSQL.", hint="POLYHOUSE_PUBLISH=postgresql://…")
        self.schema = schema
        self._lock_seconds = lock_seconds
        self._engine = connect(parsed)

    @contextmanager
    def publication(self) -> Iterator[Publication]:
        """A transaction, alone in the schema, whose tables are made if they are not there.

        Raises:
            RetryableError: the server is not there, went away, or somebody held a table too long; nothing changed.
            ConfigError: the schema has tables of somebody else, or the user lacks a right.
            AuthError: the server refused the user.
        """
        with self._translated(), self._engine.connect() as plain:
            connection = plain.execution_options(polyhouse_long=True)
            with connection.begin():
                settings = {
                    "search_path": f'"{self.schema}"', "lock_timeout": f"{self._lock_seconds}s", "TimeZone": "UTC",
                    "DateStyle": "ISO",
                }  # fmt: skip
                calls = ", ".join(f"set_config('{name}', :{name}, true)" for name in settings)
                connection.execute(text(f"SELECT {calls}"), settings)
                # Publishers and those who make the tables come one after another.
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": self._lock_name})
                self._make_tables(connection)
                yield Publication(connection)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    @property
    def _lock_name(self) -> str:
        return f"polyhouse.publication.{self.schema}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except (DBAPIError, psycopg.Error) as error:
            # COPY speaks with the driver itself, whose errors nobody has wrapped.
            wrapped = error if isinstance(error, DBAPIError) else OperationalError(None, None, error)
            found = translate(wrapped, self._engine.url.password)
            raise _renamed(found) from error

    def _make_tables(self, connection: Connection) -> None:
        found = inspect(connection)
        if self.schema not in found.get_schema_names():
            connection.execute(text(f'CREATE SCHEMA "{self.schema}"'))
        present = set(found.get_table_names(schema=self.schema))
        foreign = sorted(present & {table.name for table in TABLES})
        if _VERSIONS not in present and foreign:
            raise ConfigError(
                f"The schema {self.schema} has a table {foreign[0]} that Polyhouse did not make.",
                hint="POLYHOUSE_PUBLISH_SCHEMA names another schema.",
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        folder = str(resources.files("polyhouse.publish") / "migrations")
        config.set_main_option("script_location", folder.replace("%", "%%"))
        config.attributes.update(connection=connection, schema=self.schema)
        command.upgrade(config, "head")


class Publication:
    """What can be done inside the transaction. Made by ``Target.publication``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def marks(self) -> dict[str, int]:
        """Up to which version each table of the warehouse was published last; {} = never."""
        found = self._connection.execute(text("SELECT marks FROM publications ORDER BY id DESC LIMIT 1")).scalar()
        return {str(name): int(mark) for name, mark in (found or {}).items()}

    def name_wallets(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Say of whom this publication is; without it, it is of everybody. Returns how many."""
        self._connection.execute(text(f"CREATE TEMPORARY TABLE named ({WALLET} text PRIMARY KEY) ON COMMIT DROP"))
        return self._copy("named", (WALLET,), batches)

    def replace(self, table: Published, batches: Iterable[pa.RecordBatch], *, is_full: bool) -> Counts:
        """Make the table say what ``batches`` say: of everybody, or of the named wallets."""
        staged = f"staged_{table.name}"
        # Without constraints: the target's own are the ones that count.
        self._connection.execute(text(f"CREATE TEMPORARY TABLE {staged} (LIKE {table.name}) ON COMMIT DROP"))
        rows = self._copy(staged, table.names, batches)
        self._connection.execute(text(f"ANALYZE {staged}"))
        same_key = " AND ".join(f"t.{name} = s.{name}" for name in table.key)
        theirs, ours = (", ".join(f"{row}.{name}" for name in table.compared) for row in ("t", "s"))
        changes = ", ".join(f"{name} = s.{name}" for name in (*table.compared, *table.silent))
        gone = "" if is_full else f" AND t.{WALLET} IN (SELECT {WALLET} FROM named)"
        columns = ", ".join(table.names)
        deleted = self._count(
            f"DELETE FROM {table.name} t WHERE NOT EXISTS (SELECT FROM {staged} s WHERE {same_key}){gone}"
        )
        updated = self._count(
            f"UPDATE {table.name} t SET {changes} FROM {staged} s"
            f" WHERE {same_key} AND ROW({theirs}) IS DISTINCT FROM ROW({ours})"
        )
        inserted = self._count(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staged} s"
            f" WHERE NOT EXISTS (SELECT FROM {table.name} t WHERE {same_key})"
        )
        return Counts(inserted, updated, deleted, rows - inserted - updated)

    def record(self, counts: Iterable[Counts], *, is_full: bool, wallets: int, marks: Mapping[str, int]) -> None:
        """Write down what this publication did, and up to where."""
        every = list(counts)
        self._connection.execute(
            text(
                "INSERT INTO publications (is_full, wallets, inserted, updated, deleted, marks)"
                " VALUES (:is_full, :wallets, :inserted, :updated, :deleted, CAST(:marks AS jsonb))"
            ),
            {
                "is_full": is_full, "wallets": wallets, "marks": json.dumps(dict(marks)),
                "inserted": sum(one.inserted for one in every), "updated": sum(one.updated for one in every),
                "deleted": sum(one.deleted for one in every),
            },
        )  # fmt: skip

    def _count(self, statement: str) -> int:
        return int(self._connection.execute(text(statement)).rowcount)

    def _copy(self, table: str, columns: tuple[str, ...], batches: Iterable[pa.RecordBatch]) -> int:
        driver: Any = self._connection.connection.driver_connection
        rows = 0
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)") as out,
        ):
            for batch in batches:
                out.write(_csv(batch, columns))
                rows += batch.num_rows
        return rows


def _csv(batch: pa.RecordBatch, columns: tuple[str, ...]) -> bytes:
    """A batch of texts as PostgreSQL reads them: quoted, and nothing at all where there is no value."""
    import pyarrow as pa
    from pyarrow import csv

    texts = pa.table({name: batch.column(name).cast(pa.string()) for name in columns})
    out = io.BytesIO()
    csv.write_csv(texts, out, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return out.getvalue()


def _renamed(error: PolyhouseError) -> PolyhouseError:
    """The same error, which is not about the state store."""
    return type(error)(str(error).replace("The state store", _PLACE), hint=error.hint)
