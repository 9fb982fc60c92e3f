"""Schema migrations: numbered .sql files, applied once and in order, recorded with a checksum.

A new embedded store begins with the tables and views that they end in (``whole_schema``), and records them all.
Every statement can be run again (IF NOT EXISTS, OR REPLACE) and the record comes last, so a kill in the middle is
repaired by the next start. Of several processes that start with a new version one applies it and the others wait.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from polyhouse.errors import ConfigError
from polyhouse.failpoints import reach
from polyhouse.ports import QueryResult
from polyhouse.warehouse.lexer import split_statements
from polyhouse.warehouse.whole_schema import WholeSchema

_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number     UInt16,
    name       String,
    checksum   String,
    applied_at DateTime('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file of this version."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that this call applied, and its statements' number and time in seconds.

    Both are 0 for what a new store begins with.
    """

    number: int
    name: str
    statements: int
    seconds: float


def load_migrations() -> list[Migration]:
    """The migrations of this version, in order."""
    folder = resources.files("polyhouse.warehouse") / "migrations"
    found = []
    for entry in folder.iterdir():
        match = _NAME.match(entry.name)
        if match:
            found.append(Migration(int(match.group(1)), entry.name, entry.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.number)


class Schema(Protocol):
    """What migrations are applied to."""

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run one statement."""
        ...

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> QueryResult:
        """Run one SELECT."""
        ...


def apply_migrations(
    schema: Schema, lock: AbstractContextManager[object], whole: Callable[[], WholeSchema] | None = None
) -> list[AppliedMigration]:
    """Apply what is missing.

    Args:
        schema: where.
        lock: is held while anything is applied, so that no other process does so at the same time.
        whole: loads what an empty database begins with; None = the first migration.

    Raises:
        ConfigError: the store was made by a newer version, or one of its migrations has another text than ours.
    """
    schema.command(_RECORD_TABLE)
    if not _missing(schema):
        return []
    with lock:
        # Who had to wait for the lock finds that the holder did the work.
        missing = _missing(schema)
        if len(missing) < len(load_migrations()):
            applied = []
            for migration in missing:
                applied.append(_apply(schema, migration))
                _record(schema, [migration])
            return applied
        # A new store is recorded once: a kill in the middle leaves it new, and every statement can be run again.
        applied = _make_new(schema, missing, whole)
        _record(schema, missing)
        return applied


def _make_new(
    schema: Schema, migrations: list[Migration], whole: Callable[[], WholeSchema] | None
) -> list[AppliedMigration]:
    begin = whole() if whole is not None and _is_empty(schema) else None
    if begin is None or begin.number > migrations[-1].number:
        return [_apply(schema, migration) for migration in migrations]
    for statement in begin.statements:
        schema.command(statement)
        reach("K18")
    return [
        _apply(schema, migration)
        if migration.number > begin.number
        else AppliedMigration(migration.number, migration.name, 0, 0.0)
        for migration in migrations
    ]


def _is_empty(schema: Schema) -> bool:
    """Whether nothing but the record of migrations is there; what a killed process left is mended by all of them."""
    return schema.query("SELECT count() FROM system.tables WHERE database = currentDatabase()").rows == [(1,)]


def _missing(schema: Schema) -> list[Migration]:
    rows = schema.query("SELECT number, name, checksum FROM schema_migrations FINAL ORDER BY number").rows
    recorded = {int(number): (name, checksum) for number, name, checksum in rows}
    migrations = load_migrations()
    _refuse_foreign(migrations, recorded)
    return [migration for migration in migrations if migration.number not in recorded]


def _refuse_foreign(migrations: list[Migration], recorded: dict[int, tuple[str, str]]) -> None:
    known = {migration.number: migration for migration in migrations}
    newer = sorted(set(recorded) - set(known))
    if newer:
        raise ConfigError(
            f"The warehouse was made by a newer version of Polyhouse: it has migration {recorded[newer[-1]][0]}, "
            f"this version knows {max(known):04d} at most.",
            hint="Upgrade Polyhouse, or point POLYHOUSE_WAREHOUSE at another store.",
        )
    for number, (name, checksum) in recorded.items():
        if known[number].checksum != checksum:
            raise ConfigError(
                f"The warehouse was made by another build of Polyhouse: its migration {name} differs from ours.",
                hint="Use the build that made it, or point POLYHOUSE_WAREHOUSE at another store.",
            )


def _apply(schema: Schema, migration: Migration) -> AppliedMigration:
    started = time.monotonic()
    statements = split_statements(migration.sql)
    for statement in statements:
        schema.command(statement)
        reach("K18")
    return AppliedMigration(migration.number, migration.name, len(statements), time.monotonic() - started)


def _record(schema: Schema, applied: list[Migration]) -> None:
    rows = ", ".join(f"({one.number}, '{one.name}', '{one.checksum}')" for one in applied)
    schema.command(
        "INSERT INTO schema_migrations (number, name, checksum, applied_at)"
        f" SELECT applied.1, applied.2, applied.3, now() FROM (SELECT arrayJoin([{rows}]) AS applied)"
    )
