"""Rows of the chain come in the order of their blocks, whatever times are written beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from unification_roads import Rows, as_columns, build_roads

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.tables import Columns
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

AMOUNTS = (
    "wallet, token, shares, external_shares, cost, bought, bought_cost, fees, realized, untracked_shares,"
    " untracked_cash, basis_out, settled_value, redeemed_cash"
)
DAY = 86_400
WALLET, BUYER = b"\x01" * 20, b"\x02" * 20
CONDITION, YES, NO = b"\x20" * 32, b"\x40" * 32, b"\x50" * 32
TS = 1_780_000_000


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


def _amounts(warehouse: Warehouse, rows: Rows) -> list[tuple[Any, ...]]:
    warehouse.command("TRUNCATE TABLE observations")
    warehouse.write("observations", as_columns(rows), run=1, token=f"{Random(repr(rows)).random()}")
    build(warehouse)
    return warehouse.query(f"SELECT {AMOUNTS} FROM positions FINAL ORDER BY wallet, token").rows


def _with_foreign_times(rows: Rows, seed: int) -> Rows:
    """Every fifth transaction has a time that lies up to a month away from the one of its block."""
    random = Random(seed)
    moved = {row["tx"]: random.randint(-30 * DAY, 30 * DAY) for row in rows if random.random() < 0.2}
    return [row | {"ts": row["ts"] + moved.get(row["tx"], 0)} for row in rows]


def test_foreign_times_move_no_amount_of_any_position(warehouse: Warehouse, tmp_path: Path) -> None:
    universe = Universe(seed=4, wallets=60, fills=1_500, with_transfers=True)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    roads = build_roads(universe, truth, tmp_path)
    for name, columns in roads.tables.items():
        warehouse.write(name, columns, run=1, token="catalogue")
    want = _amounts(warehouse, roads.chain)
    assert len(want) > 300
    assert {"SELL", "CONVERT", "REDEEM", "TRANSFER_OUT"} <= {row["kind"] for row in roads.chain}
    assert _amounts(warehouse, _with_foreign_times(roads.chain, seed=1)) == want
    # The test would be worth nothing if the order of these rows did not matter.
    order = sorted({(row["block"], row["tx_index"]) for row in roads.chain})
    backwards = {place: -number for number, place in enumerate(order, -len(order))}
    turned = [row | {"block": backwards[row["block"], row["tx_index"]]} for row in roads.chain]
    assert _amounts(warehouse, turned) != want


def _chain(kind: str, block: int, ts: int, shares: int, cash: int, **fields: Any) -> dict[str, Any]:
    return {
        "wallet": WALLET, "token": YES, "condition": CONDITION, "tx": bytes([block]) * 32, "kind": kind, "ts": ts,
        "source": "chain", "block": block, "pos": 1, "shares": shares, "cash": cash, "shares_gross": shares,
        "usdc_gross": cash,
    } | fields  # fmt: skip


@pytest.fixture
def resolved(warehouse: Warehouse) -> Warehouse:
    tokens: Columns = {"token": [YES, NO], "condition": [CONDITION] * 2, "outcome": [0, 1], "source": ["gamma"] * 2}
    warehouse.write("tokens", tokens, run=1, token="tokens")
    payout: Columns = {
        "condition": [CONDITION], "source": ["chain"], "ts": [TS], "block": [10], "pos": [1], "numerators": [[1, 0]],
    }  # fmt: skip
    warehouse.write("resolutions", payout, run=1, token="resolution")
    return warehouse


def test_a_purchase_after_the_redemption_is_not_redeemed_by_it(resolved: Warehouse) -> None:
    """Everything is bought and redeemed, then more is bought: its time says before, its block says after."""
    rows = [
        _chain("BUY", 5, TS - 500, 100, 60),
        _chain("REDEEM", 12, TS + 500, 0, 100, token=bytes(32)),
        _chain("BUY", 14, TS - 100, 40, 10),
    ]
    for order in (rows, rows[::-1]):
        (found,) = (row for row in _amounts(resolved, order) if row[1] == YES)
        assert found[2:5] == (40, 0, 0)


def test_rows_without_a_block_keep_to_their_time(warehouse: Warehouse) -> None:
    """Between two chain rows of sound times a row of a feed stands where its time puts it."""
    token, other = b"\x60" * 32, b"\x61" * 32
    tokens: Columns = {
        "token": [token, other], "condition": [b"\x21" * 32] * 2, "outcome": [0, 1], "source": ["gamma"] * 2,
    }  # fmt: skip
    warehouse.write("tokens", tokens, run=1, token="more tokens")

    def row(kind: str, ts: int, cash: int, **place: Any) -> dict[str, Any]:
        return _chain(kind, 0, ts, 100, cash, token=token, condition=b"\x21" * 32, wallet=BUYER) | place

    first = row("BUY", TS, 30, block=50, tx=b"\x0a" * 32)
    feed = row("SELL", TS + 10, 45, source="activity", tx=b"\x0b" * 32)
    last = row("BUY", TS + 20, 70, block=60, tx=b"\x0c" * 32)
    for order in ([first, feed, last], [last, feed, first]):
        (found,) = _amounts(warehouse, order)
        # Sold what was bought for 30, then bought again for 70.
        assert (found[2], found[4], found[8], found[9]) == (100, 70, 15, 0)
