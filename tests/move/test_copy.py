"""Copies from one warehouse to another: everything, equal on both sides, going on where they stopped."""

from __future__ import annotations

import pytest
from clickhouse_endpoint import running_endpoint
from moved_stores import Home, observations, state_rows

from polyhouse.errors import ConfigError, PolyhouseError, WarehouseUnavailableError
from polyhouse.move.backup import back_up
from polyhouse.move.between import copy_stores
from polyhouse.move.copy import COPIED, DERIVED, Copy, shape_of, total_of
from polyhouse.move.state_rows import copy_state
from polyhouse.settings import Settings
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse

_ROWS = 240


class Cut:
    """A target whose connection breaks at the n-th insert."""

    def __init__(self, warehouse, at):
        self._warehouse, self._left = warehouse, at

    def __getattr__(self, name):
        return getattr(self._warehouse, name)

    def insert_arrow(self, table, batch):
        self._left -= 1
        if self._left == 0:
            # Half of it has arrived.
            self._warehouse.insert_arrow(table, batch.slice(0, batch.num_rows // 2))
            raise WarehouseUnavailableError("the connection broke")
        self._warehouse.insert_arrow(table, batch)


def fill_with_anything(warehouse):
    """Every table that is copied, with rows of every kind its columns can hold."""
    for name in COPIED:
        columns = warehouse.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {name:String}"
            " AND default_kind IN ('', 'DEFAULT') ORDER BY position",
            {"name": name},
        ).rows
        shape = ", ".join(f"{column} {kind}" for column, kind in columns).replace("'", "''")
        names = ", ".join(column for column, _ in columns)
        # Rows of one day, so that partitions by day do not make hundreds of parts.
        at = "toDateTime(1780000000, 'UTC')"
        chosen = names.replace(" at,", f" {at},") if name == "feed" else names
        warehouse.command(
            f"INSERT INTO {name} ({names}) SELECT {chosen} FROM generateRandom('{shape}', 7, 6, 3) LIMIT {_ROWS}"
        )


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    with running_endpoint(folder / "server") as url:
        with open_warehouse(f"chdb://{folder}/warehouse") as source, open_warehouse(url) as target:
            fill_with_anything(source)
            yield source, target
        with open_warehouse(f"chdb://{folder}/back") as back, open_warehouse(url) as target:
            # The way back, at the end: one process opens one embedded store at a time.
            assert Copy(target, back, "clickhouse://server/db", print).run(("sync_pages", "observations"))


def test_a_table_is_copied_or_follows_from_others(stores):
    source, _ = stores
    rows = source.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).rows
    assert {name for (name,) in rows} == {*COPIED, *DERIVED}
    assert not {*COPIED} & {*DERIVED}


def equal(source, target, names):
    shapes = [shape_of(source, name) for name in names]
    return all(total_of(source, shape, None, "") == total_of(target, shape, None, "") for shape in shapes)


def test_every_table_is_equal_in_the_end(stores):
    source, target = stores
    done = Copy(source, target, "chdb://store", print).run()
    assert equal(source, target, COPIED)
    assert min(table.rows for table in done.values()) > 0


def test_a_copy_that_breaks_goes_on_where_it_was(stores):
    source, target = stores
    some = ("chain_pools", "observations", "feed")

    def copy(to):
        return Copy(source, to, "chdb://again", lambda _: None, range_rows=100).run(some)

    for name in some:
        target.command(f"TRUNCATE TABLE {name} SYNC")
    with pytest.raises(WarehouseUnavailableError):
        copy(Cut(target, 8))
    done = copy(target)
    ranges = {name: (table.skipped, table.copied) for name, table in done.items()}
    assert ranges == {"chain_pools": (3, 0), "observations": (3, 0), "feed": (1, 2)}
    assert equal(source, target, some)

    source.write("observations", observations(3, 4), run=1, token="later")
    again = copy(target)
    assert again["observations"].rows == done["observations"].rows + 2
    assert (again["observations"].skipped, again["observations"].copied) == (2, 1), "they are in the first range"


def test_rows_that_only_the_target_has_are_found(stores):
    source, target = stores
    target.command("INSERT INTO given_marks (token, version) SELECT unhex(repeat('01', 32)), 1")
    with pytest.raises(PolyhouseError, match=r"given_marks has .* rows in the target"):
        Copy(source, target, "chdb://store", print).run(("given_marks",))


def test_what_is_no_data_of_its_own_is_not_copied(stores):
    source, target = stores
    with pytest.raises(ConfigError, match="positions is not copied"):
        Copy(source, target, "x", print).run(("positions",))


def test_what_cannot_be_copied_is_refused_before_anything_is_opened(tmp_path):
    settings = Settings(home=tmp_path)
    with pytest.raises(ConfigError, match="are one warehouse"):
        copy_stores(settings, "clickhouse://h/db", "clickhouse://h/db", "", print)
    with pytest.raises(ConfigError, match="one embedded store at a time"):
        copy_stores(settings, settings.warehouse_url(), "chdb:///elsewhere", "", print)
    with pytest.raises(ConfigError, match="history of its own"):
        back_up("bigquery://project/dataset", settings.state_url(), tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_the_state_store_goes_along_from_one_engine_to_the_other(tmp_path, postgres_url):
    home = Home(tmp_path / "home")
    with open_state(home.state) as state:
        state.register_wallets([b"\x01" * 20], "file")
        state.start_run("run", {"é": "ß"})
    copy_state(home.state, postgres_url)
    there = state_rows(postgres_url)
    assert there == state_rows(home.state)
    with open_state(postgres_url) as state:
        assert state.start_run("run", {}) == 2, "numbers go on behind those that were copied"
    copy_state(postgres_url, f"sqlite:///{tmp_path}/back.db")
    assert state_rows(f"sqlite:///{tmp_path}/back.db") == state_rows(postgres_url)
