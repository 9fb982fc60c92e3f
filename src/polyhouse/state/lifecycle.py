"""Opening a state store: made whole or not at all, migrated, and never silently replaced by an empty one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from polyhouse.disk import disk_error, number_of
from polyhouse.errors import ConfigError
from polyhouse.state.database import SCHEMA, connect, parse_url, sqlite_path, translated
from polyhouse.state.failures import disk_number
from polyhouse.state.schema import HEAD

if TYPE_CHECKING:
    from alembic.config import Config

_CHECKED_BYTES = 64 << 20
_DAMAGED_HINT = "Restore it from a backup, or move it away: a fresh one is rebuilt from the warehouse's manifest."


def open_engine(url: str) -> Engine:
    """Open or make the store at ``url`` and bring its schema up to date.

    Raises:
        ConfigError: malformed URL; a file that is damaged, foreign or of a newer version.
        RetryableError: the database does not answer.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None:
        if path.exists():
            _check_file(path)
        else:
            _make_file(path)
    engine = connect(parsed)
    try:
        with translated(engine.url):
            _bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_file(path: Path) -> None:
    """A new file appears under its name only when it is complete, so an empty one is always a damaged one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".new")
        _remove(draft)
        engine = connect(parse_url(f"sqlite:///{draft}"))
        try:
            with translated(engine.url), engine.begin() as connection:
                _upgrade(connection, allow_empty=True)
        finally:
            engine.dispose()
        draft.chmod(0o600)
        draft.rename(path)
    except OSError as error:
        if number := number_of(error):
            raise disk_error("the state store", path.parent, number) from error
        raise ConfigError(f"The state store {path} cannot be made: {error.strerror}.") from error


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            draft.with_name(draft.name + suffix).unlink()


def _check_file(path: Path) -> None:
    """Refuse what is not a whole database. Small files are checked page by page, large ones by their length."""
    if not path.is_file():
        raise ConfigError(f"The state store {path} is not a file.")
    size = path.stat().st_size
    damaged = f"The state store {path} is damaged"
    if size == 0:
        raise ConfigError(f"{damaged}: it is empty.", hint=_DAMAGED_HINT)
    connection = sqlite3.connect(path, timeout=30)
    try:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        has_wal = path.with_name(path.name + "-wal").exists()
        if not has_wal and pages * page_size > size:
            raise ConfigError(f"{damaged}: it was cut off.", hint=_DAMAGED_HINT)
        if size <= _CHECKED_BYTES:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise ConfigError(f"{damaged}: {verdict}.", hint=_DAMAGED_HINT)
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]:
            raise ConfigError(f"{path} is a database of something else.", hint="Point POLYHOUSE_STATE at another file.")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            return  # another process is writing, so the file is fine
        if number := disk_number(str(error), path):
            raise disk_error("the state store", path.parent, number) from error
        raise ConfigError(f"{damaged}: {error}.", hint=_DAMAGED_HINT) from error
    finally:
        connection.close()


def database_clock(engine: Engine) -> Callable[[], float]:
    """The clock of a database: its server's time, measured once against ours; for a file it is our own."""
    if engine.dialect.name == "sqlite":
        return time.time
    with translated(engine.url), engine.connect() as connection:
        before = time.time()
        server = float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
        ahead = server - (before + time.time()) / 2
    return lambda: time.time() + ahead


def _bring_up_to_date(engine: Engine) -> None:
    """Migrate unless it is done. Looking takes no lock, so a reader does not wait for those who write."""
    with engine.connect() as plain:
        if _revision(plain.execution_options(polyhouse_reading=True)) == HEAD:
            return  # the common case does not import alembic
    with engine.connect() as plain:
        connection = plain.execution_options(polyhouse_long=True)
        with connection.begin():
            if engine.dialect.name == "sqlite":
                _upgrade(connection, allow_empty=False)
                return
            # Those who open the store at the same time wait here, and then find the work done.
            connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA}.migrations'))"))
            if connection.execute(text(f"SELECT to_regnamespace('{SCHEMA}')")).scalar() is None:
                connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            _upgrade(connection, allow_empty=True)


def _upgrade(connection: Connection, *, allow_empty: bool) -> None:
    revision = _revision(connection)
    if revision == HEAD:
        return  # the common case does not import alembic
    if revision is None and not allow_empty:
        raise ConfigError(
            "The state store's file is a database of something else.", hint="Point POLYHOUSE_STATE at another file."
        )
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigError(
            f"The state store was made by a newer version of Polyhouse: it has schema {revision}, this version knows "
            f"{HEAD} at most.",
            hint="Upgrade Polyhouse, or point POLYHOUSE_STATE at another store.",
        )
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if connection.dialect.name == "sqlite":
        is_there = "alembic_version" in inspect(connection).get_table_names()
    else:
        is_there = connection.execute(text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")).scalar() is not None
    if not is_there:
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(row[0]) if row else None


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations inside the package, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("polyhouse.state") / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
