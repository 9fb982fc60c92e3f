"""The file: made whole, durable, migrated, and never silently replaced."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from polyhouse.errors import ConfigError, RetryableError
from polyhouse.ports import PageCommit
from polyhouse.state import database, open_state
from polyhouse.state.lifecycle import alembic_config
from polyhouse.state.schema import HEAD, metadata


@pytest.fixture
def filled(sqlite_url, tmp_path):
    """A closed store with something in it."""
    with open_state(sqlite_url) as state:
        state.commit_pages(1, [PageCommit("s", f"partition {n}", {"n": n}, is_last=True, rows=1) for n in range(200)])
    return tmp_path / "state.db"


def test_it_is_durable_private_and_complete(sqlite_url, filled):
    assert filled.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in filled.parent.iterdir()] == ["state.db"]
    with open_state(sqlite_url) as state, state._reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    with open_state(sqlite_url) as state:
        assert len(state.checkpoints()) == 200


def test_migrations_make_exactly_the_declared_tables(state):
    with state._engine.connect() as connection:
        scripts = ScriptDirectory.from_config(alembic_config(connection))
        assert scripts.get_heads() == [HEAD]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_half_made_file_is_made_again(sqlite_url, tmp_path):
    (tmp_path / "state.db.new").write_bytes(b"SQLite format 3\0 torn")
    with open_state(sqlite_url) as state:
        assert state.checkpoints() == []
    assert not (tmp_path / "state.db.new").exists()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_inside_a_page(path):
    path.write_bytes(path.read_bytes()[:-1000])


def text(path):
    path.write_text("hello, this is not a database " * 100)


def zero_a_page(path):
    data = bytearray(path.read_bytes())
    data[8192:12288] = bytes(4096)
    path.write_bytes(data)


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")


def newer(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [empty, cut, cut_inside_a_page, text, zero_a_page, foreign, newer, folder])
def test_a_damaged_foreign_or_newer_file_is_refused_and_left_alone(sqlite_url, filled, damage):
    damage(filled)
    before = filled.read_bytes() if filled.is_file() else None
    with pytest.raises(ConfigError) as caught:
        open_state(sqlite_url)
    assert str(caught.value).endswith(".")
    assert (filled.read_bytes() if filled.is_file() else None) == before


def test_what_a_killed_writer_left_in_the_log_is_there(sqlite_url, filled, tmp_path):
    with open_state(sqlite_url) as state:
        state.commit_pages(2, [PageCommit("s", "late", {}, is_last=True, rows=1)])
        for name in ("state.db", "state.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"copy-{name}")
    (tmp_path / "copy-state.db").rename(tmp_path / "copy.db")
    (tmp_path / "copy-state.db-wal").rename(tmp_path / "copy.db-wal")
    with open_state(f"sqlite:///{tmp_path}/copy.db") as state:
        assert state.checkpoint("s", "late").status == "ok"


def test_a_busy_file_is_a_retryable_error(sqlite_url, filled, monkeypatch):
    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.1)
    with open_state(sqlite_url) as state, closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match="locked"):
            state.set_note("a", 1)
        assert len(state.checkpoints()) == 200, "reading goes on"
        other.execute("ROLLBACK")
        state.set_note("a", 1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "state.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////srv/state.db?mode=ro",
        "mysql://me:secret@host/db",
        "postgresql+nonsense://me:secret@host/db",
        "postgresql+asyncpg://me:secret@host/db",
        "postgresql://me:secret@host:port/db",
    ],
)
def test_other_urls_are_settings_errors_without_secrets(url):
    with pytest.raises(ConfigError) as caught:
        open_state(url)
    assert "secret" not in str(caught.value) + caught.value.hint
