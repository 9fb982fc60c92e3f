"""Positions as Polymarket publishes them: average cost before fees (accounting §2.9), from the rows of our ledger.

The arithmetic is that of ``parity.SubgraphPosition``: gross amounts, an average truncated at 10⁻⁶, splits and merges at
0.50, a profit only when shares are sold or redeemed. Unlike the subgraph it goes on after the cut-over to CLOB V2, by
the same rules, as Polymarket's API does. What it does not do: transfers, fees and refunds change nothing; the
collateral of a conversion of all questions is dropped; the sale of liquidity has the wrong sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from polyhouse.ledger.fold import Kind
from polyhouse.ledger.parity import SubgraphPosition, quotient

ONE = 1_000_000
HALF = 500_000


class GrossRow(NamedTuple):
    """A ledger row with the amounts before fees and refunds.

    ``usdc_gross`` and ``shares_gross`` are those of a fill. ``is_fill`` tells fills from liquidity. ``event`` is equal
    for all rows of one conversion or one change of liquidity; the other fields are those of ``fold.LedgerRow``.
    """

    token: bytes
    kind: int
    ds: int
    du: int
    amount: int
    usdc_gross: int
    shares_gross: int
    is_fill: bool
    event: bytes


class Outcome(NamedTuple):
    """What the rules need to know of a token: its complement (b'' = none), its payout (denominator 0 = not resolved),
    and whether its market is a neg-risk one.
    """

    other: bytes
    numerator: int
    denominator: int
    is_neg_risk: bool

    @property
    def payout_e6(self) -> int:
        """What a share pays, in 10⁻⁶ USDC, truncated."""
        return self.numerator * ONE // self.denominator


def polymarket_positions(rows: Iterable[GrossRow], outcomes: Mapping[bytes, Outcome]) -> dict[bytes, SubgraphPosition]:
    """Fold the rows of one wallet.

    Args:
        rows: in ledger order; rows of one event may stand apart, they count where the first of them stands.
        outcomes: of every token among the rows.
    """
    found = list(rows)
    events: dict[bytes, list[GrossRow]] = {}
    for row in found:
        if is_joint(row):
            events.setdefault(row.event, []).append(row)
    book: dict[bytes, SubgraphPosition] = {row.token: SubgraphPosition() for row in found}
    for row in found:
        if not is_joint(row):
            _apply(book, row, outcomes)
        elif legs := events.pop(row.event, []):
            (_convert if row.kind == Kind.CONVERT else _fund)(book, legs, outcomes)
    return book


def is_joint(row: GrossRow) -> bool:
    """Whether a row means nothing without the others of its event."""
    return row.kind == Kind.CONVERT or (row.kind in (Kind.BUY, Kind.SELL) and not row.is_fill)


def _apply(book: Mapping[bytes, SubgraphPosition], row: GrossRow, outcomes: Mapping[bytes, Outcome]) -> None:
    position = book[row.token]
    if row.kind in (Kind.BUY, Kind.SELL):
        if shares := row.shares_gross or abs(row.ds):
            trade = position.buy if row.kind == Kind.BUY else position.sell
            trade(row.usdc_gross * ONE // shares, shares)
    elif row.kind == Kind.SPLIT:
        position.buy(HALF, row.ds)
    elif row.kind == Kind.MERGE:
        position.sell(HALF, -row.ds)
    elif row.kind == Kind.REDEEM:
        _redeem(book, row, outcomes)


def _redeem(book: Mapping[bytes, SubgraphPosition], row: GrossRow, outcomes: Mapping[bytes, Outcome]) -> None:
    """At the CTF everything tracked of both outcomes goes, at the neg-risk adapter what it names."""
    outcome = outcomes[row.token]
    if not outcome.denominator:
        return
    position = book[row.token]
    if outcome.is_neg_risk:
        position.sell(outcome.payout_e6, position.amount if row.amount < 0 else row.amount)
        return
    for token in (row.token, outcome.other):
        if token in book:
            book[token].sell(outcomes[token].payout_e6, book[token].amount)


def _convert(book: Mapping[bytes, SubgraphPosition], legs: list[GrossRow], outcomes: Mapping[bytes, Outcome]) -> None:
    """NO legs leave at their own average; the YES legs share what remains above the collateral."""
    del outcomes
    burned = [row for row in legs if row.ds < 0]
    credited = [row for row in legs if row.ds >= 0]
    averages = 0
    for row in burned:
        position = book[row.token]
        averages += position.avg_price
        position.sell(position.avg_price, row.amount)
    if not burned or not credited:
        return
    price = conversion_price(averages, len(burned), len(credited))
    for row in credited:
        book[row.token].buy(price, row.amount)


def conversion_price(averages: int, burned: int, credited: int) -> int:
    """Price of each YES share of a conversion in 10⁻⁶ USDC, may be negative.

    Args:
        averages: sum of the NO legs' averages.
        burned: number of NO legs. credited: number of YES legs.
    """
    no_price = quotient(averages, burned)
    return quotient(no_price * burned - ONE * (burned - 1), credited)


def _fund(book: Mapping[bytes, SubgraphPosition], legs: list[GrossRow], outcomes: Mapping[bytes, Outcome]) -> None:
    """Liquidity: outcome shares come at the pool's price, liquidity shares cost, or pay, the rest."""
    pool = next((row for row in legs if not outcomes[row.token].other), None)
    back = [row for row in legs if row is not pool]
    if pool is None or not pool.ds:
        return
    prices = pool_prices(pool, back)
    worth = 0
    for row, price in zip(back, prices, strict=True):
        worth += quotient(price * row.ds, ONE)
        book[row.token].buy(price, row.ds)
    shares = abs(pool.ds)
    if pool.kind == Kind.BUY:
        paid = -pool.du - sum(row.du for row in back)
        book[pool.token].buy(quotient((paid - worth) * ONE, shares), shares)
    else:
        # The fees are what remains of our proceeds without the shares' cost; the subgraph subtracts the cost again.
        fees = pool.du + sum(row.du for row in back)
        book[pool.token].sell(quotient((fees - worth) * ONE, shares), shares)


def pool_prices(pool: GrossRow, back: list[GrossRow]) -> list[int]:
    """Price in 10⁻⁶ USDC of the outcome shares that a change of liquidity gives back."""
    if pool.kind == Kind.BUY:
        # What was put in of both outcomes: the larger amount is the cash, the smaller one lacks what came back.
        larger = -pool.du - sum(row.du for row in back)
        return [larger * ONE // (2 * larger - row.ds) for row in back]
    total = sum(row.ds for row in back)
    return [(total - row.ds) * ONE // total for row in back]
