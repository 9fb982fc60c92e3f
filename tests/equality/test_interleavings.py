"""Any interleaving of all sources leaves the same ledger and the same models, bit for bit (hypothesis chooses)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse

sys.path.append(str(Path(__file__).parents[1] / "unification"))
from unification_roads import Roads, Rows, as_columns, build_roads, side_roads

pytestmark = pytest.mark.usefixtures("accounts_only")

MODELS = (
    "ledger", "unmapped", "token_map", "positions", "wallet_days", "units", "wallet_totals", "wallet_coverage",
    "wallet_scores_v1",
)  # fmt: skip
Dump = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Roads, dict[str, Rows]]:
    """A small universe by every road: chain, both generations of both feeds, saved files, two kinds of dumps."""
    universe = Universe(seed=6, wallets=20, fills=260, with_transfers=True)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    found = build_roads(universe, truth, tmp_path_factory.mktemp("files"))
    every = {name: rows for name, rows in (found.all() | side_roads(universe, truth)).items() if rows}
    assert set(every) >= {"chain", "activity", "trades", "activity_v1", "trades_v1", "goldsky", "dome", "amounts"}
    return found, every


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, roads: tuple[Roads, Any]) -> Iterator[Warehouse]:
    """One store for all examples: opening one costs more than an example."""
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        for name, columns in roads[0].tables.items():
            opened.write(name, columns, run=1, token="catalogue")
        yield opened


@st.composite
def deliveries(draw: st.DrawFn, lengths: dict[str, int], chosen: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Batches (road, first row, end) that cover these roads, in any order, overlapping, some rows twice."""
    batches = []
    for name in chosen:
        size = lengths[name]
        cuts = sorted(draw(st.lists(st.integers(0, size), max_size=2)))
        for first, end in zip([0, *cuts], [*cuts, size], strict=True):
            batches.append((name, max(0, first - draw(st.integers(0, 30))), end))
        if draw(st.booleans()):
            batches.append((name, draw(st.integers(0, size)), size))
    return draw(st.permutations(batches))


def _load(warehouse: Warehouse, every: dict[str, Rows], batches: list[tuple[str, int, int]], built: int) -> Dump:
    """The tables after these batches; the models are also built after the first ``built`` of them, unless 0."""
    for table in ("observations", "builds", *MODELS):
        warehouse.command(f"TRUNCATE TABLE {table}")
    for number, (name, first, end) in enumerate(batches, 1):
        rows = every[name][first:end]
        if rows:
            warehouse.write("observations", as_columns(rows), run=number, token=f"{name} {number}")
        if number == built:
            build(warehouse)
    # After an earlier build only the wallets that got rows since are built again.
    late = {row["wallet"] for name, first, end in batches[built:] for row in every[name][first:end]}
    build(warehouse, sorted(late) if built else None)
    return {
        name: sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {name} FINAL").rows, key=repr)
        for name in MODELS
    }


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mixture", "examples"),
    [((), 6), (("activity", "amounts", "goldsky", "trades_v1"), 2), (("dome", "goldsky", "trades"), 2)],
)
def test_any_interleaving_is_bit_identical(
    warehouse: Warehouse, roads: tuple[Roads, dict[str, Rows]], mixture: tuple[str, ...], examples: int
) -> None:
    """Of all roads; and of mixtures without the best ones, which must agree with themselves."""
    _, every = roads
    lengths = {name: len(rows) for name, rows in every.items()}
    chosen = mixture or tuple(sorted(every))
    wanted = _load(warehouse, every, [(name, 0, lengths[name]) for name in chosen], 0)
    orders = set()

    @settings(
        max_examples=3 * examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.data())
    def one(data: st.DataObject) -> None:
        batches = data.draw(deliveries(lengths, chosen))
        built = data.draw(st.integers(1, len(batches) - 1)) if data.draw(st.integers(0, 3)) == 0 else 0
        order = repr((batches, built))
        if order in orders or len(orders) == examples:
            return  # hypothesis likes to repeat itself
        orders.add(order)
        got = _load(warehouse, every, batches, built)
        for name in MODELS:
            differing = set(map(repr, got[name])) ^ set(map(repr, wanted[name]))
            assert got[name] == wanted[name], (name, sorted(differing)[:4])

    one()
    assert len(orders) == examples
    assert len(wanted["ledger"]) > (100 if mixture else 250)
