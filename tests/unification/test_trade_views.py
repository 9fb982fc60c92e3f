"""The views of trades say what the ledger decided, in words and decimals, and find a wallet by its text."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from unification_roads import as_columns, build_roads

from polyhouse.models.runner import build
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")


def test_canonical_trades_are_the_fills_of_the_ledger(tmp_path: Path) -> None:
    universe = Universe(seed=4, wallets=60, fills=900, with_transfers=True)
    truth = compute_truth(universe.transactions(until=universe.now), universe.events, universe.neg_risk_markets)
    roads = build_roads(universe, truth, tmp_path)
    blocks = sorted(row["block"] for row in roads.chain)
    late = [row for row in roads.chain if row["block"] >= blocks[len(blocks) // 2]]
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        for name, columns in roads.tables.items():
            warehouse.write(name, columns, run=1, token="catalogue")
        partly = [row for row in roads.activity if row["wallet"][19] % 2]
        for rows in (late, partly, roads.trades, roads.dome, roads.amounts):
            warehouse.write("observations", as_columns(rows), run=1, token=str(len(rows)))
        build(warehouse)
        names = "wallet, token_id, tx_hash, source, ts, block, pos"
        ledger = warehouse.query(
            f"SELECT {names}, toString(kind), abs(share_change), volume FROM vw_ledger WHERE kind IN ('BUY', 'SELL')"
            " AND label = ''"
        ).rows
        trades = warehouse.query(f"SELECT {names}, side, shares, volume FROM vw_trades_canonical").rows
        assert sorted(trades) == sorted(ledger)
        assert {row[3] for row in trades} >= {"chain", "activity", "trades"}
        counted = dict(warehouse.query("SELECT wins, count() FROM vw_trades_unified GROUP BY wins").rows)
        assert counted[1] == len(trades)
        stored = warehouse.query("SELECT count() FROM observations_current WHERE kind IN ('BUY', 'SELL')").rows[0][0]
        assert sum(counted.values()) == stored > len(trades)


@pytest.mark.parametrize("view", ["vw_trades_canonical", "vw_trades_unified"])
def test_a_wallet_is_found_without_reading_the_others(tmp_path: Path, view: str) -> None:
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        warehouse.command(
            "INSERT INTO observations (wallet, token, tx, source, kind, ts, shares, cash, usdc_gross, shares_gross)"
            " SELECT unhex(leftPad(hex(toUInt32(number % 5000)), 40, '0')), unhex(repeat('07', 32)),"
            " unhex(leftPad(hex(toUInt32(number)), 64, '0')), 'trades', 'BUY', 1780000000 + number, 4000000, 1000000,"
            " 1000000, 4000000 FROM numbers(200000)"
        )
        sql = f"SELECT * FROM {view} WHERE wallet = '0x{(7).to_bytes(20, 'big').hex()}'"
        found = warehouse.query(sql)
        assert len(found.rows) == 40
        row = dict(zip(found.columns, found.rows[0], strict=True))
        assert (row["side"], row["shares"], row["price"], row["role"]) == ("BUY", Decimal(4), Decimal("0.25"), None)
        plan = [line.strip() for (line,) in warehouse.query(f"EXPLAIN indexes = 1 {sql}").rows if "Granules:" in line]
        read = min(int(line.split("Granules: ")[-1].split("/")[0]) for line in plan)
        total = max(int(line.split("/")[-1]) for line in plan if "/" in line)
        assert read <= 3 < 20 < total
