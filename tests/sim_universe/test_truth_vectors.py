"""The truth against the cases of the accounting reference: trading, matching, fees, splits, resolution, neg-risk,
transfers, migration, income, wallets.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polyhouse.sim.model import Log, SimEvent, SimMarket, Transaction
from polyhouse.sim.truth import Truth, compute_truth

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "vectors" / "accounting.json"
CASES = json.loads(VECTORS.read_text())["vectors"] if VECTORS.exists() else []
GROUPS = tuple("TMFSRNUW")
RENAMED = {"ext_shares": "external_shares", "flat": "flats", "economic": "economic_pnl", "open": "is_open"}


def catalogue(case: dict[str, Any]) -> list[SimEvent]:
    markets = tuple(
        SimMarket(
            number, condition["id"], condition["id"], "", "", ("Yes", "No"), tuple(condition["tokens"]), 1,
            "neg_risk_market" in condition, condition.get("neg_risk_market", ""), condition.get("question_index", 0),
            0, 0, 0, "0",
        )
        for number, condition in enumerate(case["conditions"])
    )  # fmt: skip
    return [
        SimEvent(
            1, "", "", (), None, neg_risk=False, neg_risk_market_id="", neg_risk_fee_bips=0, created_ts=0, start_ts=0,
            end_ts=0, markets=markets,
        )
    ]  # fmt: skip


def transactions(case: dict[str, Any]) -> list[Transaction]:
    """The case's logs, once each, in chain order; addresses compared without case."""
    logs: dict[tuple[str, int], dict[str, Any]] = {}
    for row in case["logs"]:
        known = logs.setdefault((row["tx"], row["li"]), row)
        assert {**known, "ts": 0} == {**row, "ts": 0}
    ordered = sorted(logs.values(), key=lambda row: (row["bn"], row.get("ti", 0), row["li"]))
    made: list[Transaction] = []
    for row in ordered:
        fields = {
            name: value.lower() if isinstance(value, str) and value.startswith("0x") else value
            for name, value in row.items()
            if name not in ("t", "tx", "li", "bn", "ti", "ts")
        }
        log = Log(row["t"], row["li"], fields)
        if made and made[-1].tx == row["tx"]:
            last = made.pop()
            made.append(Transaction(last.tx, last.block, last.tx_index, last.ts, (*last.logs, log)))
        else:
            made.append(Transaction(row["tx"], row["bn"], row.get("ti", 0), row.get("ts", row["bn"]), (log,)))
    return made


def truth_of(case: dict[str, Any]) -> Truth:
    neg_risk = {m["id"]: (m["question_count"], m["fee_bips"]) for m in case.get("neg_risk_markets", [])}
    known = {m["id"] for m in case.get("neg_risk_markets", [])}
    assert all(c.get("neg_risk_market", "") in known | {""} for c in case["conditions"])
    return compute_truth(transactions(case), catalogue(case), neg_risk, marks=case.get("marks"))


def assert_subset(found: Any, expected: dict[str, Any], where: str) -> None:
    for name, value in expected.items():
        if name != "fee_source":
            assert getattr(found, RENAMED.get(name, name)) == value, f"{where}.{name}"


@pytest.mark.skipif(not CASES, reason=f"the reference vectors are not at {VECTORS}")
@pytest.mark.parametrize("case", [c for c in CASES if c["id"][0] in GROUPS or c["id"] == "A04"], ids=lambda c: c["id"])
def test_truth_equals_the_vector(case: dict[str, Any]) -> None:
    truth = truth_of(case["input"])
    expected = case["expected"]
    for key, values in expected.get("positions", {}).items():
        assert_subset(truth.positions[tuple(key.split("/"))], values, key)
    for key, values in expected.get("units", {}).items():
        # The vectors call everything a unit ever cost its cost.
        renamed = {"bought_cost" if name == "cost" else name: value for name, value in values.items()}
        assert_subset(truth.units[tuple(key.split("/"))], renamed, key)
    for wallet, values in expected.get("wallets", {}).items():
        assert_subset(truth.wallets[wallet].totals, values, wallet)
    for key, cash in expected.get("redeemed_cash", {}).items():
        assert truth.units[tuple(key.split("/"))].redeemed_cash == cash
    for key, total in expected.get("closed_form", {}).items():
        unit = truth.units[tuple(key.split("/"))]
        assert unit.unrealized is not None
        assert unit.realized + unit.unrealized == total
    if "wallet_list" in expected:
        assert sorted(truth.wallets) == sorted(expected["wallet_list"])
    if "fill_count" in expected:
        assert sum(w.totals.trades for w in truth.wallets.values()) == expected["fill_count"]
