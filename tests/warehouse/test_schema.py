"""The created tables are the declared ones, and their views say the same in words and decimals."""

from __future__ import annotations

import pytest

from polyhouse.tables import ALL
from polyhouse.warehouse import migrate

ENGINE_TYPES = {
    "address": {"FixedString(20)"},
    "id32": {"FixedString(32)"},
    "condition": {"String"},
    "i64": {"Int64"},
    "u64": {"UInt64"},
    "u32": {"UInt32"},
    "u16": {"UInt16"},
    "u8": {"UInt8"},
    "bool": {"Bool"},
    "time": {"DateTime('UTC')"},
    "text": {"String"},
    "word": {"LowCardinality(String)"},
    "texts": {"Array(String)"},
    "id32s": {"Array(FixedString(32))"},
    "u64s": {"Array(UInt64)"},
    "i64s": {"Array(Int64)"},
}
ENUMS = {("observations", "kind"), ("observations", "source")}


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_declared_and_created_columns_are_equal(warehouse, table):
    rows = warehouse.query(
        "SELECT name, type, default_kind FROM system.columns WHERE database = currentDatabase()"
        " AND table = {t:String} ORDER BY position",
        {"t": table.name},
    ).rows
    stored = [(name, kind) for name, kind, default in rows if default not in {"MATERIALIZED", "ALIAS"}]
    assert [name for name, _ in stored] == list(table.columns)
    for name, kind in stored:
        if (table.name, name) in ENUMS:
            assert kind.startswith("Enum8(")
        else:
            assert kind in ENGINE_TYPES[table.columns[name]], name
    key, engine, clause = warehouse.query(
        "SELECT sorting_key, engine_full, partition_key FROM system.tables WHERE name = {t:String}", {"t": table.name}
    ).rows[0]
    assert tuple(key.split(", ")) == table.key
    assert engine.startswith("ReplacingMergeTree(version)")
    assert clause == ""
    for setting in ("fsync_after_insert = 1", "fsync_part_directory = 1", "non_replicated_deduplication_window = "):
        assert setting in engine


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_defaults_of_the_engine_are_the_declared_ones(warehouse, table):
    first = next(iter(table.columns))
    sample = {"address": bytes(20), "id32": bytes(32), "condition": b"", "u64": 0, "word": "", "text": ""}
    value = "chain" if (table.name, first) in ENUMS else sample[table.columns[first]]
    given = {first: [value]}
    if table.name == "observations":
        given |= {"source": ["chain"], "kind": ["BUY"]}
    warehouse.write(table.name, given, run=4, token="d")
    names = [name for name in table.columns if name not in {"version", "run"} | set(given)]
    row = warehouse.query(f"SELECT {', '.join(names)} FROM {table.name}_current").rows[0]
    wanted = [table.defaults[name] for name in names]
    assert list(row) == [list(default) if isinstance(default, tuple) else default for default in wanted]


def test_words_of_the_enums_are_the_declared_ones(warehouse, fills):
    from polyhouse.tables import KINDS, SOURCES

    batch = fills(len(KINDS), kind=list(KINDS), source=[SOURCES[n % len(SOURCES)] for n in range(len(KINDS))])
    warehouse.write("observations", batch, run=1, token="a")
    rows = warehouse.query("SELECT kind, source FROM observations_current ORDER BY ts").rows
    assert [kind for kind, _ in rows] == list(KINDS)
    assert {source for _, source in rows} == set(SOURCES)


def test_reads_by_wallet_use_the_index(warehouse, fills):
    warehouse.write("observations", fills(100_000), run=1, token="a")
    plan = warehouse.query(
        "EXPLAIN indexes = 1 SELECT count() FROM observations_current WHERE wallet = {w:FixedString(20)}",
        {"w": (7).to_bytes(20, "big")},
    ).rows
    granules = [line.strip() for (line,) in plan if line.strip().startswith("Granules:")]
    assert granules, plan
    read, total = granules[0].removeprefix("Granules: ").split("/")  # of the primary key, which comes first
    assert int(read) <= 2 < int(total)


def test_views_print_ids_and_money_exactly(warehouse):
    token = (2**255 + 12345).to_bytes(32, "big")
    amounts = [2**63 - 1, -(2**63) + 1, 1, 12_500_000]
    warehouse.write(
        "reported_positions",
        {
            "wallet": [bytes([n]) * 20 for n in range(0xA0, 0xA4)], "token": [token] * 4,
            "condition": [b"\xab" * 31] * 4,
            "shares": amounts, "realized": amounts,
        },
        run=1,
        token="a",
    )  # fmt: skip
    rows = warehouse.query(
        "SELECT wallet, token_id, condition_id, toString(shares), toTypeName(realized) FROM vw_reported_positions"
        " ORDER BY wallet"
    ).rows
    assert rows[0] == (
        "0x" + "a0" * 20, str(2**255 + 12345), "0x" + "ab" * 31, "9223372036854.775807", "Decimal(38, 6)"
    )  # fmt: skip
    assert [row[3] for row in rows] == ["9223372036854.775807", "-9223372036854.775807", "0.000001", "12.5"]


def test_every_view_answers_and_every_observation_table_has_its_current_view(warehouse, fills):
    warehouse.write("observations", fills(), run=1, token="a")
    names = {
        name
        for (name,) in warehouse.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
        ).rows
    }
    assert {f"{table.name}_current" for table in ALL} <= names
    wanted = (
        "observations trades_unified trades_canonical ledger positions units wallet_totals markets tokens events"
        " resolutions unmapped"
    )
    assert {f"vw_{name}" for name in wanted.split()} <= names
    for name in names:
        warehouse.query(f"SELECT * FROM {name}")
    chosen = "SELECT wallet, side, shares, cash, outcome_index FROM vw_trades_canonical ORDER BY ts LIMIT 1"
    fill = warehouse.query(chosen).rows[0]
    assert (fill[0], fill[1], str(fill[2]), str(fill[3]), fill[4]) == (
        "0x" + "00" * 20, "BUY", "12.500000", "0.000001", None
    )  # fmt: skip


def test_migrating_again_does_nothing(warehouse):
    assert warehouse.migrate() == []
    recorded = warehouse.query("SELECT number, name FROM schema_migrations FINAL ORDER BY number").rows
    assert recorded == [(one.number, one.name) for one in migrate.load_migrations()]
    assert len(recorded) >= 3
