"""Order matches of a simulated universe: who trades with whom, and the logs the exchanges emit for it.

Planning changes the balances; writing turns a plan into logs (accounting §§1.3–1.9, 2.1, 2.6). Exchange amounts are
integers: a buyer's cash is rounded down, a seller's up, the taker carries the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.sim.board import BIG_SHARES, MIN_SHARES, Board
from polyhouse.sim.people import People

COMPLEMENTARY, MINT, MERGE = 0, 1, 2
_WHOLE = 1_000_000
_V1_BPS = 1_000
_E18 = 10**18
_PRICE_SCALE = 10**10


@dataclass(slots=True)
class Leg:
    """One maker order's part in a match. ``cash`` is gross, micro-USDC."""

    kind: int
    wallet: int
    shares: int
    cash: int
    order: str


@dataclass(slots=True)
class Match:
    """One taker order against its makers.

    Attributes:
        gave: what the taker's row shows as given (USDC of a BUY, shares of a SELL), refund included.
        got: what it shows as received.
        fee: what the taker finally pays: USDC, or shares for a V1 BUY.
    """

    taker: int
    outcome: int
    order: str
    legs: list[Leg]
    gave: int
    got: int
    buy: bool
    fee: int = 0

    @property
    def plain(self) -> bool:
        """All makers stand on the other side of the same token."""
        return all(leg.kind == COMPLEMENTARY for leg in self.legs)


def order_hash(rng: Random) -> str:
    """A random order hash."""
    return f"0x{rng.getrandbits(256):064x}"


