"""The schema of a cluster is the schema of the migrations: nothing is lost or changed by rendering it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import pytest

from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.cluster import on_cluster, placement, shard_places
from polyhouse.warehouse.lexer import split_statements
from polyhouse.warehouse.migrate import load_migrations

_UNCHANGED = re.compile(r"\s*(INSERT|SYSTEM|SELECT|OPTIMIZE|DELETE)\b")
_REPLICA = r"'/clickhouse/tables/\{uuid\}/\{shard\}', '\{replica\}'"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


def statements() -> list[str]:
    return [statement for migration in load_migrations() for statement in split_statements(migration.sql)]


def formatted(warehouse: Warehouse, texts: list[str]) -> list[str]:
    """As the engine's own parser reads them; it refuses what it cannot read."""
    rows = warehouse.query("SELECT formatQuery(arrayJoin({texts:Array(String)})) AS text", {"texts": texts}).rows
    return [text for (text,) in rows]


def test_every_statement_of_the_migrations_is_the_same_on_a_cluster_but_for_replicas(warehouse: Warehouse) -> None:
    plain = [text for text in statements() if not _UNCHANGED.match(text)]
    rendered = [on_cluster(text, "all-nodes") for text in plain]
    assert None not in rendered
    taken_back = []
    for text in formatted(warehouse, [text for text in rendered if text]):
        assert text.count("ON CLUSTER `all-nodes`") == 1
        assert not re.search(r"\b(Replacing)?MergeTree\b", text)
        single = text.replace(" ON CLUSTER `all-nodes`", "")
        single = re.sub(rf"Replicated(\w*MergeTree)\({_REPLICA}\)", r"\1", single)
        single = re.sub(rf"Replicated(\w*MergeTree)\({_REPLICA}, ", r"\1(", single)
        taken_back.append(single.replace(" replicated_dedup", " non_replicated_dedup"))
    assert taken_back == formatted(warehouse, plain)


def test_every_statement_that_is_not_rendered_only_changes_rows() -> None:
    for text in statements():
        assert (on_cluster(text, "c") is None) == bool(_UNCHANGED.match(text)), text


@pytest.mark.parametrize(
    ("plain", "rendered"),
    [
        ("CREATE TABLE a__next AS a", "CREATE TABLE a__next ON CLUSTER 'c' AS a"),
        ("DROP TABLE IF EXISTS a__next, b__next", "DROP TABLE IF EXISTS a__next, b__next ON CLUSTER 'c'"),
        ("RENAME TABLE a TO b, c TO d", "RENAME TABLE a TO b, c TO d ON CLUSTER 'c'"),
        ("DROP TABLE IF EXISTS a, b SETTINGS max_table_size_to_drop = 0",
         "DROP TABLE IF EXISTS a, b ON CLUSTER 'c' SETTINGS max_table_size_to_drop = 0"),
        ("EXCHANGE TABLES a AND b, d.e AND f", "EXCHANGE TABLES a AND b, d.e AND f ON CLUSTER 'c'"),
        ("DROP DATABASE IF EXISTS x SYNC", "DROP DATABASE IF EXISTS x ON CLUSTER 'c' SYNC"),
        ("CREATE TABLE m (a UInt8) ENGINE = Memory", "CREATE TABLE m ON CLUSTER 'c' (a UInt8) ENGINE = Memory"),
        ("ALTER TABLE a DROP COLUMN on_cluster", "ALTER TABLE a ON CLUSTER 'c' DROP COLUMN on_cluster"),
        ("CREATE OR REPLACE VIEW v AS SELECT 'ENGINE = MergeTree'",
         "CREATE OR REPLACE VIEW v ON CLUSTER 'c' AS SELECT 'ENGINE = MergeTree'"),
        ("INSERT INTO a SELECT 1", None),
        ("SYSTEM STOP MERGES a", None),
    ],
)  # fmt: skip
def test_a_statement_is_rendered_by_its_words(warehouse: Warehouse, plain: str, rendered: str | None) -> None:
    assert on_cluster(plain, "c") == rendered
    if rendered:
        formatted(warehouse, [rendered])


def test_rows_lie_where_the_tables_of_readers_look_for_them(warehouse: Warehouse) -> None:
    """The engine's sharding key and our routing agree, on the engine's own values."""
    import pyarrow as pa

    wallets = [bytes([number % 251, number // 251] * 10) for number in range(1_000)]
    table = pa.table({"wallet": pa.array(wallets, pa.binary(20)), "block": pa.array(range(1_000), pa.uint32())})
    warehouse.command("CREATE TABLE routed (wallet FixedString(20), block UInt32) ENGINE = Memory")
    warehouse.insert_arrow("routed", table)
    for name, sorting_key, column in (
        ("ledger", "wallet, token", "wallet"), ("reported_holders", "token, wallet", "wallet"),
        ("chain_logs", "block, log_index", "block"),
    ):  # fmt: skip
        placed = placement(name, sorting_key)
        assert (placed.everywhere, placed.column) == (False, column)
        theirs = warehouse.query(f"SELECT {column}, {placed.key} % 3 FROM routed ORDER BY {column}").rows
        ours = sorted(zip(table.column(column).to_pylist(), shard_places(table.column(column), 3), strict=True))
        assert [(bytes(key) if column == "wallet" else key, place) for key, place in theirs] == ours
    assert zlib.crc32(b"123456789") == 0xCBF43926, "the checksum that both name"


def test_every_table_has_a_place(warehouse: Warehouse) -> None:
    rows = warehouse.query(
        "SELECT name, sorting_key FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).rows
    everywhere = {name for name, key in rows if placement(name, key).everywhere}
    assert {"events", "markets", "tokens", "resolutions", "token_map", "token_prices", "category_stats"} <= everywhere
    by_wallet = {name for name, key in rows if placement(name, key).column == "wallet"}
    assert {"observations", "ledger", "positions", "wallet_totals", "wallet_registry", "wallet_flags"} <= by_wallet
