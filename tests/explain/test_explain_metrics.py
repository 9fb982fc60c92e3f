"""Metrics of the catalogue: their rows and inputs give the stored values again, bit for bit."""

from __future__ import annotations

import pytest
from score_store import empty, load, universe_tables

from polyhouse.metrics.catalogue import METRICS, RELATIONS
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.explain import explain
from polyhouse.sim.universe import Universe


@pytest.fixture(scope="module")
def built(shared: Warehouse) -> Warehouse:
    empty(shared)
    load(shared, universe_tables(Universe(seed=2, wallets=10, fills=900, now_fraction=0.7)))
    build(shared)
    return shared


@pytest.fixture(scope="module")
def busy(built: Warehouse) -> str:
    """The wallet with the most bets."""
    rows = built.query(
        "SELECT wallet FROM wallet_metrics_complete FINAL ORDER BY bets_sample DESC, wallet LIMIT 1"
    ).rows
    return f"0x{bytes(rows[0][0]).hex()}"


@pytest.mark.parametrize(
    ("where", "step"), [({}, 2), ({"window": "90d"}, 12), ({"category": "sports"}, 12)], ids=["all", "90d", "sports"]
)
def test_metrics_are_computed_again_from_their_rows(
    built: Warehouse, busy: str, where: dict[str, str], step: int
) -> None:
    """Every second one over the whole life, some of each relation in a window and in a category."""
    again, relations = 0, set()
    for metric in METRICS[::step]:
        document = explain(built, busy, f"metric.{metric.name}", limit=3, **where)
        assert document["meaning"] == metric.meaning
        if document["rows_are"]:
            assert document["adds_up"] is True, metric.name
            assert document["count"] == document["sample"]
            again += document["value"] is not None
            relations.add(document["rows_are"])
        elif document["value"] is not None:
            assert document["inputs"], metric.name
    assert again > (25 if step == 2 else 1)
    assert len(relations) >= len(RELATIONS) - 1


def test_rows_lead_on_to_units_and_transactions(built: Warehouse, busy: str) -> None:
    bets = explain(built, busy, "net_pnl", limit=500)
    assert bets["rows_are"] == "bets"
    assert sum(row["realized"] for row in bets["rows"]) == next(
        part["value"] for part in bets["inputs"] if part["name"] == "net"
    )
    for row in bets["rows"][:3]:
        further = dict(row["next"])
        unit = explain(built, busy, further.pop("name"), **further)
        assert unit["value"] * 1_000_000 == row["realized"]
    entries = explain(built, busy, "clv_mean", limit=20)
    assert entries["rows_are"] == "entries"
    for row in entries["rows"][:3]:
        further = dict(row["next"])
        steps = explain(built, busy, further.pop("name"), **further)
        assert row["tx_hash"] in {step["tx_hash"] for step in steps["rows"]}


def test_scores_lead_on_to_positions_and_purchases(built: Warehouse, busy: str) -> None:
    whale = explain(built, busy, "whale", limit=500)
    parts = {part["name"]: part["value"] for part in whale["inputs"]}
    assert sum(row["is_won"] for row in whale["rows"]) == parts["win_rate"]["wins"] > 0
    assert sum(row["is_decided"] for row in whale["rows"]) == parts["win_rate"]["decided"]
    assert sum(row["bought_cost"] for row in whale["rows"]) == parts["position_size"]["bought_cost"]
    insider = explain(built, busy, "insider", limit=500)
    parts = {part["name"]: part["value"] for part in insider["inputs"]}
    assert insider["count"] == len(insider["rows"]) == parts["entries"] > 0
    assert sum(row["cash"] for row in insider["rows"]) == parts["stake"] * 1_000_000
