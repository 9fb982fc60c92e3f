"""Polymarket's own average-cost numbers and adapter attribution, on cases worked out by hand."""

from __future__ import annotations

import pytest

from polyhouse.sim.attribution import handed_over, owner
from polyhouse.sim.book import Folder
from polyhouse.sim.indexer import BUY, CONVERSION, CONVERT_IN, MERGE, NO_OUTCOME, NO_SIDE, SELL, SPLIT, TRADE
from polyhouse.sim.markets import Catalog, Resolution
from polyhouse.sim.model import Log, Transaction
from polyhouse.sim.universe import Universe

W1, W2 = "0x" + "01" * 20, "0x" + "02" * 20
ONE = 1_000_000


@pytest.fixture
def markets():
    return Catalog(Universe(seed=1, wallets=10, fills=100).events).markets


def row(seq, kind, outcome=0, *, size=0, usdc=0, side=NO_SIDE, price=0, market=0):
    return (seq * 10_000, seq, 0, market, outcome, kind, side, size, usdc, price, 0, 0, b"")


def test_sales_realise_against_the_truncated_average(markets):
    book = Folder(markets, since=4).feed(
        [
            row(1, TRADE, size=1 * ONE, usdc=500_000, side=BUY, price=5 * 10**9),
            row(2, TRADE, size=2 * ONE, usdc=800_000, side=BUY, price=4 * 10**9),
            row(3, TRADE, size=1 * ONE, usdc=600_000, side=SELL, price=6 * 10**9),
            row(4, TRADE, size=5 * ONE, usdc=1_500_000, side=SELL, price=3 * 10**9),
        ]
    )
    entry = book.entries[0, 0]
    assert entry.avg == 433_333  # (0.5 + 0.8) / 3, cut
    # 1 × (0.6 − 0.433333), then only the two tracked shares of five: 2 × (0.3 − 0.433333), cut towards zero.
    assert entry.realized == book.realized == 166_667 - 266_666
    assert book.realized_since == -266_666
    assert (entry.amount, entry.bought, book.fills) == (0, 3 * ONE, 1)


def test_fees_are_what_cash_and_price_do_not_explain(markets):
    book = Folder(markets).feed(
        [
            row(1, TRADE, size=100 * ONE, usdc=51_250_000, side=BUY, price=5 * 10**9),
            row(2, TRADE, size=100 * ONE, usdc=58_800_000, side=SELL, price=6 * 10**9),
        ]
    )
    assert book.entries[0, 0].fees == 1_250_000
    assert book.fees == 2_450_000
    assert book.realized == 10 * ONE


def test_splits_merges_and_conversions_follow_the_subgraph(markets):
    book = Folder(markets).feed(
        [
            row(1, SPLIT, NO_OUTCOME, size=10 * ONE),
            row(2, TRADE, 0, size=10 * ONE, usdc=7 * ONE, side=SELL, price=7 * 10**9),
            row(3, MERGE, NO_OUTCOME, size=4 * ONE),
            row(4, TRADE, 1, size=10 * ONE, usdc=8 * ONE, side=BUY, price=8 * 10**9, market=1),
            (50_000, 5, 0, 1, 1, CONVERSION, NO_SIDE, 10 * ONE, 0, 0, 0, 0, b""),
            (50_001, 5, 0, 2, 0, CONVERT_IN, NO_SIDE, 10 * ONE, 0, 0, 0, 0, b""),
            (50_002, 5, 0, 3, 0, CONVERT_IN, NO_SIDE, 10 * ONE, 0, 0, 0, 0, b""),
        ]
    )
    assert book.entries[0, 0].realized == 2 * ONE
    assert book.entries[0, 1].realized == 0
    assert book.entries[0, 1].amount == 6 * ONE
    assert (book.entries[1, 1].amount, book.entries[1, 1].realized) == (0, 0)
    assert [book.entries[market, 0].avg for market in (2, 3)] == [400_000, 400_000]


def test_resolved_prices_are_the_payout(markets):
    markets[0].resolution = Resolution((3, 7), 5, 5, 1, "0x")
    assert (markets[0].price(0), markets[0].price(1)) == (3 * 10**9, 7 * 10**9)
    assert markets[0].resolution.payout(3, 1) == 2


def _moves(*moves):
    logs = [Log("Transfer", li, {"from": a, "to": b, "token": "7", "amount": amount}) for li, a, b, amount in moves]
    return Transaction("0x00", 1, 0, 1, tuple(logs))


def test_the_last_transfer_before_a_redemption_names_the_wallet():
    tx = _moves((1, W2, "ADP", 3), (2, W1, "AR", 5), (3, "AR", "ADP", 5), (6, W2, "ADP", 9))
    assert owner(tx, "ADP", "7", 4, outgoing=False) == W1
    assert handed_over(tx, "ADP", "7", 4) == 5
    assert owner(tx, "ADP", "7", 7, outgoing=False) == W2
    assert owner(tx, "ADP", "8", 4, outgoing=False) is None
    assert handed_over(tx, "ADP", "8", 4) is None


def test_the_first_transfer_after_a_split_names_the_wallet():
    tx = _moves((1, "ADP", W2, 3), (4, "ADP", W1, 5), (5, "ADP", W2, 5))
    assert owner(tx, "ADP", "7", 2, outgoing=True) == W1
    assert owner(_moves((4, "ADP", "EX2", 5)), "ADP", "7", 2, outgoing=True) is None
    assert owner(tx, W2, "7", 2, outgoing=True) == W2
    assert owner(tx, "NRA", "7", 2, outgoing=True) is None
