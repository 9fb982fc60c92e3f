"""Which roads tell of a fill changes no model where a better one tells it (in any order: ``tests/equality``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unification_roads import Roads, Rows, as_columns, build_roads

from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.truth_check import compare
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

MODELS = (
    "ledger",
    "unmapped",
    "token_map",
    "positions",
    "wallet_days",
    "units",
    "wallet_totals",
    "wallet_coverage",
    "wallet_scores_v1",
)
Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Roads:
    universe = Universe(seed=4, wallets=60, fills=1_500, with_transfers=True)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    found = build_roads(universe, truth, tmp_path_factory.mktemp("files"))
    kinds = {row["kind"] for row in found.chain}
    assert kinds > {"SPLIT", "MERGE", "REDEEM", "CONVERT", "TRANSFER_IN"}, "the universe must have every kind"
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


@pytest.fixture
def warehouse(shared: Warehouse) -> Warehouse:
    for (table,) in shared.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
        " AND name != 'schema_migrations'"
    ).rows:
        shared.command(f"TRUNCATE TABLE {table}")
    return shared


def _load(warehouse: Warehouse, roads: Roads, batches: list[Rows]) -> None:
    for name, columns in roads.tables.items():
        warehouse.write(name, columns, run=1, token="catalogue")
    for number, rows in enumerate(batches):
        warehouse.write("observations", as_columns(rows), run=2 + number, token=f"batch {number}")


def _dump(warehouse: Warehouse) -> Dump:
    return {
        name: sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {name} FINAL").rows, key=repr)
        for name in MODELS
    }


def _assert_equal(got: Dump, want: Dump) -> None:
    for name in MODELS:
        assert got[name] == want[name], (name, sorted(set(map(repr, got[name])) ^ set(map(repr, want[name])))[:4])


def test_beside_the_chain_nobody_adds_anything(warehouse: Warehouse, roads: Roads) -> None:
    """With complete chain rows the other roads change nothing but income: all numbers are the truth's."""
    everything = [*roads.all().values()]
    _load(warehouse, roads, everything)
    build(warehouse)
    result = compare(warehouse, roads.truth, everyone=True)
    assert result.ok, "\n".join(result.differences)
    assert [check for check in run_checks(warehouse) if not check.ok] == []
    mixed = _dump(warehouse)
    warehouse.command("TRUNCATE TABLE observations")
    income = [row for row in roads.activity if row["kind"] == "INCOME"]
    assert income
    _load(warehouse, roads, [roads.chain, income])
    build(warehouse)
    _assert_equal(_dump(warehouse), mixed)


@pytest.mark.parametrize("others", [("trades",), ("saved_activity", "saved_trades"), ("dome", "amounts", "trades")])
def test_beside_the_wallets_own_feed_nobody_adds_anything(
    warehouse: Warehouse, roads: Roads, others: tuple[str, ...]
) -> None:
    _load(warehouse, roads, [roads.activity, roads.trades])
    build(warehouse)
    want = _dump(warehouse)
    _load(warehouse, roads, [roads.all()[name] for name in others])
    build(warehouse)
    _assert_equal(_dump(warehouse), want)
    result = compare(warehouse, roads.truth)
    assert not result.differences, "\n".join(result.differences)


def test_a_chain_that_begins_late_replaces_only_its_own_transactions(warehouse: Warehouse, roads: Roads) -> None:
    """REST before a block and chain after it: still every number of every wallet REST can express."""
    blocks = sorted({row["block"] for row in roads.chain})
    late = [row for row in roads.chain if row["block"] >= blocks[len(blocks) // 2]]
    _load(warehouse, roads, [late, roads.activity, roads.trades])
    build(warehouse)
    result = compare(warehouse, roads.truth)
    assert not result.differences, "\n".join(result.differences)
    assert {"mixed"} <= {row[0] for row in warehouse.query("SELECT coverage FROM wallet_coverage FINAL").rows}


def test_the_last_writer_does_not_take_a_rows_place_away(warehouse: Warehouse, roads: Roads) -> None:
    """A saved file knows no order inside a second; read after the feed it must not forget the feed's."""
    _load(warehouse, roads, [roads.activity])
    build(warehouse)
    want = _dump(warehouse)
    _load(warehouse, roads, [roads.saved_activity])
    build(warehouse)
    _assert_equal(_dump(warehouse), want)
