"""Small cases by hand: which source's rows stand when several speak about one transaction.

Each case is the only transaction of its own wallet, so that all of them are built at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unification_roads import as_columns

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

TS = 1_780_000_000
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
    return {"ts": TS, "source": source, "kind": kind, "shares": 100} | place | fields


_TRADE = _row("trades", "BUY", token=YES[0], condition=CONDITIONS[0], cash=60, price_e12=600_000_000_000)
_EXACT = _row("dump", "BUY", token=YES[0], condition=CONDITIONS[0], cash=61)
CASES = {
    "transfer and merge": [
        _row("chain", "TRANSFER_OUT", token=YES[0], condition=CONDITIONS[0]),
        _row("activity", "MERGE", condition=CONDITIONS[0], cash=100),
        _row("activity", "MERGE", condition=CONDITIONS[1], cash=100),
    ],
    "income": [
        _row("chain", "REDEEM", condition=CONDITIONS[0], cash=100, amounts=(100, 0)),
        _row("activity", "INCOME", condition=CONDITIONS[0], shares=0, cash=3, label="REWARD"),
        _row("activity", "INCOME", shares=0, cash=4, label="MAKER_REBATE"),
    ],
    "moved by a second": [_TRADE, _TRADE | {"ts": TS + 1}],
    "two dumps": [_EXACT | {"cash": 60, "price_e12": 600_000_000_000}, _EXACT],
    "legs": [
        _row("activity", "CONVERT", token=NO[i], condition=CONDITIONS[i], shares=shares, flags="leg", pos=1 + i)
        for i, shares in ((0, 100), (1, 100), (2, 40))
    ],
    "conversion and legs": [
        _row("chain", "CONVERT", condition=MARKET, index_set=(0b011).to_bytes(32, "big")),
        *(_row("activity", "CONVERT", token=NO[i], condition=CONDITIONS[i], flags="leg") for i in (0, 1)),
    ],
}
Change = tuple[str, str, bytes, int, int]


@pytest.fixture(scope="module")
def ledgers(warehouse: Warehouse) -> dict[str, list[list[tuple[Any, ...]]]]:
    """Case → the ledger's rows of its wallet (source, kind, token, shares, cash, time), for both orders of arrival."""
    wallets = {bytes([number]) * 20: case for number, case in enumerate(CASES, 1)}
    found: dict[str, list[list[tuple[Any, ...]]]] = {case: [[], []] for case in CASES}
    for turn, step in enumerate((1, -1)):
        warehouse.command("TRUNCATE TABLE observations")
        for wallet, case in wallets.items():
            for number, row in enumerate(CASES[case][::step]):
                whole = row | {"wallet": wallet, "tx": wallet[:1] * 32}
                warehouse.write("observations", as_columns([whole]), run=number, token=f"{case} {number}")
        build(warehouse)
        sql = "SELECT wallet, toString(source), toString(kind), token, ds, du, toUnixTimestamp(ts) FROM ledger FINAL"
        for wallet, *change in warehouse.query(sql).rows:
            found[wallets[bytes(wallet)]][turn].append(tuple(change))
    return found


def _changes(ledgers: dict[str, list[list[tuple[Any, ...]]]], case: str) -> set[Change]:
    """(source, kind, token, shares, cash) of the ledger, the same in whichever order the rows came."""
    one, other = ([row[:-1] for row in rows] for rows in ledgers[case])
    assert len(set(one)) == len(one)
    assert sorted(one) == sorted(other)
    return set(one)


def test_a_merge_that_the_chain_knows_as_a_transfer_is_not_added_to_it(ledgers: Any) -> None:
    assert _changes(ledgers, "transfer and merge") == {
        ("chain", "TRANSFER_OUT", YES[0], -100, 0),
        ("activity", "MERGE", YES[1], -100, 50),
        ("activity", "MERGE", NO[1], -100, 50),
    }


def test_income_of_a_transaction_that_the_chain_knows_stays(ledgers: Any) -> None:
    assert _changes(ledgers, "income") == {
        ("chain", "REDEEM", YES[0], 0, 100),
        ("activity", "INCOME", bytes(32), 0, 3),
        ("activity", "INCOME", bytes(32), 0, 4),
    }


def test_a_feed_that_moves_a_transaction_by_a_second_does_not_double_it(ledgers: Any) -> None:
    assert _changes(ledgers, "moved by a second") == {("trades", "BUY", YES[0], 100, -60)}
    assert {row[-1] for rows in ledgers["moved by a second"] for row in rows} == {TS}


def test_two_dumps_of_one_fill_are_one_fill(ledgers: Any) -> None:
    assert _changes(ledgers, "two dumps") == {("dump", "BUY", YES[0], 100, -61)}


def test_conversions_of_different_amounts_in_one_transaction_are_two(ledgers: Any) -> None:
    """Legs of the feed: 100 of questions 0 and 1, then 40 of question 2; the first pays 100, the second nothing."""
    assert _changes(ledgers, "legs") == {
        ("activity", "CONVERT", NO[0], -100, 100), ("activity", "CONVERT", NO[1], -100, 0),
        ("activity", "CONVERT", YES[2], 100, 0), ("activity", "CONVERT", NO[2], -40, 0),
        ("activity", "CONVERT", YES[0], 40, 0), ("activity", "CONVERT", YES[1], 40, 0),
    }  # fmt: skip


def test_the_chains_conversion_replaces_the_legs_of_the_feed(ledgers: Any) -> None:
    assert _changes(ledgers, "conversion and legs") == {
        ("chain", "CONVERT", NO[0], -100, 100), ("chain", "CONVERT", NO[1], -100, 0),
        ("chain", "CONVERT", YES[2], 100, 0),
    }  # fmt: skip
