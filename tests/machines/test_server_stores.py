"""The product on a warehouse server and a state store on PostgreSQL."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import machinelab
import psycopg
import pytest

from polyhouse.cli.import_files import import_files
from polyhouse.errors import AuthError, BadInputError, ConfigError, PolyhouseError
from polyhouse.sim.server import SimServer
from polyhouse.state import open_state
from polyhouse.sync.progress import NullReporter
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.warehouse.migrate import load_migrations
from polyhouse.wiring import Stores


@pytest.fixture(scope="module")
def warehouse(endpoint: str) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(machinelab.new_database(endpoint)) as opened:
        yield opened


def test_the_commands_of_a_first_day(
    sim: SimServer, endpoint: str, postgres_url: str, tmp_path: Path, alone: machinelab.Alone
) -> None:
    url = machinelab.new_database(endpoint)
    machine = machinelab.Machine(tmp_path / "home", sim, url, postgres_url)
    machine.run("migrate")
    machine.run("sync", "markets", "--no-metrics")
    machine.run("sync", "trades", "--no-metrics")
    machine.run("discover", "--source", "holders")
    machine.run("sync", "wallets", "--file", str(machinelab.wallets_file(tmp_path, sim)), "--no-metrics")
    machine.run("metrics")
    rows = json.loads(machine.run("leaderboard", "--json"))["rows"]
    assert rows
    assert machinelab.look(url)["ledger FINAL"] == alone.content["ledger FINAL"]
    assert not (machine.home / "warehouse").exists()
    assert not (machine.home / "state.db").exists()
    with psycopg.connect(postgres_url) as application:
        published = application.execute("SELECT count(*), count(omega_shrunk) FROM polymarket.wallet_scores").fetchone()
    assert published is not None
    assert min(published) > 0, "the build published, as the state store is on PostgreSQL"


def test_a_batch_is_compared_and_written_once(warehouse: ClickHouseWarehouse) -> None:
    batch = {
        "wallet": [b"\x01" * 20], "token": [b"\x02" * 32], "condition": [b"\x03" * 32], "tx": [b"\x04" * 32],
        "source": ["activity"], "kind": ["BUY"], "ts": [1_700_000_000], "shares": [5], "cash": [-2],
    }  # fmt: skip
    assert warehouse.compare("observations", batch).inserted == 1
    for _ in range(2):
        assert warehouse.write("observations", batch, run=1, token="page") == 1
    assert warehouse.query("SELECT count() FROM observations").rows == [(1,)]
    assert warehouse.compare("observations", batch).unchanged == 1
    assert warehouse.compare("observations", {**batch, "condition": [b"\x05" * 32]}).updated == 1
    (found,) = warehouse.query_columns("SELECT wallet, ts FROM observations")
    assert found.to_pydict() == {"wallet": [b"\x01" * 20], "ts": [1_700_000_000]}


def test_a_file_of_orders_is_imported_row_by_row(warehouse: ClickHouseWarehouse, tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    names = ("timestamp", "maker", "makerAssetId", "makerAmountFilled", "taker", "takerAssetId", "takerAmountFilled",
             "transactionHash")  # fmt: skip
    exchange = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
    rows = [
        f"1700000000,0x{number:040x},0,45000000,{exchange},77,100000000,0x{number:064x}"
        for number in (0xA1, 0xA2, 0xA3)
    ]
    orders.write_text("\n".join([",".join(names), *rows]) + "\n")
    with open_state(f"sqlite:///{tmp_path}/state.db") as state:
        figures = []
        for _ in range(2):
            (report,) = import_files(
                Stores(warehouse, state), [orders], file_format=None, rejects=tmp_path, reporter=NullReporter()
            )
            figures.append((report.rows_read, report.rows_new, report.rows_repeated))
    assert figures == [(3, 3, 0), (3, 0, 3)]


def test_versions_follow_the_clock_of_the_server(
    endpoint: str, warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now() - 3_600 * 10**9)
        with open_warehouse(endpoint) as slow:
            assert abs(slow.next_version() - now() // 1000) < 60 * 10**6
    assert abs(warehouse.next_version() - now() // 1000) < 60 * 10**6


def test_machines_that_open_a_new_warehouse_at_once_make_it_once(endpoint: str) -> None:
    url = machinelab.new_database(endpoint)
    with ThreadPoolExecutor(3) as pool:
        opened = list(pool.map(lambda _: open_warehouse(url), range(3)))
    rows = opened[0].query("SELECT number FROM schema_migrations FINAL ORDER BY number").rows
    assert [number for (number,) in rows] == [migration.number for migration in load_migrations()]
    for one in opened:
        one.close()


def test_a_database_that_cannot_publish_builds_is_refused_at_once(
    endpoint: str, warehouse: ClickHouseWarehouse
) -> None:
    warehouse.command("CREATE DATABASE volatile ENGINE = Memory")
    with pytest.raises(ConfigError, match="engine Memory, which cannot exchange tables"):
        open_warehouse(machinelab.with_database(endpoint, "volatile"))


def test_the_engine_says_no_in_our_words(endpoint: str, warehouse: ClickHouseWarehouse) -> None:
    with pytest.raises(AuthError):
        open_warehouse(endpoint.replace("@", "x@"))
    with pytest.raises(ConfigError, match="no such database"):
        open_warehouse(endpoint + "_missing")
    with pytest.raises(PolyhouseError, match="refused a statement of ours"):
        warehouse.query("SELECT nothing")
    with pytest.raises(BadInputError):
        warehouse.query_readonly("INSERT INTO markets (condition) VALUES ('')", max_rows=10, timeout_seconds=5)
    shown = warehouse.query_readonly("SELECT number FROM numbers(9)", max_rows=3, timeout_seconds=5, truncate=True)
    assert shown.truncated
    assert shown.rows == [(0,), (1,), (2,)]
