"""Scores of whole universes: equal to the slow calculation, in every build, with planted wallets on top."""

from __future__ import annotations

from collections import Counter

import pytest
from plain_scores import plain_scores
from score_store import dump, load, stored, universe_tables

from polyhouse.domain.ids import parse_address
from polyhouse.metrics.scores import InsiderInputs, WhaleInputs, insider, whale
from polyhouse.models import build as build_module
from polyhouse.models.runner import build
from polyhouse.models.steps import prices_step
from polyhouse.ports import Warehouse
from polyhouse.reads.scores import whale_scores
from polyhouse.sim.universe import Universe

pytestmark = pytest.mark.usefixtures("accounts_only")

ORDINARY = range(11, 19)


@pytest.mark.parametrize(
    "universe",
    [
        Universe(seed=8, wallets=30, fills=1_500, insiders=2, whales=2),
        Universe(seed=5, wallets=40, fills=2_000, with_transfers=True, now_fraction=0.4),
        Universe(seed=3, wallets=24, fills=900, amm_markets=8),
    ],
    ids=["planted", "early", "pools"],
)
def test_every_input_and_every_score_equals_the_slow_calculation(
    warehouse: Warehouse, universe: Universe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prices_step, "PRICE_SLICE_ROWS", 300)  # several cuts
    monkeypatch.setattr(build_module, "SLICE_ROWS", 1_200)
    load(warehouse, universe_tables(universe))
    build(warehouse)
    got, want = stored(warehouse), plain_scores(universe)
    assert got == want
    assert len({row["insider_status"] for row in got.values()}) >= 3, "the universe must have every kind of wallet"
    for row in got.values():
        one = whale(WhaleInputs(
            row["volume"], row["trades"], row["wins"], row["decided"], row["bought_cost"], row["bought_positions"]
        ))  # fmt: skip
        assert (one.tenths, one.is_whale) == (row["whale_tenths"], row["is_whale"])
        two = insider(InsiderInputs(
            row["entries"], row["entry_positions"], row["stake"], row["early_stake"], row["early_weight"],
            row["reference_stake"], row["against_stake"], row["timing_stake"], row["timing_gain"], row["timing_best"],
        ))  # fmt: skip
        assert (two.tenths, two.is_suspected, two.status) == (
            row["insider_tenths"], row["is_suspected"], row["insider_status"]
        )  # fmt: skip


def test_touched_wallets_only_equals_a_full_build(warehouse: Warehouse) -> None:
    """Whoever is touched gets the numbers of a full build, prices that others made included."""
    universe = Universe(seed=4, wallets=30, fills=1_200)
    tables = universe_tables(universe)
    rows = tables["observations"]
    late = max(rows["ts"]) - 20 * 86_400
    early = {name: [v for v, ts in zip(column, rows["ts"], strict=True) if ts <= late] for name, column in rows.items()}
    resolved = tables["resolutions"]
    known = {
        name: [v for v, ts in zip(column, resolved["ts"], strict=True) if ts <= late]
        for name, column in resolved.items()
    }
    load(warehouse, tables | {"observations": early, "resolutions": known})
    build(warehouse)
    before = dump(warehouse)
    load(warehouse, {"observations": rows, "resolutions": resolved})
    wallets = sorted({bytes(wallet) for wallet in rows["wallet"]})
    some = set(wallets[::3])
    build(warehouse, sorted(some))
    partial = dump(warehouse)
    build(warehouse)
    full = dump(warehouse)
    assert [row for row in partial if bytes(row[0]) in some] == [row for row in full if bytes(row[0]) in some]
    assert {row for row in full if bytes(row[0]) in some} - set(before), "the late rows must change something"
    build(warehouse, wallets)
    assert dump(warehouse) == full
    assert warehouse.query("SELECT count() FROM scored_tokens").rows == [(0,)]


def test_planted_wallets_come_out_on_top(warehouse: Warehouse) -> None:
    universe = Universe(seed=3, wallets=50, fills=2_000, insiders=1, whales=1)
    load(warehouse, universe_tables(universe))
    build(warehouse)
    rows = stored(warehouse)
    ((rich, insider_wallet),) = [
        tuple(wallet for kind in ("planted_whale", "insider") for wallet, k in universe.behaviours.items() if k == kind)
    ]
    assert [wallet for wallet, row in rows.items() if row["is_suspected"]] == [insider_wallet]
    others = [row["insider_tenths"] or 0 for wallet, row in rows.items() if wallet != insider_wallet]
    assert rows[insider_wallet]["insider_tenths"] >= 90 > max(others) + 15
    assert rows[rich]["whale_tenths"] == 100 > max(row["whale_tenths"] for w, row in rows.items() if w != rich)
    scores = whale_scores(warehouse, [parse_address(rich), parse_address(insider_wallet), b"\xfe" * 20])
    assert scores == {
        parse_address(rich): 100, parse_address(insider_wallet): rows[insider_wallet]["whale_tenths"],
    }  # fmt: skip


def test_an_ordinary_crowd_is_not_suspected() -> None:
    """Of about a thousand wallets, lucky ones included, not one is."""
    crowd: Counter[str] = Counter()
    suspected = []
    for seed in ORDINARY:
        universe = Universe(seed=seed, wallets=130, fills=3_500)
        for wallet, row in plain_scores(universe).items():
            crowd[row["insider_status"]] += 1
            if row["is_suspected"] and universe.behaviours[wallet] != "informed":
                suspected.append((seed, wallet, row))
    assert suspected == []
    assert crowd.total() > 900
    assert crowd["OK"] > 100
