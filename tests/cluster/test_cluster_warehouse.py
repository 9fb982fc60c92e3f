"""A cluster as readers and writers see it, on the only cluster that the embedded engine can be: one shard."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clickhouse_endpoint import CLUSTER, running_cluster

from polyhouse.errors import ConfigError
from polyhouse.models.metric_tables import prepare_metric_tables
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.warehouse.engine import Engine, session_settings
from polyhouse.warehouse.location import Server, parse_location
from polyhouse.warehouse.migrate import load_migrations
from polyhouse.warehouse.schema_lock import SchemaLock
from polyhouse.warehouse.sharded import ClusterWarehouse

pytestmark = pytest.mark.timeout(300)  # a fixture makes the whole schema twice

_LEASE_SECONDS = 2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_cluster(tmp_path_factory.mktemp("one"), 1) as url:
        yield url


@pytest.fixture(scope="module")
def cluster(url: str) -> Iterator[ClusterWarehouse]:
    with open_warehouse(url) as opened:
        assert isinstance(opened, ClusterWarehouse)
        yield opened


def columns(warehouse: ClickHouseWarehouse) -> dict[str, list[tuple[str, str]]]:
    rows = warehouse.query(
        "SELECT t.name, c.name, c.type FROM system.tables AS t INNER JOIN system.columns AS c"
        " ON c.table = t.name AND c.database = t.database WHERE t.database = currentDatabase()"
        " AND t.engine != 'Memory' ORDER BY t.name, c.position"
    ).rows
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in rows:
        found.setdefault(table, []).append((name, kind))
    return found


def test_readers_find_every_table_and_view(cluster: ClusterWarehouse) -> None:
    prepare_metric_tables(cluster)
    theirs = columns(cluster)
    assert theirs == columns(cluster.engines[0])
    assert len(theirs["wallet_metrics_complete"]) > 100, "columns that came after the migrations are there too"
    for name in theirs:
        cluster.query(f"SELECT * FROM {name} LIMIT 1")


def test_opening_it_again_changes_nothing(cluster: ClusterWarehouse, url: str) -> None:
    sql = "SELECT name, uuid FROM system.tables WHERE database IN ('polymarket', 'polymarket_shard') ORDER BY uuid"
    before = cluster.query(sql).rows
    with open_warehouse(url) as again:
        assert again.migrate() == []
    assert cluster.query(sql).rows == before


def test_what_is_written_is_read_once_and_can_be_changed(cluster: ClusterWarehouse) -> None:
    wallets = [bytes([number]) * 20 for number in range(50)]
    given = {"owner": wallets, "wallet": wallets[::-1], "kind": ["proxy"] * 50, "source": ["users"] * 50}
    for _ in range(2):
        assert cluster.write("wallet_links", given, run=1, token="a") == 50
    assert cluster.query("SELECT count(), uniqExact(wallet) FROM wallet_links FINAL").rows == [(50, 50)]
    assert cluster.compare("wallet_links", given).unchanged == 50
    cluster.command("DELETE FROM wallet_links WHERE owner = toFixedString({o:String}, 20)", {"o": "\x01" * 20})
    assert cluster.query("SELECT count() FROM wallet_links FINAL").rows == [(49,)]
    cluster.command("TRUNCATE TABLE wallet_links")
    assert cluster.query("SELECT count() FROM wallet_links").rows == [(0,)]


def test_what_has_no_place_is_refused(cluster: ClusterWarehouse, url: str) -> None:
    import pyarrow as pa

    with pytest.raises(ConfigError, match="no place for its rows"):
        cluster.insert_arrow("import_raw_1", pa.table({"f0": ["x"]}))
    with pytest.raises(ConfigError, match="cannot be used on a cluster"):
        cluster.create_database("past")
    with pytest.raises(ConfigError, match="knows no cluster named missing"):
        open_warehouse(url.replace(CLUSTER, "missing"))


def test_inserts_wait_for_the_replicas_that_were_asked_for(url: str) -> None:
    location = parse_location(f"{url}&quorum=2")
    assert isinstance(location, Server)
    settings = session_settings(location)
    assert settings["insert_quorum"] == "2"
    assert session_settings(parse_location(url))["insert_quorum"] == "auto"
    assert settings["async_insert"] == "0"
    assert settings["distributed_foreground_insert"] == "1"
    with ClickHouseWarehouse(Engine(location, "default"), None) as node:
        rows = node.query("SELECT name, value FROM system.settings WHERE name IN {names:Array(String)}",
                          {"names": list(settings)}).rows  # fmt: skip
    assert {name: str(value) for name, value in rows} == settings, "the server knows each of them"


def test_of_two_that_migrate_at_once_one_does_it_and_the_other_waits(cluster: ClusterWarehouse, url: str) -> None:
    cluster.engines[0].command("CREATE DATABASE other ENGINE = Atomic")
    location = parse_location(url)
    assert isinstance(location, Server)
    location = replace(location, database="other", cluster="")
    applied = []

    def migrate() -> None:
        with ClickHouseWarehouse(Engine(location), None) as opened:
            applied.append(len(opened.migrate()))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: migrate(), range(2)))
    assert sorted(applied) == [0, len(load_migrations())]


def test_only_one_holds_the_lock_however_many_come_for_a_dead_holders(cluster: ClusterWarehouse) -> None:
    shard = cluster.engines[0]
    dead = SchemaLock(shard, lease_seconds=_LEASE_SECONDS)
    assert dead._take()
    since, began, inside, most = time.monotonic(), [], 0, 0
    guard = threading.Lock()

    def hold() -> None:
        nonlocal inside, most
        with SchemaLock(shard, lease_seconds=_LEASE_SECONDS):
            with guard:
                inside += 1
                most = max(most, inside)
                began.append(time.monotonic() - since)
            time.sleep(0.05)
            with guard:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: hold(), range(4)))
    assert most == 1
    assert len(began) == 4
    assert min(began) >= _LEASE_SECONDS - 1, "the server counts whole seconds"


def test_a_living_holder_keeps_the_lock_beyond_its_lease(cluster: ClusterWarehouse) -> None:
    other = SchemaLock(cluster.engines[0], lease_seconds=_LEASE_SECONDS)
    with SchemaLock(cluster.engines[0], lease_seconds=_LEASE_SECONDS):
        end = time.monotonic() + 2 * _LEASE_SECONDS
        while time.monotonic() < end:
            assert not other._take()
            time.sleep(0.2)
    assert other._take(), "and gives it back at once"
