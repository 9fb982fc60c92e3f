"""Migrations are applied once, in order, survive a kill, and refuse what they do not know."""

from __future__ import annotations

from itertools import pairwise

import pytest

from polyhouse.errors import ConfigError, WarehouseUnavailableError
from polyhouse.tables import BY_NAME
from polyhouse.warehouse import migrate, open_warehouse, store


def test_a_kill_inside_a_migration_is_repaired(url, monkeypatch):
    class Killed(BaseException):
        """As abrupt as a signal: nothing handles it."""

    real, done = store.ClickHouseWarehouse.command, []

    def command(self, sql, params=None):
        if len(done) == 17:
            raise Killed
        done.append(sql)
        real(self, sql, params)

    monkeypatch.setattr(store.ClickHouseWarehouse, "command", command)
    with pytest.raises(Killed):
        open_warehouse(url)
    monkeypatch.undo()
    with open_warehouse(url) as warehouse:
        assert warehouse.migrate() == []
        for name in BY_NAME:
            warehouse.query(f"SELECT * FROM {name}_current")


def test_a_newer_and_a_foreign_schema_are_refused(url, monkeypatch):
    open_warehouse(url).close()
    ours = migrate.load_migrations()
    monkeypatch.setattr(migrate, "load_migrations", lambda: ours[:-1])
    with pytest.raises(ConfigError, match="newer version"):
        open_warehouse(url)
    changed = migrate.Migration(ours[0].number, ours[0].name, ours[0].sql + "\n-- changed\n")
    monkeypatch.setattr(migrate, "load_migrations", lambda: [changed, *ours[1:]])
    with pytest.raises(ConfigError, match="differs"):
        open_warehouse(url)
    monkeypatch.undo()
    with open_warehouse(url) as warehouse:
        assert [warehouse.next_version() < warehouse.next_version()] == [True]


def test_versions_increase_strictly_and_survive_a_clock_that_was_set_back(url, monkeypatch):
    with open_warehouse(url) as warehouse:
        seen = [warehouse.next_version() for _ in range(1000)]
        assert all(earlier < later for earlier, later in pairwise(seen))
        warehouse.write("sync_pages", {"stream": ["s"], "partition": ["p"], "digest": [b"d" * 32]}, run=1, token="a")
        newest = warehouse.query("SELECT max(version) FROM sync_pages").rows[0][0]
    with pytest.raises(WarehouseUnavailableError, match="closed"):
        warehouse.query("SELECT 1")
    monkeypatch.setattr(store.time, "time_ns", lambda: 1_000_000_000)
    with open_warehouse(url) as again:
        assert again.next_version() > newest
