"""What a new store begins with is what the migrations make, and a kill in the middle of it is repaired by them."""

from __future__ import annotations

import pytest

from polyhouse.warehouse import migrate, open_warehouse, store
from polyhouse.warehouse.whole_schema import load_whole_schema, statements_of

_ROWS = "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Every migration, one after the other: the tables and views in which they end."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "load_whole_schema", None)
        with open_warehouse(f"chdb://{tmp_path_factory.mktemp('step_by_step')}/store") as warehouse:
            assert warehouse.query(_ROWS).rows == [("schema_migrations",)], "the whole schema has no rows"
            return statements_of(warehouse)


def test_a_new_store_has_the_schema_that_the_migrations_make(url, expected, monkeypatch):
    begun = load_whole_schema()
    with open_warehouse(url) as warehouse:
        assert statements_of(warehouse) == expected, (
            "python -m polyhouse.warehouse.whole_schema writes the schema anew after a change of its migrations"
        )
        recorded = warehouse.query("SELECT number, name, checksum FROM schema_migrations ORDER BY number").rows
        assert recorded == [(one.number, one.name, one.checksum) for one in migrate.load_migrations()]
        assert warehouse.query(_ROWS).rows == [("schema_migrations",)]
        beside = warehouse.create_database("beside")
        assert statements_of(beside) == expected
        warehouse.drop_database("beside")
    assert 100 < len(begun.statements) <= len(expected)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_kill_while_a_new_store_is_made_is_repaired(url, expected, monkeypatch, share):
    class Killed(BaseException):
        """As abrupt as a signal: nothing handles it."""

    last, real = int(len(load_whole_schema().statements) * share), migrate.reach
    done = []

    def reach(name):
        done.append(name)
        if len(done) == last:
            raise Killed
        real(name)

    monkeypatch.setattr(migrate, "reach", reach)
    with pytest.raises(Killed):
        open_warehouse(url)
    with open_warehouse(url) as warehouse:
        assert statements_of(warehouse) == expected
        assert warehouse.migrate() == []
