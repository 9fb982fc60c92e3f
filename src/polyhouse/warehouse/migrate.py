"""Schema migrations: numbered .sql files, applied once and in order, recorded with a checksum.

Every statement can be run again (IF NOT EXISTS, OR REPLACE) and the record comes last, so a kill in the middle is
repaired by the next start. Of several processes that start with a new version one applies it and the others wait.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import resources
from typing import Any, Protocol

from polyhouse.errors import ConfigError
from polyhouse.failpoints import reach
from polyhouse.ports import QueryResult
from polyhouse.warehouse.lexer import split_statements

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
    """A migration that this call applied, and its statements' number and time in seconds."""

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


def apply_migrations(schema: Schema, lock: AbstractContextManager[object]) -> list[AppliedMigration]:
    """Apply what is missing.

    Args:
        schema: where.
        lock: is held while anything is applied, so that no other process does so at the same time.

    Raises:
        ConfigError: the store was made by a newer version, or one of its migrations has another text than ours.
    """
    schema.command(_RECORD_TABLE)
    if not _missing(schema):
        return []
    with lock:
        # Who had to wait for the lock finds that the holder did the work.
        missing = _missing(schema)
        # A new store is recorded once: a kill in the middle leaves it new, and every statement can be run again.
        at_once = len(missing) if len(missing) == len(load_migrations()) else 1
        applied = []
        for start in range(0, len(missing), at_once):
            applied += [_apply(schema, migration) for migration in missing[start : start + at_once]]
            _record(schema, missing[start : start + at_once])
        return applied


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
