"""Income that is not trading: rebates out of the day's fees, rewards, yield (accounting §2.8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.sim.board import Board
from polyhouse.sim.matches import Match
from polyhouse.sim.people import People

TAKER_REBATES = int(datetime(2026, 5, 28, tzinfo=UTC).timestamp())
_SMALLEST = 10_000
_PER_TRANSACTION = 20

Payment = tuple[int, str, int]
"""Wallet number, kind of income, micro-USDC."""


class IncomeDesk:
    """Collects what a day's fees earn the makers and pays it at midnight UTC."""

    def __init__(self, rng: Random, people: People) -> None:
        self._rng = rng
        self._people = people
        self._makers: dict[int, int] = {}
        self._takers: dict[int, int] = {}
        self._traded: set[int] = set()
        self._traders: list[int] = []

    def earn(self, board: Board, match: Match, ts: int) -> None:
        """A fifth of the taker's fee goes to its first maker; takers get a twentieth back since 2026-05-28."""
        for wallet in (match.taker, *(leg.wallet for leg in match.legs)):
            if wallet not in self._traded:
                self._traded.add(wallet)
                self._traders.append(wallet)
        if not match.fee:
            return
        fee = match.fee
        if match.buy and ts < CLOB_V2_CUTOVER_TS:
            fee = fee * board.ask(match.outcome) // 1_000
        maker = match.legs[0].wallet
        self._makers[maker] = self._makers.get(maker, 0) + fee // 5
        if ts >= TAKER_REBATES:
            self._takers[match.taker] = self._takers.get(match.taker, 0) + fee // 20

    def pay(self, ts: int) -> Iterator[list[Payment]]:
        """The payments of one midnight, a few wallets per transaction."""
        payments: list[Payment] = [(w, "MAKER_REBATE", a) for w, a in self._makers.items() if a >= _SMALLEST]
        payments += [(w, "TAKER_REBATE", a) for w, a in self._takers.items() if a >= _SMALLEST]
        self._makers.clear()
        self._takers.clear()
        payments += self._gifts(ts)
        for first in range(0, len(payments), _PER_TRANSACTION):
            yield payments[first : first + _PER_TRANSACTION]

    def _gifts(self, ts: int) -> list[Payment]:
        """Rewards and yield, for wallets that have traded: no market feed would tell about the others."""
        rng, traders = self._rng, self._traders
        if not traders:
            return []
        count = len(self._people.addresses)
        rewarded = count // 500 + (1 if rng.getrandbits(2) == 0 else 0)
        pool = self._people.makers["other"]
        gifts: list[Payment] = [
            (pool.pick(rng.random()), "REWARD", _SMALLEST + rng.getrandbits(24)) for _ in range(rewarded)
        ]
        if datetime.fromtimestamp(ts, UTC).day == 1:
            chosen = [traders[rng.randrange(len(traders))] for _ in range(1 + count // 200)]
            gifts += [(w, "YIELD", _SMALLEST + rng.getrandbits(22)) for w in dict.fromkeys(chosen)]
        return [gift for gift in gifts if gift[0] in self._traded]
