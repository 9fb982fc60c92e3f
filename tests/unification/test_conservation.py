"""Zero-sum and conservation (accounting §3.7) hold on a universe read from the chain, and notice what breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unification_roads import Roads, as_columns, build_roads

from polyhouse.models.build import model_sql
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Roads:
    universe = Universe(seed=4, wallets=40, fills=500)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    return build_roads(universe, truth, tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, roads: Roads) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        for name, columns in roads.tables.items():
            opened.write(name, columns, run=1, token="catalogue")
        yield opened


def _load(warehouse: Warehouse, rows: list[dict[str, Any]]) -> set[str]:
    """Names of the broken checks of a store with exactly these rows."""
    warehouse.command("TRUNCATE TABLE observations")
    warehouse.write("observations", as_columns(rows), run=1, token=str(id(rows)))
    build(warehouse)
    return {check.name for check in run_checks(warehouse) if not check.ok}


@pytest.fixture(scope="module")
def wrong_place(warehouse: Warehouse, roads: Roads) -> int:
    """Place of a fill that bought a winner of a closed condition."""
    _load(warehouse, roads.chain)
    closed = _closed(warehouse)
    rows = warehouse.query("SELECT token FROM token_map FINAL WHERE numerator > 0").rows
    winners = {bytes(token) for (token,) in rows}
    return next(
        place
        for place, row in enumerate(roads.chain)
        if row["kind"] == "BUY" and row["condition"] in closed and row["token"] in winners
    )


def _closed(warehouse: Warehouse) -> set[bytes]:
    sql = f"SELECT condition FROM ({model_sql('closed_world', '1')}) WHERE is_settled"
    return {bytes(condition) for (condition,) in warehouse.query(sql).rows}


def test_every_invariant_holds_on_the_whole_chain_and_on_feeds_alone(warehouse: Warehouse, roads: Roads) -> None:
    assert _load(warehouse, roads.activity) == set()
    assert not _closed(warehouse)
    assert _load(warehouse, roads.chain) == set()
    assert len(_closed(warehouse)) > 10
    assert {row["fee_asset"] for row in roads.chain} == {"", "usdc", "shares"}


@pytest.mark.parametrize(
    ("column", "broken"), [("cash", {"zero_sum"}), ("shares", {"zero_sum", "outcomes_balance"})]
)  # fmt: skip
def test_one_wrong_fill_is_noticed(
    warehouse: Warehouse, roads: Roads, wrong_place: int, column: str, broken: set[str]
) -> None:
    rows = [
        row | {column: row[column] + 1_000} if place == wrong_place else row for place, row in enumerate(roads.chain)
    ]
    assert _load(warehouse, rows) == broken


def test_pnl_out_of_nothing_is_noticed(warehouse: Warehouse, roads: Roads) -> None:
    assert _load(warehouse, roads.trades) == set()
    warehouse.command(
        "INSERT INTO positions SELECT * REPLACE (realized + 1 AS realized, version + 1 AS version) FROM positions FINAL"
        " LIMIT 1"
    )
    assert "cash_is_conserved" in {check.name for check in run_checks(warehouse) if not check.ok}
