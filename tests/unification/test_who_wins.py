"""Small cases by hand: which source's rows stand when several speak about one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unification_roads import Rows, as_columns

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse

WALLET, TX, TS = b"\x01" * 20, b"\x0a" * 32, 1_780_000_000
MARKET = b"\x77" * 32
CONDITIONS = [bytes([0x20 + i]) * 32 for i in range(3)]
YES, NO = [bytes([0x40 + i]) * 32 for i in range(3)], [bytes([0x50 + i]) * 32 for i in range(3)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        tokens = [token for pair in zip(YES, NO, strict=True) for token in pair]
        opened.write(
            "tokens",
            {
                "token": tokens, "condition": [c for c in CONDITIONS for _ in (0, 1)], "outcome": [0, 1] * 3,
                "source": ["gamma"] * 6,
            },
            run=1, token="tokens",
        )  # fmt: skip
        opened.write(
            "markets",
            {
                "condition": CONDITIONS, "source": ["gamma"] * 3, "neg_risk_market": [MARKET] * 3,
                "question_index": [0, 1, 2],
            },
            run=1, token="markets",
        )  # fmt: skip
        yield opened


def _row(source: str, kind: str, **fields: Any) -> dict[str, Any]:
    place = {"block": 50, "pos": 7} if source == "chain" else {"pos": 1} if source != "dump" else {}
    return {"wallet": WALLET, "tx": TX, "ts": TS, "source": source, "kind": kind, "shares": 100} | place | fields


def _changes(warehouse: Warehouse, rows: Rows) -> set[tuple[str, str, bytes, int, int]]:
    """(source, kind, token, shares, cash) of the ledger, the same in whichever order the rows came."""
    found = []
    for order in (rows, rows[::-1]):
        warehouse.command("TRUNCATE TABLE observations")
        for number, row in enumerate(order):
            warehouse.write("observations", as_columns([row]), run=number, token=f"{number}")
        build(warehouse)
        changes = warehouse.query("SELECT toString(source), toString(kind), token, ds, du FROM ledger FINAL").rows
        assert len(set(changes)) == len(changes)
        found.append(set(changes))
    assert found[0] == found[1]
    return found[0]


def test_a_merge_that_the_chain_knows_as_a_transfer_is_not_added_to_it(warehouse: Warehouse) -> None:
    chain = _row("chain", "TRANSFER_OUT", token=YES[0], condition=CONDITIONS[0])
    merge = _row("activity", "MERGE", condition=CONDITIONS[0], cash=100)
    other = _row("activity", "MERGE", condition=CONDITIONS[1], cash=100)
    assert _changes(warehouse, [chain, merge, other]) == {
        ("chain", "TRANSFER_OUT", YES[0], -100, 0),
        ("activity", "MERGE", YES[1], -100, 50),
        ("activity", "MERGE", NO[1], -100, 50),
    }


def test_income_of_a_transaction_that_the_chain_knows_stays(warehouse: Warehouse) -> None:
    redeem = _row("chain", "REDEEM", condition=CONDITIONS[0], cash=100, amounts=(100, 0))
    reward = _row("activity", "INCOME", condition=CONDITIONS[0], shares=0, cash=3, label="REWARD")
    rebate = _row("activity", "INCOME", shares=0, cash=4, label="MAKER_REBATE")
    assert _changes(warehouse, [redeem, reward, rebate]) == {
        ("chain", "REDEEM", YES[0], 0, 100),
        ("activity", "INCOME", bytes(32), 0, 3),
        ("activity", "INCOME", bytes(32), 0, 4),
    }


def test_a_feed_that_moves_a_transaction_by_a_second_does_not_double_it(warehouse: Warehouse) -> None:
    first = _row("trades", "BUY", token=YES[0], condition=CONDITIONS[0], cash=60, price_e12=600_000_000_000)
    assert _changes(warehouse, [first, first | {"ts": TS + 1}]) == {("trades", "BUY", YES[0], 100, -60)}
    when = warehouse.query("SELECT DISTINCT toUnixTimestamp(ts) FROM ledger FINAL").rows
    assert when == [(TS,)]


def test_two_dumps_of_one_fill_are_one_fill(warehouse: Warehouse) -> None:
    exact = _row("dump", "BUY", token=YES[0], condition=CONDITIONS[0], cash=61)
    rounded = exact | {"cash": 60, "price_e12": 600_000_000_000}
    assert _changes(warehouse, [rounded, exact]) == {("dump", "BUY", YES[0], 100, -61)}


def test_conversions_of_different_amounts_in_one_transaction_are_two(warehouse: Warehouse) -> None:
    """Legs of the feed: 100 of questions 0 and 1, then 40 of question 2; the first pays 100, the second nothing."""
    legs = [
        _row("activity", "CONVERT", token=NO[i], condition=CONDITIONS[i], shares=shares, flags="leg", pos=1 + i)
        for i, shares in ((0, 100), (1, 100), (2, 40))
    ]
    assert _changes(warehouse, legs) == {
        ("activity", "CONVERT", NO[0], -100, 100), ("activity", "CONVERT", NO[1], -100, 0),
        ("activity", "CONVERT", YES[2], 100, 0), ("activity", "CONVERT", NO[2], -40, 0),
        ("activity", "CONVERT", YES[0], 40, 0), ("activity", "CONVERT", YES[1], 40, 0),
    }  # fmt: skip


def test_the_chains_conversion_replaces_the_legs_of_the_feed(warehouse: Warehouse) -> None:
    whole = _row("chain", "CONVERT", condition=MARKET, index_set=(0b011).to_bytes(32, "big"))
    legs = [_row("activity", "CONVERT", token=NO[i], condition=CONDITIONS[i], flags="leg") for i in (0, 1)]
    assert _changes(warehouse, [whole, *legs]) == {
        ("chain", "CONVERT", NO[0], -100, 100), ("chain", "CONVERT", NO[1], -100, 0),
        ("chain", "CONVERT", YES[2], 100, 0),
    }  # fmt: skip
