"""What a build costs beside its rows: statements, what they are analysed for, and rows of wallets nobody asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from polyhouse.models.build import BY_WALLET, Build
from polyhouse.models.runner import build
from polyhouse.warehouse import store
from polyhouse.warehouse.store import ClickHouseWarehouse

MOST_STATEMENTS, MOST_OF_SOME = 180, 200
"""Of a full build of one slice, and of one of some wallets: they took 250 and more before tables were made, counted,
published and looked through for gone rows together. Ten of them note what is published, and keep what it replaces."""
CROWD = 40_000
"""Wallets with a row each in the test of granules."""


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine is asked from now on."""
    asked: list[str] = []

    def noting(name: str) -> None:
        real = getattr(ClickHouseWarehouse, name)

        def noted(self: ClickHouseWarehouse, sql: str, *args: Any, **options: Any) -> Any:
            asked.append(sql)
            return real(self, sql, *args, **options)

        monkeypatch.setattr(ClickHouseWarehouse, name, noted)

    for name in ("query", "command", "query_columns", "insert_arrow"):
        noting(name)
    return asked


def test_a_build_asks_little_beside_its_rows(warehouse: ClickHouseWarehouse, statements: list[str]) -> None:
    """And what it stages a second time is analysed once: made from known columns, not from a SELECT and then by it."""
    build(warehouse)
    statements.clear()
    build(warehouse)
    assert len(statements) <= MOST_STATEMENTS
    assert sum("FROM system.columns" in sql for sql in statements) <= 4
    assert [sql[:60] for sql in statements if "ENGINE = Memory AS " in sql] == []
    assert sum(sql.startswith("EXCHANGE TABLES") for sql in statements) <= 3
    # Nothing arrived, so what is kept is not looked through again.
    assert [
        sql[:60]
        for sql in statements
        if sql.startswith(("INSERT INTO token_prices", "INSERT INTO ledger ", "INSERT INTO ledger__next"))
    ] == []


def test_a_build_of_some_wallets_asks_little_beside_its_rows(
    warehouse: ClickHouseWarehouse, statements: list[str]
) -> None:
    """Where every row was written again nothing is buried, and few statements look for what is gone."""
    (wallet,) = warehouse.query("SELECT wallet FROM wallet_coverage LIMIT 1").rows[0]
    build(warehouse, [bytes(wallet)])
    statements.clear()
    build(warehouse, [bytes(wallet)])
    assert len(statements) <= MOST_OF_SOME
    assert [sql[:60] for sql in statements if "is_deleted) SELECT" in sql] == []
    assert sum("AND version <" in sql and sql.startswith("SELECT 0 FROM (SELECT 1 FROM") for sql in statements) <= 5


def test_large_and_small_blocks_are_stored_alike(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a file, or from memory."""

    def digests() -> list[Any]:
        columns = "SELECT arrayStringConcat(groupArray(name), ', ') FROM system.columns WHERE database ="
        columns += " currentDatabase() AND table = {t:String} AND name != 'version'"
        found = []
        for table in BY_WALLET:
            names = warehouse.query(columns, {"t": table}).rows[0][0]
            found.append((table, warehouse.query(f"SELECT count(), sum(sipHash64(formatRow('TSV', {names})))"
                                                 f" FROM {table} FINAL").rows[0]))  # fmt: skip
        return found

    build(warehouse)
    small = digests()
    monkeypatch.setattr(store, "_SMALL_BYTES", -1)
    build(warehouse)
    assert digests() == small


def test_a_build_leaves_no_table_behind(warehouse: ClickHouseWarehouse) -> None:
    names = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    before = warehouse.query(names).rows
    (wallet,) = warehouse.query("SELECT wallet FROM wallet_coverage LIMIT 1").rows[0]
    build(warehouse, [bytes(wallet)])
    build(warehouse)
    assert warehouse.query(names).rows == before


def test_rows_of_a_wallet_are_read_without_those_of_many_others(warehouse: ClickHouseWarehouse) -> None:
    """Granules stay small in tables that builds make anew and exchange."""
    tables = [*BY_WALLET, "observations"]
    rows = warehouse.query(
        "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase() AND name IN {t:Array(String)}",
        {"t": tables},
    ).rows
    assert {name for name, engine in rows if re.search("index_granularity = (512|32)", engine)} == set(tables)
    warehouse.command("CREATE TABLE crowd AS wallet_coverage")
    warehouse.command(
        f"INSERT INTO crowd (wallet, version) SELECT toFixedString(SHA1(toString(number)), 20), 1 FROM numbers({CROWD})"
    )
    estimate = "EXPLAIN ESTIMATE SELECT * FROM crowd WHERE wallet = toFixedString(SHA1('7'), 20)"
    (found,) = warehouse.query(estimate).rows
    warehouse.command("DROP TABLE crowd")
    assert found[3] <= 1_024


def test_what_was_not_written_again_is_buried_by_its_key(warehouse: ClickHouseWarehouse) -> None:
    """And stays buried: rows that are gone are not buried again."""
    (wallet,) = warehouse.query("SELECT wallet FROM positions GROUP BY wallet ORDER BY count() DESC LIMIT 1").rows[0]
    mine, gone = f"wallet = unhex('{bytes(wallet).hex()}')", "SELECT count() FROM positions WHERE is_deleted AND {}"
    others = f"SELECT groupBitXor(sipHash64(*)) FROM positions FINAL WHERE NOT {mine}"
    kept = warehouse.query(others).rows
    count = warehouse.query(f"SELECT count() FROM positions FINAL WHERE {mine}").rows[0][0]
    for expected in (count, count):
        run = Build(warehouse, [bytes(wallet)])
        run.bury("positions", mine)
        run.bury_gone()
        assert warehouse.query(f"SELECT count() FROM positions FINAL WHERE {mine}").rows == [(0,)]
        assert warehouse.query(gone.format(mine)).rows == [(expected,)]
    assert warehouse.query(others).rows == kept
    build(warehouse, [bytes(wallet)])
    assert warehouse.query(f"SELECT count() FROM positions FINAL WHERE {mine}").rows == [(count,)]
