"""What the generator of a universe remembers about one market: balances, price, and who wants to trade."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from polyhouse.sim.catalogue import Listing
from polyhouse.sim.model import Log, SimMarket

MIN_SHARES = 20_000
"""Smallest fill, micro-shares: the upstreams hide anything below 0.01 shares."""
BIG_SHARES = 10_000_000_000
"""From 10,000 shares on a price of ten printed decimals no longer tells the exact cash: such orders are in whole
shares at one price (accounting §1.10)."""
_RECENT = 32


class Board:
    """One market while it lives. Balances are micro-shares per wallet number, one book per outcome."""

    __slots__ = (
        "_order", "close", "exits", "group", "left", "listing", "market", "price", "rate", "recent", "resolved",
        "shares", "traded",
    )  # fmt: skip

    def __init__(self, listing: Listing) -> None:
        market = listing.market
        self.listing = listing
        self.market: SimMarket = market
        self.price = listing.opening
        self.left = listing.fills
        self.close = market.end_ts if market.resolved_ts is None else min(market.end_ts, market.resolved_ts)
        self.rate = int(market.fee_rate[2:] or 0) if market.fee_rate != "0" else 0
        self.shares: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._order: tuple[list[int], list[int]] = ([], [])
        self.exits: list[tuple[int, int]] = []
        self.recent: list[int] = []
        self.group: list[Board] = []
        self.traded = False
        self.resolved = False

    def held(self, wallet: int, outcome: int) -> int:
        """Balance of one wallet."""
        return self.shares[outcome].get(wallet, 0)

    def credit(self, wallet: int, outcome: int, amount: int) -> None:
        """Add shares to a wallet."""
        book = self.shares[outcome]
        before = book.get(wallet)
        if before is None:
            self._order[outcome].append(wallet)
            book[wallet] = amount
        else:
            book[wallet] = before + amount

    def debit(self, wallet: int, outcome: int, amount: int) -> None:
        """Take shares from a wallet that has them; the universe knows no shortfall."""
        book = self.shares[outcome]
        rest = book.get(wallet, 0) - amount
        assert rest >= 0, f"wallet {wallet} lacks {-rest} shares"
        book[wallet] = rest

    def holder(self, rng: Random, outcome: int) -> int:
        """Some wallet that holds the outcome, -1 if nobody does."""
        order, book = self._order[outcome], self.shares[outcome]
        while order:
            place = rng.getrandbits(31) % len(order)
            wallet = order[place]
            if book[wallet]:
                return wallet
            order[place] = order[-1]
            order.pop()
            del book[wallet]
        return -1

    def holders(self) -> list[int]:
        """Every wallet with a balance in any outcome, in the order of arrival."""
        seen = dict.fromkeys(self._order[0])
        seen.update(dict.fromkeys(self._order[1]))
        return [w for w in seen if self.held(w, 0) or self.held(w, 1)]

    def remember(self, rng: Random, wallet: int) -> None:
        """Note that a wallet was active here."""
        if len(self.recent) < _RECENT:
            self.recent.append(wallet)
        else:
            self.recent[rng.getrandbits(5)] = wallet

    def step(self, rng: Random, ts: int) -> None:
        """Move the price by a few ticks, with a pull towards the outcome that grows with age."""
        listing = self.listing
        start = self.market.start_ts
        age = 100 * (ts - start) // max(1, self.close - start)
        move = rng.getrandbits(3) - rng.getrandbits(3)
        price = self.price + (move * listing.tick) // 3
        target = (980, 20, 500)[listing.winner]
        if rng.getrandbits(7) * 80 < age * age // 2:
            price += (target - price) // (4 if age > 92 else 24)
        low = 2 * listing.tick
        price -= price % listing.tick
        self.price = min(1_000 - low, max(low, price))

    def ask(self, outcome: int) -> int:
        """Price of an outcome in thousandths."""
        return 1_000 - self.price if outcome else self.price


@dataclass(slots=True)
class Draft:
    """The logs of one transaction while it is put together. ``li`` goes on from the last log of the block."""

    li: int
    complete: bool
    logs: list[Log] = field(default_factory=list)

    def add(self, name: str, fields: dict[str, object]) -> None:
        """Append a log."""
        self.li += 1
        self.logs.append(Log(name, self.li, fields))

    def move(self, source: str, target: str, token: str, amount: int) -> None:
        """Append an ERC-1155 transfer if this transaction carries its transfers."""
        if self.complete and amount:
            self.li += 1
            self.logs.append(Log("Transfer", self.li, {"from": source, "to": target, "token": token, "amount": amount}))
