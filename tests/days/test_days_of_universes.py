"""Daily series of whole universes: equal to the truth looked at day by day, however they are built."""

from __future__ import annotations

from typing import Any

import pytest
from plain_days import plain_days
from score_store import load, universe_tables

from polyhouse.models import days, runner
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

DAY = 86_400


def stored(warehouse: Warehouse) -> dict[tuple[str, str], dict[int, dict[str, Any]]]:
    """(wallet, category) → day → the stored numbers."""
    result = warehouse.query(
        "SELECT wallet, category, toUInt16(day) AS day, * EXCEPT (wallet, category, day, version, is_deleted)"
        " FROM wallet_days FINAL ORDER BY wallet, category, day"
    )
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        scope = "0x" + bytes(row.pop("wallet")).hex(), row.pop("category")
        found.setdefault(scope, {})[row.pop("day")] = row
    return found


def dump(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return sorted(warehouse.query("SELECT * EXCEPT (version, is_deleted) FROM wallet_days FINAL").rows, key=repr)


@pytest.mark.parametrize("compiled_from", [0, 10**9], ids=["compiled", "objects"])
@pytest.mark.parametrize(
    "universe",
    [
        Universe(seed=2, wallets=60, fills=1_500),
        Universe(seed=5, wallets=40, fills=1_500, with_transfers=True, now_fraction=0.4),
        Universe(seed=3, wallets=40, fills=1_500, amm_markets=8),
    ],
    ids=["ordinary", "early", "pools"],
)
def test_every_number_of_every_day_equals_the_truth(
    warehouse: Warehouse, universe: Universe, compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "COMPILED_FROM", compiled_from)
    monkeypatch.setattr(runner, "SLICE_ROWS", 2_000)
    monkeypatch.setattr(runner, "PRICE_SLICE_ROWS", 2_000)  # several cuts
    load(warehouse, universe_tables(universe))
    build(warehouse)
    got, want = stored(warehouse), plain_days(universe)
    assert got.keys() == want.keys()
    for scope, rows in want.items():
        assert got[scope] == rows, scope
    assert all(check.ok for check in run_checks(warehouse))
    assert warehouse.query("SELECT count() FROM day_marks").rows == [(0,)]
