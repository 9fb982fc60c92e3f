"""A universe loaded from its chain logs equals the simulator's truth in every number of every wallet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from polyhouse.domain.categories import category_of
from polyhouse.ledger.chain import observations
from polyhouse.ledger.vector_logs import VectorCase, parse_case
from polyhouse.models import pairs
from polyhouse.models.checks import run_checks
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.truth_check import compare
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")


def _case(universe: Universe) -> VectorCase:
    """The universe's logs up to now, through the file format of ``polyhouse replay``."""
    return parse_case({
        "conditions": [
            {
                "id": market.condition_id, "tokens": list(market.token_ids),
                "neg_risk_market": market.neg_risk_market_id or None, "question_index": market.question_index,
            }
            for event in universe.events for market in event.markets
        ],
        "neg_risk_markets": [
            {"id": market, "question_count": count, "fee_bips": bips}
            for market, (count, bips) in universe.neg_risk_markets.items()
        ],
        "logs": [
            {"t": log.t, "tx": tx.tx, "li": log.li, "bn": tx.block, "ti": tx.tx_index, "ts": tx.ts, **log.fields}
            for tx in universe.transactions(until=universe.now) for log in tx.logs
        ],
    })  # fmt: skip


def _tables(universe: Universe, case: VectorCase) -> dict[str, dict[str, list[Any]]]:
    markets = [(market, event) for event in universe.events for market in event.markets]
    rows = observations(case.transactions, case.registry, use_transfers=True)
    return rows.tables() | {
        "markets": {
            "condition": [c.condition for c in case.conditions],
            "source": ["gamma"] * len(markets),
            "event_id": [event.event_id for _, event in markets],
            "neg_risk_market": [c.neg_risk_market for c in case.conditions],
            "question_index": [c.question_index if c.neg_risk_market else 65_535 for c in case.conditions],
        },
        "tokens": {
            "token": [token for c in case.conditions for token in c.tokens],
            "condition": [c.condition for c in case.conditions for _ in c.tokens],
            "outcome": [0, 1] * len(markets),
            "source": ["gamma"] * 2 * len(markets),
        },
        "events": {
            "event_id": [event.event_id for event in universe.events],
            "category": [category_of([t for tag in event.tags for t in tag[1:]]) for event in universe.events],
        },
        "neg_risk_markets": {
            "market": [m.market for m in case.neg_risk_markets],
            "question_count": [m.question_count for m in case.neg_risk_markets],
            "fee_bips": [m.fee_bips for m in case.neg_risk_markets],
            "source": ["gamma"] * len(case.neg_risk_markets),
        },
    }


def _load(warehouse: Warehouse, tables: dict[str, dict[str, list[Any]]]) -> None:
    for name, columns in tables.items():
        warehouse.write(name, columns, run=1, token="universe")


def _dump(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    return sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL").rows, key=repr)


@pytest.mark.parametrize(("seed", "is_large"), [(1, False), (2, False), (3, True)])
def test_every_number_of_every_wallet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, is_large: bool
) -> None:
    if is_large:
        monkeypatch.setattr(pairs, "COMPILED_FROM", 0)
    universe = Universe(seed=seed, wallets=60, fills=2_500)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        _load(warehouse, _tables(universe, _case(universe)))
        build(warehouse)
        result = compare(warehouse, truth, everyone=True)
        assert not result.differences, "\n".join(result.differences)
        assert result.equal == result.compared == len(truth.wallets) > 50
        assert [c for c in run_checks(warehouse) if not c.ok] == []


def test_touched_wallets_only_equals_a_full_build(tmp_path: Path) -> None:
    universe = Universe(seed=4, wallets=40, fills=1_200)
    tables = _tables(universe, _case(universe))
    rows = tables["observations"]
    late = max(rows["ts"]) - 3 * 86_400
    early = {name: [v for v, ts in zip(column, rows["ts"], strict=True) if ts <= late] for name, column in rows.items()}
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        _load(warehouse, tables | {"observations": early})
        build(warehouse)
        _load(warehouse, {"observations": rows})
        everybody = [bytes(w) for (w,) in warehouse.query("SELECT DISTINCT wallet FROM observations").rows]
        report = build(warehouse, everybody)
        assert report.wallets is not None
        names = ("ledger", "positions", "units", "wallet_totals", "wallet_coverage", "wallet_scores_v1")
        touched = {name: _dump(warehouse, name) for name in names}
        build(warehouse)
        for name in names:
            assert touched[name] == _dump(warehouse, name), name


def test_rows_that_vanish_from_the_ledger_vanish_from_the_models(tmp_path: Path) -> None:
    """A better source replaces a wallet's rows of a transaction: the old ones must not stay behind."""
    wallet, token, condition, tx = b"\x01" * 20, b"\x05" * 32, b"\x07" * 32, b"\x0a" * 32
    fill = {
        "wallet": [wallet], "token": [token], "condition": [condition], "tx": [tx], "kind": ["BUY"],
        "ts": [1_780_000_000], "shares": [100], "cash": [50], "usdc_gross": [50], "shares_gross": [100],
    }  # fmt: skip
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        tokens = {
            "token": [token, b"\x06" * 32],
            "condition": [condition] * 2,
            "outcome": [0, 1],
            "source": ["gamma"] * 2,
        }
        _load(warehouse, {"tokens": tokens, "observations": fill | {"source": ["trades"]}})
        build(warehouse)
        _load(warehouse, {"observations": fill | {"source": ["activity"], "shares": [101], "cash": [51], "pos": [1]}})
        build(warehouse, [wallet])
        found = warehouse.query("SELECT toString(source), ds, du FROM ledger FINAL").rows
        assert found == [("activity", 101, -51)]
        assert warehouse.query("SELECT shares, cost FROM positions FINAL").rows == [(101, 51)]
