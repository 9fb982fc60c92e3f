"""Polymarket's own position numbers: average cost before fees, as its API publishes them (accounting §§2.9, 3.1).

They are a measurement for users to compare with, so they follow Polymarket's conventions, not the exact accounting:
splits and merges at 0.50, averages truncated to 10^-6, nothing booked at resolution, transfers without a basis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from polyhouse.sim.indexer import (
    BUY,
    CONVERSION,
    CONVERT_IN,
    HIDDEN,
    MERGE,
    NO_OUTCOME,
    REDEEM,
    REDEEM_LEG,
    SELL,
    SPLIT,
    TRADE,
    TRANSFER,
    TYPES,
    Row,
)
from polyhouse.sim.markets import PRICE_ONE, MarketState

_ONE = 1_000_000
_PRICE_TO_E6 = PRICE_ONE // _ONE


@dataclass(slots=True)
class Entry:
    """One wallet's tracked position in one token; shares and money in micro units, ``avg`` in 10^-6 USDC a share."""

    amount: int = 0
    avg: int = 0
    realized: int = 0
    bought: int = 0
    fees: int = 0
    first_ts: int = 0
    last_ts: int = 0

    def buy(self, price: int, shares: int) -> None:
        """Take in shares; the average is truncated."""
        if self.amount + shares > 0:
            self.avg = (self.avg * self.amount + price * shares) // (self.amount + shares)
        self.amount += shares
        self.bought += shares

    def sell(self, price: int, shares: int) -> int:
        """Let go of at most the tracked amount; returns what was realised."""
        shares = min(shares, self.amount)
        gain = shares * (price - self.avg)
        gain = gain // _ONE if gain >= 0 else -(-gain // _ONE)
        self.amount -= shares
        self.realized += gain
        return gain


@dataclass(slots=True)
class Book:
    """One wallet, folded.

    Attributes:
        entries: (market, outcome) → position.
        realized: before fees; ``realized_since`` = the part booked at or after the fold's ``since``.
        fees: paid on fills. ``income``: activity type → micro-USDC.
        shares, usdc, fills: traded at or after ``since``.
    """

    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    markets: set[int] = field(default_factory=set)
    realized: int = 0
    realized_since: int = 0
    fees: int = 0
    income: Counter[str] = field(default_factory=Counter)
    shares: int = 0
    usdc: int = 0
    fills: int = 0
    first_ts: int = 0


class Folder:
    """Folds rows of one wallet, in order, into a ``Book``.

    Args:
        markets: every market, by number.
        since: only fills and gains from here on count into the window figures.
        only: market numbers to look at; None = all.
    """

    def __init__(self, markets: list[MarketState], since: int = 0, only: frozenset[int] | None = None) -> None:
        self.book = Book()
        self._markets = markets
        self._since = since
        self._only = only
        self._conversion: list[Row] = []

    def feed(self, rows: Iterable[Row]) -> Book:
        """Fold further rows and return the book so far."""
        for row in rows:
            if self._conversion and row[0] // 10_000 != self._conversion[0][0] // 10_000:
                self._convert()
            if row[5] in (CONVERSION, CONVERT_IN):
                self._conversion.append(row)
            elif self._only is None or row[3] in self._only:
                self._apply(row)
        self._convert()
        return self.book

    def _entry(self, market: int, outcome: int, ts: int) -> Entry:
        entry = self.book.entries.get((market, outcome))
        if entry is None:
            entry = self.book.entries[market, outcome] = Entry(first_ts=ts)
        entry.last_ts = ts
        return entry

    def _gain(self, amount: int, ts: int) -> None:
        self.book.realized += amount
        if ts >= self._since:
            self.book.realized_since += amount

    def _apply(self, row: Row) -> None:
        _, ts, _, market, outcome, kind, _, size, usdc, _, _, _, _ = row
        book = self.book
        book.first_ts = book.first_ts or ts
        if kind == TRADE:
            self._trade(row)
        elif kind == SPLIT:
            for leg in (0, 1):
                self._entry(market, leg, ts).buy(_ONE // 2, size)
        elif kind == MERGE:
            for leg in (0, 1):
                self._gain(self._entry(market, leg, ts).sell(_ONE // 2, size), ts)
        elif kind in (REDEEM, REDEEM_LEG):
            if outcome != NO_OUTCOME:
                payout = self._markets[market].price(outcome) // _PRICE_TO_E6
                self._gain(self._entry(market, outcome, ts).sell(payout, size), ts)
        elif kind == TRANSFER:
            self._entry(market, outcome, ts)
        elif kind < HIDDEN:
            book.income[TYPES[kind]] += usdc

    def _trade(self, row: Row) -> None:
        _, ts, _, market, outcome, _, side, size, usdc, price, _, _, _ = row
        book, entry = self.book, self._entry(market, outcome, ts)
        book.markets.add(market)
        plain = (size * price + PRICE_ONE // 2) // PRICE_ONE
        fee = usdc - plain if side == BUY else plain - usdc
        fee = fee if fee > 1 + size // (2 * PRICE_ONE) else 0
        book.fees += fee
        if side == BUY:
            entry.fees += fee
            entry.buy(price // _PRICE_TO_E6, size)
        elif side == SELL:
            self._gain(entry.sell(price // _PRICE_TO_E6, size), ts)
        if ts >= self._since:
            book.shares += size
            book.usdc += usdc
            book.fills += 1

    def _convert(self) -> None:
        """NO legs leave at their own average; YES legs share what remains above the collateral paid out (§2.9)."""
        rows, self._conversion = self._conversion, []
        burned = [row for row in rows if row[5] == CONVERSION]
        credited = [row for row in rows if row[5] == CONVERT_IN]
        if not burned or (self._only is not None and not any(row[3] in self._only for row in rows)):
            return
        averages = 0
        for row in burned:
            entry = self._entry(row[3], 1, row[1])
            averages += entry.avg
            entry.sell(entry.avg, row[7])
        if credited:
            price = (averages - _ONE * (len(burned) - 1)) // len(credited)
            for row in credited:
                self._entry(row[3], 0, row[1]).buy(max(price, 0), row[7])
