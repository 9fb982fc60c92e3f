"""The simulated chain: a queue of what happens next, and the transactions that come of it, in block order.

The memory of a walk depends on the open positions, not on the length of the history, so that ten million fills can be
streamed. All choices come from one seeded generator; a second walk repeats the first one exactly.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from polyhouse.domain.contracts import CLOB_V2_CUTOVER_TS
from polyhouse.sim import actors, moves, plants
from polyhouse.sim.amm import PoolLife, Step
from polyhouse.sim.board import BIG_SHARES, MIN_SHARES, Board, Draft
from polyhouse.sim.catalogue import DAY, HOUR, Catalogue
from polyhouse.sim.fair import FairBoard
from polyhouse.sim.income import IncomeDesk
from polyhouse.sim.match_logs import needs_transfers, write_match
from polyhouse.sim.matches import Match, Matcher
from polyhouse.sim.model import Transaction
from polyhouse.sim.people import Behaviour, People

FIRST_BLOCK = 78_500_000
BLOCK_SECONDS = 2
_TRADE, _RESOLVE, _REDEEM, _MIDNIGHT, _AFTER, _POOL, _PLANTED, _ACT = range(8)
_FILLS_PER_TRADE = 3
_MAX_SHARES = 60_000_000_000


class Chain:
    """One walk through the history of a universe.

    Args:
        seed: text that seeds the generator.
        with_transfers: every transaction carries all its ERC-1155 transfers. Otherwise only those do that cannot be
            understood without them: plain transfers, and whatever touches an adapter. A transaction carries either
            all of its transfers or none.
        pools: markets of the AMM era; they draw from generators of their own, so that the others do not change.
        fair_until: prices are fair, and planted wallets act on what is over at that moment; None = as usual.
    """

    def __init__(
        self,
        seed: str,
        people: People,
        catalogue: Catalogue,
        start: int,
        end: int,
        *,
        with_transfers: bool,
        pools: Iterable[PoolLife] = (),
        fair_until: int | None = None,
    ) -> None:
        self._rng = Random(seed)
        self._people = people
        self._start, self._end = start, end
        self._with_transfers = with_transfers
        self._matcher = Matcher(self._rng, people)
        self._income = IncomeDesk(self._rng, people)
        self._queue: list[tuple[int, int, int, Any]] = []
        self._pushed = 0
        self._block, self._tx_index, self._li = -1, 0, 0
        self._done: list[Transaction] = []
        self._fading = start + (end - start) // 5
        groups: dict[str, list[Board]] = {}
        boards: list[Board] = []
        bips = {event.event_id: event.neg_risk_fee_bips for event in catalogue.events}
        self._bips: dict[str, int] = {}
        for listing in catalogue.listings:
            board = Board(listing) if fair_until is None else FairBoard(listing)
            boards.append(board)
            market = listing.market
            if market.neg_risk:
                board.group = groups.setdefault(market.neg_risk_market_id, [])
                board.group.append(board)
                self._bips[market.neg_risk_market_id] = bips[market.event_id]
            self._push(market.start_ts + 2 * self._rng.randrange(30), _TRADE, board)
            if market.resolved_ts is not None:
                self._push(market.resolved_ts, _RESOLVE, board)
        self._push(start - start % DAY + DAY, _MIDNIGHT, None)
        for life in pools:
            for ts, step in life.agenda:
                self._push(ts, _POOL, (life, step))
        if fair_until is None:
            for planted in plants.agenda(people, boards):
                self._push(planted.ts, _PLANTED, planted)
        else:
            fair = [board for board in boards if isinstance(board, FairBoard)]
            for act in actors.agenda(people, fair, fair_until):
                self._push(act.ts, _ACT, act)

    def walk(self) -> Iterator[Transaction]:
        """All transactions until the end of the span, in block order."""
        handlers = (
            self._trade, self._resolve, self._redeem, self._midnight, self._after, self._pool, self._planted, self._act,
        )  # fmt: skip
        queue, done = self._queue, self._done
        while queue:
            ts, _, kind, what = heapq.heappop(queue)
            if ts > self._end:
                continue
            handlers[kind](ts, what)
            if done:
                yield from done
                done.clear()

    def _push(self, ts: int, kind: int, what: Any) -> None:
        self._pushed += 1
        heapq.heappush(self._queue, (ts - ts % BLOCK_SECONDS, self._pushed, kind, what))

    def _draft(self, ts: int, *, complete: bool = False) -> Draft:
        block = FIRST_BLOCK + (ts - self._start) // BLOCK_SECONDS
        if block != self._block:
            self._block, self._tx_index, self._li = block, 0, 0
        return Draft(self._li, complete or self._with_transfers)

    def _commit(self, ts: int, draft: Draft, rng: Random | None = None) -> None:
        if not draft.logs:
            return
        tx = f"0x{(rng or self._rng).getrandbits(256):064x}"
        self._done.append(Transaction(tx, self._block, self._tx_index, ts, tuple(draft.logs)))
        self._tx_index += 1
        self._li = draft.li

    # What may happen on a market while it is open.

    def _trade(self, ts: int, board: Board) -> None:
        if board.resolved:
            return
        rng = self._rng
        board.step(rng, ts)
        taker, wish = self._taker(board, ts)
        kind = self._people.kinds[taker]
        if wish >= 0 or not self._aside(ts, board, taker, kind):
            board.left -= self._match(ts, board, taker, kind, wish)
        if board.left <= 0:
            return
        remaining = board.close - ts
        calls = max(1, board.left // _FILLS_PER_TRADE)
        gap = 0 if rng.getrandbits(4) == 0 else remaining * rng.getrandbits(12) // (2_200 * calls)
        following = ts + min(gap, remaining - 2)
        if remaining > 2 and following < board.close:
            self._push(following, _TRADE, board)

    def _taker(self, board: Board, ts: int) -> tuple[int, int]:
        """Who acts next, and the outcome it wants to get rid of (-1: none in particular)."""
        rng = self._rng
        if board.exits and rng.getrandbits(1):
            place = rng.getrandbits(20) % len(board.exits)
            wallet, outcome = board.exits[place]
            board.exits[place] = board.exits[-1]
            board.exits.pop()
            if board.held(wallet, outcome) >= MIN_SHARES:
                return wallet, outcome
        if board.recent and rng.getrandbits(2) == 0:
            return board.recent[rng.getrandbits(20) % len(board.recent)], -1
        pool = self._people.takers[board.listing.topic]
        wallet = pool.pick(rng.random())
        for _ in range(3):
            if ts < self._fading or not self._people.kinds[wallet].fading:
                break
            wallet = pool.pick(rng.random())
        return wallet, -1

    def _match(self, ts: int, board: Board, taker: int, kind: Behaviour, wish: int) -> int:
        """One transaction with one match, sometimes two; returns its fills."""
        rng = self._rng
        match = None
        outcome = wish if wish >= 0 else self._disposal(board, taker, kind)
        if outcome >= 0:
            held = board.held(taker, outcome)
            size = held if rng.getrandbits(1) else held // 2 + 1
            match = self._matcher.plan_sell(board, taker, outcome, min(size, _MAX_SHARES), ts)
        if match is None:
            outcome = self._choice(board, kind)
            match = self._matcher.plan_buy(board, taker, outcome, self._size(kind), ts)
            if kind.quick:
                board.exits.append((taker, outcome))
        matches = [match]
        if rng.getrandbits(5) == 0:
            matches.append(self._second(ts, board, match))
        draft = self._draft(ts, complete=needs_transfers(matches, ts))
        for one in matches:
            write_match(draft, board, one, self._people.addresses, ts)
            self._income.earn(board, one, ts)
        self._commit(ts, draft)
        board.traded = True
        board.remember(rng, taker)
        return sum(1 + len(one.legs) for one in matches)

    def _second(self, ts: int, board: Board, match: Match) -> Match:
        """Another taker in the same transaction; a resting order may be filled twice (M04)."""
        taker, _ = self._taker(board, ts)
        leg = match.legs[0] if match.buy and match.legs[0].wallet != taker else None
        return self._matcher.plan_buy(board, taker, match.outcome, self._size(self._people.kinds[taker]), ts, first=leg)

    def _disposal(self, board: Board, taker: int, kind: Behaviour) -> int:
        if not kind.sells:
            return -1
        first, second = board.held(taker, 0), board.held(taker, 1)
        if max(first, second) < MIN_SHARES or self._rng.getrandbits(16) % 100 >= kind.sells:
            return -1
        return 0 if first >= second else 1

    def _choice(self, board: Board, kind: Behaviour) -> int:
        """The outcome a wallet of this kind buys."""
        roll = self._rng.getrandbits(16)
        winner = board.listing.winner
        if kind.underdog and roll & 3:
            return 0 if board.price < 500 else 1
        if kind.foresight == 50 or winner == 2:
            return roll & 1
        return winner if (roll >> 2) % 100 < kind.foresight else 1 - winner

    def _size(self, kind: Behaviour) -> int:
        """Order size: odd micro-shares most of the time, whole shares for big orders."""
        rng = self._rng
        exponent = rng.getrandbits(3) % 7 + rng.getrandbits(3) % 6
        whole = (1 << exponent) + rng.getrandbits(exponent) if exponent else 1
        size = (whole * kind.scale // 100 or 1) * 1_000_000
        if size >= BIG_SHARES:
            return min(size, _MAX_SHARES)
        if rng.getrandbits(2):
            size += rng.getrandbits(20) % 1_000_000
        return min(size, BIG_SHARES - 1)

    # Splits, merges, conversions, transfers.

    def _aside(self, ts: int, board: Board, taker: int, kind: Behaviour) -> bool:
        """Something else than a trade; False if the wallet rather trades."""
        rng = self._rng
        if not board.traded or board.resolved:
            return False
        roll = rng.getrandbits(16) % 100
        if taker in self._people.converters and board.group and roll < 40 and self._convert(ts, board, taker):
            return True
        if roll < 9 and taker in self._people.movers and self._transfer(ts, board, taker):
            return True
        pairs = min(board.held(taker, 0), board.held(taker, 1))
        chance = kind.splits + 15 if pairs >= MIN_SHARES else kind.splits
        if rng.getrandbits(16) % 100 >= chance:
            return False
        adapted = self._adapted(ts)
        draft = self._draft(ts, complete=adapted)
        address = self._people.addresses[taker]
        if pairs >= MIN_SHARES and rng.getrandbits(3):
            amount = pairs if rng.getrandbits(1) else pairs // 2
            moves.merge(draft, board, taker, address, amount, adapted=adapted)
        else:
            moves.split(draft, board, taker, address, self._size(kind), adapted=adapted)
            board.exits += [(taker, 0), (taker, 1)] if rng.getrandbits(1) else [(taker, rng.getrandbits(1))]
        self._commit(ts, draft)
        return True

    def _adapted(self, ts: int) -> bool:
        return ts >= CLOB_V2_CUTOVER_TS and self._rng.getrandbits(3) != 0

    def _convert(self, ts: int, board: Board, taker: int) -> bool:
        held = [b.held(taker, 1) for b in board.group if not b.resolved and b.held(taker, 1) >= MIN_SHARES]
        if not held:
            return False
        amount = min(held) if self._rng.getrandbits(1) else max(held)
        if self._rng.getrandbits(1):
            amount -= amount // 3
        adapted = self._adapted(ts)
        draft = self._draft(ts, complete=adapted)
        bips = self._bips[board.market.neg_risk_market_id]
        address = self._people.addresses[taker]
        if not moves.convert(draft, board, taker, address, amount, bips, adapted=adapted):
            return False
        self._commit(ts, draft)
        return True

    def _transfer(self, ts: int, board: Board, taker: int) -> bool:
        outcome = 0 if board.held(taker, 0) >= board.held(taker, 1) else 1
        held = board.held(taker, outcome)
        movers = self._people.movers
        other = movers[self._rng.getrandbits(20) % len(movers)]
        if held < MIN_SHARES or other == taker:
            return False
        draft = self._draft(ts, complete=True)
        amount = held if self._rng.getrandbits(1) else held // 3
        moves.transfer(draft, board, self._people.addresses, (taker, other), outcome, amount)
        self._commit(ts, draft)
        return True

    # The end of a market, and what follows.

    def _resolve(self, ts: int, board: Board) -> None:
        market = board.market
        assert market.numerators is not None
        draft = self._draft(ts)
        draft.add("ConditionResolution", {"condition": market.condition_id, "numerators": list(market.numerators)})
        self._commit(ts, draft)
        board.resolved = True
        rng = self._rng
        for wallet in board.holders():
            kind = self._people.kinds[wallet]
            worth = any(board.held(wallet, o) and market.numerators[o] for o in (0, 1))
            if rng.getrandbits(16) % 100 < (kind.redeems if worth else 7):
                delay = HOUR // 4 + rng.getrandbits(12) * kind.patience * HOUR // 2_048
                self._push(ts + delay, _REDEEM, (board, wallet))
        for place in range(board.listing.afterlife):
            self._push(ts + 600 + place * HOUR, _AFTER, board)

    def _redeem(self, ts: int, what: tuple[Board, int]) -> None:
        board, wallet = what
        if not board.held(wallet, 0) and not board.held(wallet, 1):
            return
        adapted = self._adapted(ts)
        draft = self._draft(ts, complete=adapted)
        relayed = self._rng.getrandbits(2) == 0
        moves.redeem(draft, board, wallet, self._people.addresses[wallet], adapted=adapted, relayed=relayed)
        self._commit(ts, draft)

    def _after(self, ts: int, board: Board) -> None:
        """A trade after the resolution: somebody does not want to wait for the redemption (R06)."""
        winner = board.listing.winner
        board.price = (998, 2, 500)[winner]
        taker, _ = self._taker(board, ts)
        match = self._matcher.plan_buy(
            board, taker, 0 if winner == 2 else winner, self._size(self._people.kinds[taker]), ts
        )
        draft = self._draft(ts, complete=needs_transfers([match], ts))
        write_match(draft, board, match, self._people.addresses, ts)
        self._commit(ts, draft)

    def _planted(self, ts: int, step: plants.Step) -> None:
        board = step.board
        if board.resolved:
            return
        step.set_price()
        taker = step.wallet if step.wallet >= 0 else self._taker(board, ts)[0]
        self._settle(ts, board, self._matcher.plan_buy(board, taker, step.outcome, step.shares, ts))

    def _act(self, ts: int, act: actors.Act) -> None:
        board = act.board
        if board.resolved:
            return
        board.step(self._rng, ts)
        taker = act.taker if act.taker >= 0 else self._taker(board, ts)[0]
        if act.taker >= 0 or act.maker >= 0:
            maker = act.maker if act.maker >= 0 else self._matcher.some_maker(board, taker)
            match = self._matcher.plan_between(board, taker, maker, act.outcome, act.shares, ts)
        else:
            match = self._matcher.plan_buy(board, taker, act.outcome, act.shares, ts)
        self._settle(ts, board, match)

    def _settle(self, ts: int, board: Board, match: Match) -> None:
        draft = self._draft(ts, complete=needs_transfers([match], ts))
        write_match(draft, board, match, self._people.addresses, ts)
        self._commit(ts, draft)
        board.traded = True

    def _pool(self, ts: int, what: tuple[PoolLife, Step]) -> None:
        life, step = what
        draft = self._draft(ts)
        for later, following in life.act(draft, ts, step):
            self._push(later, _POOL, (life, following))
        self._commit(ts, draft, life.rng)

    def _midnight(self, ts: int, _: None) -> None:
        for payments in self._income.pay(ts):
            draft = self._draft(ts)
            for wallet, kind, amount in payments:
                fields = {"wallet": self._people.addresses[wallet], "kind": kind, "amount": amount}
                draft.add("Income", fields)
            self._commit(ts, draft)
        self._push(ts + DAY, _MIDNIGHT, None)
