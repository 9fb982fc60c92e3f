"""What builds leave ready of a wallet is what the tables say: after builds of all, of some, and of less than all."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

sys.path.append(str(Path(__file__).parents[1] / "scores"))

from score_store import load, universe_tables

from polyhouse.models import checks
from polyhouse.models.runner import build
from polyhouse.models.wallet_documents import FACTS, PACKED, SMALL, TABLE
from polyhouse.reads import kept_parts, outcomes, wallet_parts
from polyhouse.reads.outcomes import outcome_names
from polyhouse.reads.parts import read_parts
from polyhouse.reads.wallet import wallet
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.store import ClickHouseWarehouse

_NOTHING = "SELECT '' AS part, '' AS part_bytes WHERE 0"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        load(opened, universe_tables(Universe(seed=4, wallets=14, fills=400)))
        build(opened)
        yield opened


def everybody(warehouse: ClickHouseWarehouse) -> list[bytes]:
    rows = warehouse.query("SELECT DISTINCT wallet FROM wallet_totals FINAL ORDER BY wallet").rows
    return [bytes(name) for (name,) in rows]


def documents(warehouse: ClickHouseWarehouse, window: str = "lifetime") -> dict[bytes, dict[str, Any]]:
    """Read without what was kept of earlier reads."""
    kept_parts._of_store.clear()
    return {
        name: wallet(warehouse, f"0x{name.hex()}", sync=None, window=window) for name in everybody(warehouse)
    }  # fmt: skip


def agree(warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch, window: str = "lifetime") -> None:
    """Every document is the one that the tables themselves give."""
    ready = documents(warehouse, window)
    with monkeypatch.context() as patch:
        patch.setattr(wallet_parts, "_DOCUMENT", _NOTHING)
        assert documents(warehouse, window) == ready
    assert any(one["positions"] and one["units"] and one["metrics"] for one in ready.values())


def written(warehouse: ClickHouseWarehouse) -> dict[bytes, int]:
    """Wallets of which everything is ready, with the build that left it."""
    return dict(warehouse.query(f"SELECT wallet, version FROM {TABLE} FINAL WHERE part = '{FACTS}'").rows)


def test_a_build_of_all_leaves_everybody_ready(warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(written(warehouse)) == everybody(warehouse)
    for window in ("lifetime", "30d"):
        agree(warehouse, monkeypatch, window)


def test_rows_are_packed_to_the_bytes_that_the_engine_makes_of_them(warehouse: ClickHouseWarehouse) -> None:
    for name in everybody(warehouse):
        bound = {"wallet": name.hex()}
        stored = dict(
            warehouse.query(
                f"SELECT toString(part), part_bytes FROM {TABLE} FINAL WHERE wallet = unhex({{wallet:String}})", bound
            ).rows
        )
        for part, rows in read_parts(warehouse, PACKED, bound).items():
            layout = PACKED[part]
            asked = warehouse.query(f"SELECT {layout.text} AS part_bytes {layout.rest}", bound).rows
            size = layout.dtype.itemsize
            ready = stored.get(part, b"")
            assert sorted(ready[at : at + size] for at in range(0, len(ready), size)) == sorted(one for (one,) in asked)
            assert len(rows) == len(asked)


def test_wallets_that_converted_have_units_of_several_conditions(warehouse: ClickHouseWarehouse) -> None:
    units = [unit for one in documents(warehouse).values() for unit in one["units"]]
    stored = warehouse.query(
        "SELECT lower(hex(unit)), arraySort(arrayMap(c -> lower(hex(c)), conditions)) FROM units FINAL"
    ).rows
    shown = sorted((unit["unit"], sorted(unit["condition_ids"])) for unit in units)
    assert shown == sorted((f"0x{unit}", [f"0x{one}" for one in conditions]) for unit, conditions in stored)


def test_a_build_of_some_wallets_leaves_these_ready_and_the_others_as_they_were(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(warehouse)
    one, gone = everybody(warehouse)[:2]
    warehouse.command(
        "INSERT INTO observations SELECT * REPLACE (row_key + 1 AS row_key, version + 1 AS version) FROM observations"
        f" FINAL WHERE wallet = unhex('{one.hex()}') AND kind = 'BUY' ORDER BY ts LIMIT 1"
    )
    warehouse.command(f"DELETE FROM observations WHERE wallet = unhex('{gone.hex()}')")
    warehouse.command(f"INSERT INTO ledger_changes (wallet) VALUES (unhex('{gone.hex()}'))")
    report = build(warehouse, [one, gone])
    after = written(warehouse)
    assert after[one] == report.build
    assert gone not in after
    assert {name for name, version in after.items() if version == before[name]}
    agree(warehouse, monkeypatch)


def test_of_what_is_held_back_nothing_is_left_ready(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [replace(one, broken="1") if "wallet_flags" in one.guards else one for one in checks.invariants()]
    chosen = next(one for one in checks.invariants() if "units" in one.guards and one.in_builds)
    broken = [replace(one, broken="1") if one.name == chosen.name else one for one in broken]
    with monkeypatch.context() as patch:
        patch.setattr(checks, "invariants", lambda: broken)
        report = build(warehouse, everybody(warehouse)[:3])
    assert "units" in report.held
    assert TABLE not in report.held
    assert written(warehouse) == {}
    agree(warehouse, monkeypatch)


def test_a_store_of_an_older_version_is_read_from_its_tables_until_it_is_built(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.command(f"TRUNCATE TABLE {TABLE}")
    agree(warehouse, monkeypatch)
    some = everybody(warehouse)[:3]
    build(warehouse, some)
    assert set(some) <= set(written(warehouse)) < set(everybody(warehouse))
    agree(warehouse, monkeypatch)
    build(warehouse)
    assert sorted(written(warehouse)) == everybody(warehouse)


def test_of_a_document_only_what_changed_is_read_again(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = everybody(warehouse)[:2]
    documents(warehouse)
    kept_parts._of_store.clear()
    asked: list[str] = []
    real = ClickHouseWarehouse.query

    def noting(self: ClickHouseWarehouse, sql: str, *args: Any) -> Any:
        asked.append(sql)
        return real(self, sql, *args)

    monkeypatch.setattr(ClickHouseWarehouse, "query", noting)

    def tables() -> list[set[str]]:
        """Of each statement of a document the tables that it reads."""
        asked.clear()
        before = wallet(warehouse, f"0x{name.hex()}", sync=None)
        found = [set(re.findall(r"FROM (\w+)", sql)) for sql in asked]
        assert wallet(warehouse, f"0x{name.hex()}", sync=None) == before
        return found

    of_syncs, of_builds = {"observations", "sync_pages"}, {TABLE}
    assert tables() == [of_syncs | of_builds]
    assert tables() == []
    for touched, read_again in ((other, []), (name, [of_syncs])):
        rows = pa.table({"wallet": pa.array([touched], pa.binary(20)), "ts": pa.array([1], pa.uint32())})
        warehouse.insert_arrow("observations", rows)
        assert tables() == read_again
    warehouse.command("INSERT INTO coverage (source, contract_group) SELECT 'chain', 'none' WHERE 0")
    assert tables() == [{"coverage"}]
    build(warehouse, [other])
    assert tables() == [{"builds"}, of_builds]


def test_names_of_outcomes_are_asked_again_where_their_market_was_written(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(version: int, **names: list[str]) -> None:
        columns = {
            "condition": pa.array([ids[name] for name in names], pa.binary()), "source": ["gamma"] * len(names),
            "outcomes": list(names.values()), "version": pa.array([version] * len(names), pa.uint64()),
        }  # fmt: skip
        warehouse.insert_arrow("markets", pa.table(columns))

    ids = {name: name.encode() * 4 for name in ("firstone", "secondly", "thirdone")}
    first, second, third, unknown = *ids.values(), bytes(32)
    write(1, firstone=["Yes", "No"], secondly=["Up", "Down"], thirdone=["A", "B"])
    known = outcome_names(warehouse, [first, second, unknown])
    assert known == {first: ("Yes", "No"), second: ("Up", "Down"), unknown: ()}
    asked: list[list[bytes]] = []
    real = outcomes._asked

    def noting(store: Any, conditions: list[bytes]) -> Any:
        asked.append(conditions)
        return real(store, conditions)

    monkeypatch.setattr(outcomes, "_asked", noting)
    write(2, secondly=["Rain", "Sun", "Snow"])
    again = outcome_names(warehouse, [first, second, third, unknown])
    assert asked == [[second, third]]
    assert again == known | {second: ("Rain", "Sun", "Snow"), third: ("A", "B")}
    monkeypatch.setattr(outcomes, "MOST_NAMES", 2)
    assert outcome_names(warehouse, [first, second, third, unknown]) == again
    assert len(outcomes._kept[warehouse.changes]) == 2


def test_what_another_version_left_is_not_read(warehouse: ClickHouseWarehouse) -> None:
    known = documents(warehouse)
    for word, is_gone in ((FACTS, 1), ("facts of old", 0)):
        warehouse.command(
            f"INSERT INTO {TABLE} SELECT wallet, '{word}', 'coverage [1, 2, 3]', version + 1, {is_gone} FROM {TABLE}"
            f" FINAL WHERE part = '{FACTS}'"
        )
    assert written(warehouse) == {}
    assert documents(warehouse) == known


def test_rows_of_a_source_are_counted_once_however_many_tokens_they_changed(warehouse: ClickHouseWarehouse) -> None:
    # Two fills of two tokens in one transaction, alike in all that their keys are made of; one split of two outcomes.
    rows = "('BUY', 1, 'a', 7), ('BUY', 1, 'a', 7), ('SPLIT', 2, 'b', 8), ('SPLIT', 2, 'b', 8)"
    used = SMALL["used_rows"].columns["used"]
    sql = f"SELECT {used} FROM values('kind String, ts UInt32, tx String, row_key UInt64', {rows})"
    assert warehouse.query(sql).rows == [(3,)]