class Matcher:
    """Plans matches on boards."""

    def __init__(self, rng: Random, people: People) -> None:
        self._rng = rng
        self._people = people

    def plan_buy(
        self, board: Board, taker: int, outcome: int, size: int, ts: int, *, first: Leg | None = None
    ) -> Match:
        """A taker buys about ``size`` micro-shares.

        ``first`` is a maker's leg of an earlier match of the same transaction whose order is filled once more.
        """
        rng = self._rng
        big = size >= BIG_SHARES
        tick = 0 if big else board.listing.tick
        ask = board.ask(outcome) + board.listing.tick  # half the spread: what makers live on
        legs: list[Leg] = []
        need = total = 0
        parts = self._parts(size)
        for place, part in enumerate(parts):
            price = min(ask + place * tick, 998)
            leg = self._seller(
                board, taker, outcome, part, price, big=big, alone=not any(leg.kind == COMPLEMENTARY for leg in legs)
            )
            if place == 0 and first is not None and first.kind == MINT:
                leg = Leg(MINT, first.wallet, part, part * (1_000 - price) // 1_000, first.order)
            if leg is None:
                maker = self.some_maker(board, taker)
                leg = Leg(MINT, maker, part, part * (1_000 - price) // 1_000, order_hash(rng))
            if leg.kind == MINT:
                board.credit(leg.wallet, 1 - outcome, leg.shares)
                need += leg.shares - leg.cash
            else:
                board.debit(leg.wallet, outcome, leg.shares)
                need += leg.cash
            total += leg.shares
            legs.append(leg)
        match = self._bought(board, taker, outcome, legs, need, total, ts)
        v1 = ts < CLOB_V2_CUTOVER_TS
        if not (v1 and board.rate) and not (not v1 and match.plain) and rng.getrandbits(3) == 0:
            # The taker's limit was higher than what it had to pay: the surplus comes back (accounting §1.9).
            match.gave = max(need, -(-total * min(999, ask + (2 + rng.getrandbits(2)) * board.listing.tick) // 1_000))
        board.credit(taker, outcome, total - (match.fee if v1 else 0))
        return match

    def plan_between(self, board: Board, taker: int, maker: int, outcome: int, shares: int, ts: int) -> Match:
        """A taker buys from one maker alone: what that one holds, else one half of a pair that is minted."""
        price = min(board.ask(outcome) + board.listing.tick, 998)
        if board.held(maker, outcome) >= shares:
            leg = Leg(COMPLEMENTARY, maker, shares, -(-shares * price // 1_000), order_hash(self._rng))
            board.debit(maker, outcome, shares)
            need = leg.cash
        else:
            leg = Leg(MINT, maker, shares, shares * (1_000 - price) // 1_000, order_hash(self._rng))
            board.credit(maker, 1 - outcome, shares)
            need = shares - leg.cash
        match = self._bought(board, taker, outcome, [leg], need, shares, ts)
        board.credit(taker, outcome, shares - (match.fee if ts < CLOB_V2_CUTOVER_TS else 0))
        return match

    def _bought(self, board: Board, taker: int, outcome: int, legs: list[Leg], need: int, total: int, ts: int) -> Match:
        match = Match(taker, outcome, order_hash(self._rng), legs, need, total, buy=True)
        if board.rate:
            v1 = ts < CLOB_V2_CUTOVER_TS
            match.fee = _v1_share_fee(board.rate, need, total) if v1 else _cash_fee(board.rate, need, total)
        return match

    def plan_sell(self, board: Board, taker: int, outcome: int, size: int, ts: int) -> Match | None:
        """A taker sells about ``size`` micro-shares of what it holds; None if that is not possible."""
        rng = self._rng
        size = min(size, board.held(taker, outcome))
        big = size >= BIG_SHARES
        if size < MIN_SHARES:
            return None
        tick = 0 if big else board.listing.tick
        bid = board.ask(outcome) - board.listing.tick
        legs: list[Leg] = []
        got = total = 0
        for place, part in enumerate(self._parts(size)):
            price = max(bid - place * tick, 2)
            leg = self._merger(board, taker, outcome, part, price, big=big)
            if leg is None:
                maker = self.some_maker(board, taker)
                leg = Leg(COMPLEMENTARY, maker, part, part * price // 1_000, order_hash(rng))
                board.credit(maker, outcome, part)
                got += leg.cash
            else:
                board.debit(leg.wallet, 1 - outcome, leg.shares)
                got += leg.shares - leg.cash
            total += leg.shares
            legs.append(leg)
        match = Match(taker, outcome, order_hash(rng), legs, total, got, buy=False)
        if board.rate:
            match.fee = _cash_fee(board.rate, got, total)
        v1 = ts < CLOB_V2_CUTOVER_TS
        if (v1 or not match.plain) and not board.rate and rng.getrandbits(4) == 0:
            match.gave += min(board.held(taker, outcome) - total, 1 + rng.getrandbits(12))
        board.debit(taker, outcome, total)
        return match

    def _parts(self, size: int) -> list[int]:
        """The sizes of the maker orders that serve a taker order."""
        rng = self._rng
        roll = rng.getrandbits(5)
        count = 1 if roll < 14 else 2 if roll < 24 else 3 if roll < 29 else 4 + rng.getrandbits(1)
        if size >= BIG_SHARES:
            whole = size // _WHOLE // count
            return [whole * _WHOLE] * count
        count = min(count, size // (2 * MIN_SHARES)) or 1
        parts, rest = [], size
        for left in range(count, 1, -1):
            part = rest // left - rng.getrandbits(10) % (rest // (2 * left))
            parts.append(part)
            rest -= part
        parts.append(rest)
        return parts

    def some_maker(self, board: Board, taker: int) -> int:
        """Somebody who makes in this market, but for the taker."""
        pool = self._people.makers[board.listing.topic]
        for _ in range(4):
            maker = pool.pick(self._rng.random())
            if maker != taker:
                return maker
        return (taker + 1) % len(self._people.addresses)

    def _seller(
        self, board: Board, taker: int, outcome: int, part: int, price: int, *, big: bool, alone: bool
    ) -> Leg | None:
        """A holder that sells the same token to the taker, now and then the taker itself."""
        rng = self._rng
        if rng.getrandbits(2) == 0:
            return None
        holder = board.holder(rng, outcome)
        if holder < 0 or not self._people.kinds[holder].sells or (holder == taker and alone):
            return None
        part = min(part, board.held(holder, outcome))
        if big:
            part -= part % _WHOLE
        if part < MIN_SHARES:
            return None
        return Leg(COMPLEMENTARY, holder, part, -(-part * price // 1_000), order_hash(rng))

    def _merger(self, board: Board, taker: int, outcome: int, part: int, price: int, *, big: bool) -> Leg | None:
        """A holder of the other token that sells too, so that pairs are merged."""
        rng = self._rng
        if rng.getrandbits(2) > 1:
            return None
        holder = board.holder(rng, 1 - outcome)
        if holder < 0 or holder == taker or not self._people.kinds[holder].sells:
            return None
        part = min(part, board.held(holder, 1 - outcome))
        if big:
            part -= part % _WHOLE
        if part < MIN_SHARES:
            return None
        return Leg(MERGE, holder, part, -(-part * (1_000 - price) // 1_000), order_hash(rng))


def _cash_fee(rate: int, cash: int, shares: int) -> int:
    """Schedule fee in micro-USDC, floored to 5 decimals: shares · rate · p(1−p), rate in hundredths."""
    if not 0 < cash < shares:
        return 0
    return rate * cash * (shares - cash) // (100 * shares) // 10 * 10


def _v1_share_fee(rate: int, cash: int, shares: int) -> int:
    """V1 BUY fee in micro-shares, floored to 5 decimals: shares · rate · (1−p).

    The upstreams disclose such a fee only through a price of ten decimals (accounting §1.10). Where that reading misses
    the fee's worth on chain by a micro-USDC, the operator's charge is lowered by a step of 10 micro-shares until both
    agree, so that a history without conversions and transfers is exact over REST as well.
    """
    fee = max(0, rate * (shares - cash) // 100 // 10 * 10)
    printed = (2 * cash * _PRICE_SCALE + shares) // (2 * shares)
    for lower in range(0, min(fee, 640), 10):
        charged = fee - lower
        net = shares - charged
        worth = charged * cash // shares
        disclosed = cash - (2 * net * printed + _PRICE_SCALE) // (2 * _PRICE_SCALE)
        if disclosed == worth and worth > 2 + net // (2 * _PRICE_SCALE):
            return charged
    return 0


def v1_order_fee(*, buy: bool, shares: int, cash: int) -> int:
    """What the V1 contract withholds at the maximal rate (accounting §1.8); the fee module returns the excess."""
    price = cash * _E18 // shares
    if price == 0 or price > _E18:
        return 0
    smaller = min(price, _E18 - price)
    if buy:
        return _V1_BPS * smaller * shares // (price * 10_000)
    return _V1_BPS * smaller * shares // (_E18 * 10_000)
