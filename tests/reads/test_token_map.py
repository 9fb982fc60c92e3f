"""Coverage of the token map: by tokens and by the cash of fills, each fill once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import encode
from polyhouse.reads.status import QueueFacts, status
from polyhouse.reads.token_map import in_words, token_map
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

WALLET, KNOWN, UNKNOWN, CONDITION = b"\x01" * 20, b"\x05" * 32, b"\x0a" * 32, b"\x07" * 32


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


@pytest.fixture
def warehouse(store: Warehouse) -> Warehouse:
    for table in ("observations", "ledger", "unmapped", "tokens", "token_map", "wallet_totals"):
        store.command(f"TRUNCATE TABLE {table}")
    columns = {"token": [KNOWN, b"\x06" * 32], "condition": [CONDITION] * 2, "outcome": [0, 1], "source": ["gamma"] * 2}
    store.write("tokens", columns, run=1, token="tokens")
    return store


def fill(warehouse: Warehouse, token: bytes, tx: int, usdc: int, source: str = "trades", **changes: object) -> None:
    row = {
        "wallet": WALLET, "token": token, "tx": bytes([tx]) * 32, "kind": "BUY", "source": source, "ts": 1_780_000_000,
        "shares": 1_000, "shares_gross": 1_000, "cash": usdc, "usdc_gross": usdc, "pos": 1,
        "condition": CONDITION if token == KNOWN else b"",
        "block": 10 if source == "chain" else 0,
    } | changes  # fmt: skip
    name = f"{token.hex()}{tx}{source}{changes}"
    warehouse.write("observations", {key: [value] for key, value in row.items()}, run=1, token=name)


def test_nothing_traded_has_no_share(warehouse: Warehouse) -> None:
    build(warehouse)
    assert token_map(warehouse) == {"traded_tokens": 0, "mapped_tokens": 0, "cash_share_mapped": None}
    assert in_words(token_map(warehouse)) == "0 of 0 traded tokens have a known market"


def test_everything_mapped_is_one(warehouse: Warehouse) -> None:
    fill(warehouse, KNOWN, 1, 500)
    build(warehouse)
    assert token_map(warehouse) == {"traded_tokens": 1, "mapped_tokens": 1, "cash_share_mapped": Decimal(1)}
    assert in_words(token_map(warehouse)).endswith("100 % of the cash of all fills")


def test_shares_by_count_and_by_cash_count_each_fill_once(warehouse: Warehouse) -> None:
    for source in ("chain", "trades", "activity"):  # one fill, three sources
        fill(warehouse, KNOWN, 1, 600, source)
        fill(warehouse, UNKNOWN, 2, 300, source)
    fill(warehouse, UNKNOWN, 3, 100, refund_usdc=10, kind="SELL")
    fill(warehouse, b"\x0b" * 32, 4, 10)
    # A transferred token is unmapped, too, but it was not traded.
    fill(warehouse, b"\x0c" * 32, 5, 0, kind="TRANSFER_IN")
    build(warehouse)
    document = status(warehouse, QueueFacts({}, None))
    assert document["unmapped_tokens"] == 3
    assert document["token_map"] == {
        "traded_tokens": 3, "mapped_tokens": 1, "cash_share_mapped": Decimal("0.600000000"),
    }  # fmt: skip
    assert b'"cash_share_mapped":0.600000000' in encode(document)
    assert in_words(document["token_map"]) == (
        "1 of 3 traded tokens have a known market, with 60 % of the cash of all fills"
    )


def test_the_best_source_tells_the_cash_of_an_unmapped_fill(warehouse: Warehouse) -> None:
    fill(warehouse, KNOWN, 1, 1_000)
    fill(warehouse, UNKNOWN, 2, 3_000, "chain")
    fill(warehouse, UNKNOWN, 2, 2_999_999, "dump")
    build(warehouse)
    assert token_map(warehouse)["cash_share_mapped"] == Decimal("0.250000000")


def test_less_than_everything_never_reads_as_one(warehouse: Warehouse) -> None:
    fill(warehouse, KNOWN, 1, 10**15)
    fill(warehouse, UNKNOWN, 2, 1)
    build(warehouse)
    assert token_map(warehouse)["cash_share_mapped"] == Decimal("0.999999999")


def test_a_token_that_becomes_known_is_mapped_by_the_next_build(warehouse: Warehouse) -> None:
    fill(warehouse, UNKNOWN, 2, 300)
    build(warehouse)
    assert token_map(warehouse)["cash_share_mapped"] == 0
    other = b"\x08" * 32
    tokens = {"token": [UNKNOWN, b"\x0d" * 32], "condition": [other] * 2, "outcome": [0, 1], "source": ["chain"] * 2}
    warehouse.write("tokens", tokens, run=2, token="late")
    build(warehouse)
    assert token_map(warehouse) == {"traded_tokens": 1, "mapped_tokens": 1, "cash_share_mapped": Decimal(1)}


def test_a_fill_that_vanished_does_not_count_any_more(warehouse: Warehouse) -> None:
    fill(warehouse, KNOWN, 1, 500)
    fill(warehouse, b"\x06" * 32, 2, 500)
    build(warehouse)
    assert token_map(warehouse)["traded_tokens"] == 2
    warehouse.command("DELETE FROM observations WHERE token = unhex('" + "06" * 32 + "')")
    assert token_map(warehouse)["traded_tokens"] == 2  # as of the last build
    build(warehouse, [WALLET])
    assert token_map(warehouse) == {"traded_tokens": 1, "mapped_tokens": 1, "cash_share_mapped": Decimal(1)}
