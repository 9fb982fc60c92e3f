"""Planted wallets: somebody who knows too early, and somebody with much money; only in universes that ask for them.

An insider buys the outcome that is going to win, early in a market's life, cheaper than a day before, and hours before
news that move the price. A whale buys large amounts of winners. Neither does anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from polyhouse.sim.board import Board
from polyhouse.sim.catalogue import DAY, HOUR
from polyhouse.sim.people import INSIDER, RICH, People

_MARKETS = 14
"""Markets that each planted wallet trades."""
_LONG = 4 * DAY
"""Shortest life of a market that an insider chooses."""
_EARLIER, _THEN, _AFTER_NEWS = 400, 250, 850
"""Price of the winner a day before the insider buys, when he buys, and after the news; thousandths."""
_INSIDER_SHARES = 400_000_000
_WHALE_SHARES = 12_000_000_000
_WHALE_PURCHASES = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One purchase of the coming winner at ``ts``.

    Attributes:
        wallet: who buys; -1 = anybody from the crowd.
        price: of the winner at that moment, thousandths; 0 = whatever it is.
        shares: micro-shares.
    """

    ts: int
    board: Board
    wallet: int
    price: int
    shares: int

    @property
    def outcome(self) -> int:
        """The outcome that is going to win."""
        return self.board.listing.winner

    def set_price(self) -> None:
        """Move the market's price to that of this step."""
        if self.price:
            self.board.price = self.price if self.outcome == 0 else 1_000 - self.price


def agenda(people: People, boards: Sequence[Board]) -> Iterator[Step]:
    """Everything that is going to happen because of the planted wallets."""
    certain = [board for board in boards if board.market.resolved_ts is not None and board.listing.winner != 2]
    by_life = sorted(certain, key=lambda board: board.market.start_ts - board.close)
    planted = [(wallet, kind) for wallet, kind in enumerate(people.kinds) if kind in (INSIDER, RICH)]
    for place, (wallet, kind) in enumerate(planted):
        mine = by_life[place :: len(planted)]
        if kind is RICH:
            for board in mine[:_MARKETS]:
                life = board.close - board.market.start_ts
                for part in range(1, _WHALE_PURCHASES + 1):
                    yield Step(board.market.start_ts + life * part // 8, board, wallet, 0, _WHALE_SHARES)
            continue
        for board in [board for board in mine if board.close - board.market.start_ts >= _LONG][:_MARKETS]:
            first = board.market.start_ts + HOUR
            yield Step(first, board, -1, _EARLIER, _INSIDER_SHARES)
            yield Step(first + DAY + HOUR, board, wallet, _THEN, _INSIDER_SHARES)
            yield Step(first + DAY + 9 * HOUR, board, -1, _AFTER_NEWS, _INSIDER_SHARES)
