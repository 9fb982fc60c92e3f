"""Early markets that were traded through AMM pools (accounting §2.7), and orders that were filled directly (§1.2).

Each market has a generator of its own and its own small cast of wallets, who also trade elsewhere. Nobody sells, sends
or redeems what he does not have; the pool's own splits and merges belong to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from polyhouse.domain import contracts, ids
from polyhouse.sim import moves
from polyhouse.sim.board import Board, Draft
from polyhouse.sim.catalogue import DAY, HOUR, Catalogue, Listing
from polyhouse.sim.match_logs import merge_pair, split_pair
from polyhouse.sim.model import SimEvent, SimMarket, SimPool
from polyhouse.sim.people import People
from polyhouse.sim.pool import ONE, Pool
from polyhouse.sim.topics import SUBJECTS, TOPICS

Step = tuple[str, int]
"""What happens, and the wallet that does it (-1: whoever comes)."""

_CAST = 9
_DUST = 20_000
_ENDINGS = ((1, 0), (0, 1), (584, 416), (1, 1))
_FEES = (ONE // 50, ONE // 50, ONE // 1_000, 0)
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class _Early:
    """A market with what only its creator knows: the wallets that are going to meet there."""

    seed: str
    event: SimEvent
    cast: tuple[int, ...]

    @property
    def market(self) -> SimMarket:
        return self.event.markets[0]


class AmmCatalogue:
    """The early markets of a universe.

    Args:
        seed: text that seeds the generators.
        count: how many markets.
        people: the wallets of the universe.
        catalogue: the other markets; ids go on from theirs.
        start, end: span of the universe, Unix seconds.
    """

    def __init__(self, seed: str, count: int, people: People, catalogue: Catalogue, start: int, end: int) -> None:
        self._people = people
        events, markets = len(catalogue.events), len(catalogue.listings)
        self._early = [
            _early(f"{seed} {place}", place, 1 + events + place, 1_000 + markets + place, people, start, end)
            for place in range(count)
        ]

    @cached_property
    def events(self) -> tuple[SimEvent, ...]:
        """One event per market."""
        return tuple(early.event for early in self._early)

    def lives(self) -> Iterator[PoolLife]:
        """The markets before anything happened."""
        for early in self._early:
            yield PoolLife(early, self._people.addresses)


def _early(seed: str, place: int, event_id: int, market_id: int, people: People, start: int, end: int) -> _Early:
    rng = Random(seed)
    span = end - start
    opened = _even(start + HOUR + rng.randrange(span // 4))
    closes = _even(opened + span * (3 + rng.randrange(12)) // 100)
    # Every fifth market is still open at the end of the universe.
    resolved = None if place % 5 == 4 else _even(closes + HOUR + rng.randrange(span // 50))
    cast = tuple(rng.sample(range(len(people.addresses)), min(len(people.addresses), _CAST)))
    own_oracle = rng.getrandbits(160).to_bytes(20, "big")
    # The oracles of those years prepared conditions for others, too: such a condition is ours because of its pool.
    oracle = own_oracle if place % 2 else contracts.NEG_RISK_UMA_ADAPTER
    question_id = rng.getrandbits(256).to_bytes(32, "big")
    condition = ids.condition_id(oracle, question_id)
    tokens = ids.token_ids(condition, contracts.USDC_E)
    topic = TOPICS[rng.randrange(len(TOPICS))]
    subject = SUBJECTS[rng.randrange(len(SUBJECTS))]
    pool = SimPool(
        address=ids.format_address(rng.getrandbits(160).to_bytes(20, "big")),
        creator=people.addresses[cast[0]],
        created_ts=opened - 300,
        fee=_FEES[rng.randrange(len(_FEES))],
        oracle=ids.format_address(oracle),
    )
    market = SimMarket(
        market_id=market_id,
        condition_id=ids.format_condition(condition),
        question_id=ids.format_hash(question_id),
        question=f"{topic.question} {subject}, early?",
        slug=f"early-{topic.name}-{place}",
        outcomes=("Yes", "No"),
        token_ids=(ids.format_token(tokens[0]), ids.format_token(tokens[1])),
        event_id=event_id,
        neg_risk=False,
        neg_risk_market_id="",
        question_index=0,
        created_ts=opened - 600,
        start_ts=opened,
        end_ts=closes,
        fee_rate="0",
        resolved_ts=resolved,
        numerators=None if resolved is None else _ENDINGS[place % 5],
        pool=pool,
    )
    event = SimEvent(
        event_id=event_id,
        slug=market.slug,
        title=market.question,
        tags=topic.tags[:2],
        series=None,
        neg_risk=False,
        neg_risk_market_id="",
        neg_risk_fee_bips=0,
        created_ts=market.created_ts,
        start_ts=market.start_ts,
        end_ts=market.end_ts,
        markets=(market,),
    )
    return _Early(seed, event, cast)


def _even(ts: int) -> int:
    return ts - ts % 2


class PoolLife:
    """One early market from its first funding to the last redemption.

    Attributes:
        rng: its generator.
        agenda: (Unix seconds, step) of what is known beforehand; ``act`` gives the rest.
    """

    def __init__(self, early: _Early, addresses: list[str]) -> None:
        self.rng = Random(f"{early.seed} life")
        self._names = addresses
        self._cast = early.cast
        self._market = early.market
        assert self._market.pool is not None
        self._address = self._market.pool.address
        self._pool = Pool(self._market.pool.fee)
        self._board = Board(Listing(self._market, "", 0, 500, 10, 0, 0))
        self.agenda = list(self._plan())

    def _plan(self) -> Iterator[tuple[int, Step]]:
        market, rng = self._market, self.rng
        yield market.start_ts, ("add", self._cast[0])
        for _ in range(24 + rng.randrange(24)):
            yield market.start_ts + 2 + rng.randrange(market.end_ts - market.start_ts - 2), ("any", _NOBODY)
        if market.resolved_ts is not None:
            yield market.resolved_ts, ("resolve", _NOBODY)
            if rng.randrange(2):
                yield market.resolved_ts + 300, ("buy", self._cast[1])

    def act(self, draft: Draft, ts: int, step: Step) -> list[tuple[int, Step]]:
        """Append the logs of one transaction to ``draft``; returns what follows from it later.

        All of them carry their transfers: the feeds do not show what pools do, but their balances know it.
        """
        draft.complete = True
        name, wallet = step
        if name == "resolve":
            return list(self._resolve(draft, ts))
        steps: dict[str, Callable[[Draft, int], bool]] = {
            "add": self._add, "remove": self._remove, "leave": self._leave, "buy": self._buy, "sell": self._sell,
            "nothing": self._sell_nothing, "direct": self._direct, "pairs": self._pairs, "redeem": self._redeem,
        }  # fmt: skip
        if name != "any":
            steps[name](draft, wallet)
            return []
        wallet = self._cast[self.rng.randrange(len(self._cast))]
        roll = self.rng.randrange(100)
        for chosen, limit in (
            ("sell", 30), ("direct", 44), ("add", 54), ("remove", 62), ("pairs", 67), ("nothing", 70), ("buy", 100),
        ):  # fmt: skip
            if roll < limit and (chosen == "buy" or steps[chosen](draft, wallet)):
                break
        else:
            chosen = "buy"
        if chosen == "buy":
            self._buy(draft, wallet)
        return []

    def _resolve(self, draft: Draft, ts: int) -> Iterator[tuple[int, Step]]:
        market, rng = self._market, self.rng
        assert market.numerators is not None
        draft.add("ConditionResolution", {"condition": market.condition_id, "numerators": list(market.numerators)})
        self._board.resolved = True
        for wallet in self._cast:
            if self._pool.lp[wallet] and rng.randrange(4):
                yield ts + HOUR + 2 * rng.randrange(DAY), ("leave", wallet)
            if rng.randrange(4):
                # Some redeem before they take their liquidity out, and keep what comes back afterwards.
                yield ts + HOUR + 2 * rng.randrange(2 * DAY), ("redeem", wallet)

    # Liquidity.

    def _add(self, draft: Draft, wallet: int) -> bool:
        pool, rng = self._pool, self.rng
        if pool.supply and min(pool.balances) < _DUST:
            return False
        funds = (50 + rng.randrange(2_000)) * 1_000_000 + rng.randrange(1_000_000) * rng.randrange(2)
        hint = (1, 1) if rng.randrange(3) == 0 else (20 + rng.randrange(80), 20 + rng.randrange(80))
        kept, shares = pool.add(wallet, funds, hint)
        split_pair(draft, self._board, funds, self._address)
        for outcome in (0, 1):
            self._receive(draft, wallet, outcome, funds - kept[outcome])
        fields: dict[str, object] = {"fpmm": self._address, "funder": self._names[wallet]}
        draft.add("FPMMFundingAdded", fields | {"amounts": list(kept), "shares": shares})
        return True

    def _remove(self, draft: Draft, wallet: int) -> bool:
        """Somebody takes a part of his liquidity out; the last of it stays until the market is resolved."""
        owned = self._pool.lp[wallet]
        return owned > _DUST and self._burn(draft, wallet, owned // (2 + self.rng.randrange(3)))

    def _leave(self, draft: Draft, wallet: int) -> bool:
        return self._burn(draft, wallet, self._pool.lp[wallet])

    def _burn(self, draft: Draft, wallet: int, shares: int) -> bool:
        if shares == 0 or self._pool.fees_of(wallet) < 0:
            return False
        back, fees = self._pool.remove(wallet, shares)
        for outcome in (0, 1):
            self._receive(draft, wallet, outcome, back[outcome])
        fields: dict[str, object] = {"fpmm": self._address, "funder": self._names[wallet]}
        draft.add("FPMMFundingRemoved", fields | {"amounts": list(back), "fees": fees, "shares": shares})
        return True

    def _receive(self, draft: Draft, wallet: int, outcome: int, shares: int) -> None:
        """The pool sends outcome shares."""
        if shares:
            draft.move(self._address, self._names[wallet], self._market.token_ids[outcome], shares)
            self._board.credit(wallet, outcome, shares)

    # Trades with the pool.

    def _buy(self, draft: Draft, wallet: int) -> bool:
        rng, pool = self.rng, self._pool
        if min(pool.balances) < _DUST:
            return False
        investment = 1_000_000 + rng.randrange(max(1, min(pool.balances) // 2))
        if rng.randrange(3) == 0:
            investment -= investment % 1_000_000
        outcome = rng.randrange(2)
        tokens, fee = pool.buy(outcome, investment)
        split_pair(draft, self._board, investment - fee, self._address)
        self._receive(draft, wallet, outcome, tokens)
        fields = {"investment": investment, "fee": fee, "outcome_index": outcome, "tokens": tokens}
        draft.add("FPMMBuy", {"fpmm": self._address, "buyer": self._names[wallet], **fields})
        return True

    def _sell(self, draft: Draft, wallet: int) -> bool:
        outcome = 0 if self._board.held(wallet, 0) >= self._board.held(wallet, 1) else 1
        held = self._board.held(wallet, outcome)
        if held < _DUST or min(self._pool.balances) < _DUST:
            return False
        returned = self._pool.most(outcome, held if self.rng.randrange(2) else held // 2)
        if returned:
            self._sold(draft, wallet, outcome, returned)
        return returned > 0

    def _sell_nothing(self, draft: Draft, wallet: int) -> bool:
        """The contract lets anybody sell for nothing; no row follows from it (A01)."""
        if min(self._pool.balances) < _DUST:
            return False
        self._sold(draft, wallet, self.rng.randrange(2), 0)
        return True

    def _sold(self, draft: Draft, wallet: int, outcome: int, returned: int) -> None:
        tokens, fee = self._pool.sell(outcome, returned)
        draft.move(self._names[wallet], self._address, self._market.token_ids[outcome], tokens)
        self._board.debit(wallet, outcome, tokens)
        merge_pair(draft, self._board, returned + fee, self._address)
        fields = {"return": returned, "fee": fee, "outcome_index": outcome, "tokens": tokens}
        draft.add("FPMMSell", {"fpmm": self._address, "seller": self._names[wallet], **fields})

    # What needs no pool.

    def _direct(self, draft: Draft, wallet: int) -> bool:
        """An operator fills an order of ``wallet`` out of its own pocket: no match, and only the maker has a row; the
        operator's shares come and go by transfer.
        """
        rng, board, operator = self.rng, self._board, self._cast[-1]
        outcome = 0 if board.held(operator, 0) >= board.held(operator, 1) else 1
        buys = board.held(operator, outcome) >= _DUST and bool(rng.randrange(2))
        if not buys:
            outcome = 0 if board.held(wallet, 0) >= board.held(wallet, 1) else 1
        giver = operator if buys else wallet
        held = board.held(giver, outcome)
        if wallet == operator or held < _DUST:
            return False
        shares = held if rng.randrange(3) == 0 else max(_DUST, held // 3)
        cash = shares * (5 + rng.randrange(90)) // 100
        token = self._market.token_ids[outcome]
        gave, got, assets = (cash, shares, ("0", token)) if buys else (shares, cash, (token, "0"))
        fee = got // 100 if rng.randrange(3) == 0 else 0
        moved = shares - fee if buys else shares
        taker = wallet if buys else operator
        draft.move(self._names[giver], self._names[taker], token, moved)
        board.debit(giver, outcome, moved)
        board.credit(taker, outcome, moved)
        draft.add(
            "OrderFilled",
            {
                "v": 1, "ex": "EX1", "order": f"0x{rng.getrandbits(256):064x}", "maker": self._names[wallet],
                "taker": self._names[operator], "maker_asset": assets[0], "taker_asset": assets[1],
                "maker_amount": gave, "taker_amount": got, "fee": fee,
            },
        )  # fmt: skip
        return True

    def _pairs(self, draft: Draft, wallet: int) -> bool:
        board, name = self._board, self._names[wallet]
        pairs = min(board.held(wallet, 0), board.held(wallet, 1))
        if pairs >= _DUST:
            moves.merge(draft, board, wallet, name, pairs, adapted=False)
        else:
            moves.split(draft, board, wallet, name, (1 + self.rng.randrange(300)) * 1_000_000, adapted=False)
        return True

    def _redeem(self, draft: Draft, wallet: int) -> bool:
        if not self._board.held(wallet, 0) and not self._board.held(wallet, 1):
            return False
        moves.redeem(draft, self._board, wallet, self._names[wallet], adapted=False, relayed=False)
        return True
