"""Daily series of whole universes: equal to the truth looked at day by day, however they are built."""

from __future__ import annotations

from typing import Any

import pytest
from accounting_builds import accounting_builds
from plain_days import plain_days
from score_store import load, universe_tables

from polyhouse.metrics.catalogue import computed
from polyhouse.models import build as build_module
from polyhouse.models import days
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.models.steps import prices_step
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
    """The days, and the metrics that are made of them."""
    rows = warehouse.query("SELECT * EXCEPT (version, is_deleted) FROM wallet_days FINAL").rows
    names = ", ".join(metric.name for metric in computed("days"))
    for table, keys in (("wallet_metrics_complete", "window"), ("wallet_metrics_by_category", "category, window")):
        rows += warehouse.query(f"SELECT wallet, {keys}, days_sample, {names} FROM {table} FINAL").rows
    return sorted(rows, key=repr)


@pytest.mark.parametrize(
    "universe",
    [
        Universe(seed=5, wallets=20, fills=750, with_transfers=True, now_fraction=0.4),
        Universe(seed=3, wallets=20, fills=750, amm_markets=8),
    ],
    ids=["early", "pools"],
)
@accounting_builds()
def test_every_number_of_every_day_equals_the_truth(
    warehouse: Warehouse, universe: Universe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "SLICE_ROWS", 700)
    monkeypatch.setattr(prices_step, "PRICE_SLICE_ROWS", 300)  # several cuts
    load(warehouse, universe_tables(universe))
    want = plain_days(universe)
    for road, compiled_from in (("compiled", 0), ("objects", 10**9)):
        monkeypatch.setattr(days, "COMPILED_FROM", compiled_from)
        build(warehouse)
        got = stored(warehouse)
        assert got.keys() == want.keys(), road
        for scope, rows in want.items():
            assert got[scope] == rows, (road, scope)
    assert all(check.ok for check in run_checks(warehouse))


def test_touched_wallets_only_equals_a_full_build(warehouse: Warehouse) -> None:
    """Whoever is touched gets the days of a full build, prices that others made included."""
    universe = Universe(seed=4, wallets=24, fills=1_000)
    tables = universe_tables(universe)
    rows, resolved = tables["observations"], tables["resolutions"]
    late = max(rows["ts"]) - 20 * DAY
    load(warehouse, tables | {"observations": _until(rows, late), "resolutions": _until(resolved, late)})
    build(warehouse)
    before = dump(warehouse)
    load(warehouse, {"observations": rows, "resolutions": resolved})
    wallets = sorted({bytes(wallet) for wallet in rows["wallet"]})
    some = set(wallets[::3])
    build(warehouse, sorted(some))
    partial = dump(warehouse)
    build(warehouse)
    full = dump(warehouse)
    assert _of(partial, some) == _of(full, some)
    assert _of(before, some) - _of(full, some), "rows of days that are no longer a window's eve must go"
    assert _of(full, some) - _of(before, some), "the late rows must change something"
    build(warehouse, wallets)
    assert dump(warehouse) == full
    assert all(check.ok for check in run_checks(warehouse))


def _until(columns: dict[str, list[Any]], late: int) -> dict[str, list[Any]]:
    return {
        name: [value for value, ts in zip(column, columns["ts"], strict=True) if ts <= late]
        for name, column in columns.items()
    }


def _of(rows: list[tuple[Any, ...]], wallets: set[bytes]) -> set[tuple[Any, ...]]:
    return {row for row in rows if bytes(row[0]) in wallets}


@accounting_builds()
def test_days_add_up_to_the_positions(warehouse: Warehouse) -> None:
    """Broken series are noticed: a booking that is lost, doubled, on no day at all, or a wrong equity at the end."""
    load(warehouse, universe_tables(Universe(seed=2, wallets=16, fills=400)))
    build(warehouse)
    assert all(check.ok for check in run_checks(warehouse))
    warehouse.command("CREATE TABLE sound ENGINE = Memory AS SELECT * FROM wallet_days FINAL")
    for broken, change in (
        ("realized + 1 AS realized", "days_add_up"),
        ("realized_total - 1 AS realized_total", "days_add_up"),
        ("1 AS is_deleted", "days_add_up"),
        ("equity + 1 AS equity", "days_end_at_the_totals"),
        ("at_risk + 1 AS at_risk", "days_end_at_the_totals"),
    ):
        warehouse.command("TRUNCATE TABLE wallet_days")
        warehouse.command(f"INSERT INTO wallet_days SELECT * REPLACE ({broken}) FROM sound")
        failed = {check.name for check in run_checks(warehouse) if not check.ok}
        assert change in failed, broken
    warehouse.command("DROP TABLE sound")
