"""Positions as Polymarket publishes them: equal to the pnl-subgraph's rules on the chain's own logs, in every build."""

from __future__ import annotations

from typing import Any

import pytest
from score_store import empty, load, universe_case, universe_tables

from polyhouse.ledger.parity import SubgraphPosition, subgraph_positions
from polyhouse.models.runner import build
from polyhouse.models.steps import polymarket_step
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

pytestmark = pytest.mark.usefixtures("accounts_only")

V1_ONLY = 150
"""Days of a universe before the cut-over to CLOB V2, where the subgraph ends."""


def stored(warehouse: Warehouse) -> dict[tuple[bytes, bytes], tuple[int, ...]]:
    rows = warehouse.query(
        "SELECT wallet, token, tracked, avg_price_e6, realized, bought FROM positions_polymarket FINAL"
    ).rows
    return {(bytes(wallet), bytes(token)): tuple(map(int, numbers)) for wallet, token, *numbers in rows}


def figures(position: SubgraphPosition) -> tuple[int, int, int, int]:
    return position.amount, position.avg_price, position.realized_pnl, position.total_bought


@pytest.mark.parametrize(("pools", "compiled_from"), [(6, 0), (0, 10**9)], ids=["compiled", "objects"])
def test_equal_to_the_subgraph_on_the_logs_of_the_first_exchanges(
    shared: Warehouse, pools: int, compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polymarket_step, "COMPILED_FROM", compiled_from)
    universe = Universe(seed=2, wallets=20, fills=900, span_days=V1_ONLY, now_fraction=1.0, amm_markets=pools)
    empty(shared)
    load(shared, universe_tables(universe))
    build(shared)
    case = universe_case(universe)
    logs = [log for logs in case.transactions for log in logs]
    theirs = subgraph_positions(logs, case.registry)
    ours = stored(shared)
    wanted = {pair: figures(theirs.get(pair, SubgraphPosition())) for pair in ours}
    assert ours == wanted
    assert sum(1 for amount, *_ in ours.values() if amount) > 10


def test_touched_wallets_only_equals_a_full_build(shared: Warehouse) -> None:
    universe = Universe(seed=4, wallets=25, fills=1_000)
    tables = universe_tables(universe)
    late = max(tables["observations"]["ts"]) - 40 * 86_400
    empty(shared)
    load(shared, tables | {name: until(tables[name], late) for name in ("observations", "resolutions")})
    build(shared)
    before = dump(shared)
    load(shared, {name: tables[name] for name in ("observations", "resolutions")})
    wallets = sorted({bytes(wallet) for wallet in tables["observations"]["wallet"]})
    some = set(wallets[::3])
    build(shared, sorted(some))
    partial = dump(shared)
    build(shared)
    full = dump(shared)
    chosen = [row for row in full if row[0] in some]
    assert [row for row in partial if row[0] in some] == chosen
    assert set(chosen) - set(before), "the late rows must change something"


def until(columns: dict[str, list[Any]], late: int) -> dict[str, list[Any]]:
    return {
        name: [value for value, ts in zip(column, columns["ts"], strict=True) if ts <= late]
        for name, column in columns.items()
    }


def dump(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    rows = warehouse.query("SELECT * EXCEPT (version, is_deleted) FROM positions_polymarket FINAL").rows
    return sorted((bytes(wallet), bytes(token), *numbers) for wallet, token, *numbers in rows)
