"""The logs of a planned match, as V1 exchanges and CLOB V2 exchanges emit them.

Inside a match: per maker the tokens move, then its ``OrderFilled``; at the end the taker's ``OrderFilled`` (its
``taker`` is the exchange) and ``OrdersMatched`` (accounting §1.4). V1 fee refunds follow after that (§1.8). Mint and
merge matches split and merge collateral: V1 exchanges do it themselves or through the neg-risk adapter, V2 exchanges
through the collateral adapters, always with transfers, by which §2.6 tells that nobody but the exchange did it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from polyhouse.domain import contracts, ids
from polyhouse.sim.board import Board, Draft
from polyhouse.sim.matches import COMPLEMENTARY, MERGE, MINT, Leg, Match, v1_order_fee

FEE_MODULE = ids.format_address(contracts.FEE_MODULE)
_COLLATERAL = "0"
NEG_RISK_FEE_MODULE = ids.format_address(contracts.NEG_RISK_FEE_MODULE)


def needs_transfers(matches: list[Match], ts: int) -> bool:
    """Whether a transaction with these matches carries transfers even where transfers are left out: V2 mints and
    merges touch an adapter.
    """
    return ts >= contracts.CLOB_V2_CUTOVER_TS and not all(match.plain for match in matches)


def split_pair(draft: Draft, board: Board, amount: int, owner: str, adapter: str = "") -> None:
    """Collateral becomes a pair of tokens for ``owner``; ``adapter`` stands in for it, if given (accounting §2.1)."""
    condition = board.market.condition_id
    holder = adapter or owner
    first = "NRA" if board.market.neg_risk else holder
    _both(draft, board, "ZERO", first, amount)
    draft.add("PositionSplit", {"src": "CTF", "stakeholder": first, "condition": condition, "amount": amount})
    if first != holder:
        _both(draft, board, first, holder, amount)
        draft.add("PositionSplit", {"src": "NRA", "stakeholder": holder, "condition": condition, "amount": amount})
    if adapter:
        _both(draft, board, adapter, owner, amount)


def merge_pair(draft: Draft, board: Board, amount: int, owner: str, adapter: str = "") -> None:
    """The reverse of ``split_pair``."""
    condition = board.market.condition_id
    holder = adapter or owner
    last = "NRA" if board.market.neg_risk else holder
    if adapter:
        _both(draft, board, owner, adapter, amount)
    if last != holder:
        _both(draft, board, holder, last, amount)
    _both(draft, board, last, "ZERO", amount)
    draft.add("PositionsMerge", {"src": "CTF", "stakeholder": last, "condition": condition, "amount": amount})
    if last != holder:
        draft.add("PositionsMerge", {"src": "NRA", "stakeholder": holder, "condition": condition, "amount": amount})


def _both(draft: Draft, board: Board, source: str, target: str, amount: int) -> None:
    for token in board.market.token_ids:
        draft.move(source, target, token, amount)


def write_match(draft: Draft, board: Board, match: Match, addresses: list[str], ts: int) -> None:
    """Append all logs of one match."""
    if ts < contracts.CLOB_V2_CUTOVER_TS:
        _V1Writer(draft, board, match, addresses).write()
    else:
        _V2Writer(draft, board, match, addresses).write()


class _Writer(ABC):
    exchange = ""

    def __init__(self, draft: Draft, board: Board, match: Match, addresses: list[str]) -> None:
        self.draft = draft
        self.board = board
        self.match = match
        self.addresses = addresses
        self.taker = addresses[match.taker]
        self.token = board.market.token_ids[match.outcome]
        self.other = board.market.token_ids[1 - match.outcome]

    @abstractmethod
    def write(self) -> None:
        """Append the logs as this generation of exchanges emits them."""

    def matched(self) -> None:
        self.draft.add("OrdersMatched", {"ex": self.exchange, "order": self.match.order})


class _V1Writer(_Writer):
    """Everything passes through the exchange; fees are withheld at the order's rate and mostly refunded."""

    def write(self) -> None:
        neg_risk = self.board.market.neg_risk
        self.exchange = "NEX1" if neg_risk else "EX1"
        self.module = NEG_RISK_FEE_MODULE if neg_risk else FEE_MODULE
        self.refunds: list[tuple[str, str, str, int]] = []
        draft, match = self.draft, self.match
        if not match.buy:
            draft.move(self.taker, self.exchange, self.token, match.gave)
        for leg in match.legs:
            self._maker(leg)
        shares, cash = (match.got, match.gave) if match.buy else (match.gave, match.got)
        withheld = self._withheld(self.taker, match.order, self.token, shares, cash, buys=match.buy, kept=match.fee)
        if match.buy:
            self._deliver(self.taker, self.token, match.got, withheld)
        else:
            draft.move(self.exchange, self.taker, self.token, match.gave - sum(leg.shares for leg in match.legs))
        self._filled(
            match.order, self.taker, self.exchange, self.token, match.gave, match.got, buys=match.buy, fee=withheld
        )
        self.matched()
        for order, wallet, token, amount in self.refunds:
            draft.add("FeeRefunded", {"order": order, "to": wallet, "id": token, "refund": amount})
            if token != _COLLATERAL:
                draft.move(self.module, wallet, token, amount)

    def _maker(self, leg: Leg) -> None:
        draft, match, wallet = self.draft, self.match, self.addresses[leg.wallet]
        buys = leg.kind == (MINT if match.buy else COMPLEMENTARY)
        token = self.token if leg.kind == COMPLEMENTARY else self.other
        withheld = self._withheld(wallet, leg.order, token, leg.shares, leg.cash, buys=buys)
        if leg.kind == MINT:
            split_pair(draft, self.board, leg.shares, self.exchange)
        if buys:
            self._deliver(wallet, token, leg.shares, withheld)
        else:
            draft.move(wallet, self.exchange, token, leg.shares)
        if leg.kind == MERGE:
            merge_pair(draft, self.board, leg.shares, self.exchange)
        gave, got = (leg.cash, leg.shares) if buys else (leg.shares, leg.cash)
        self._filled(leg.order, wallet, self.taker, token, gave, got, buys=buys, fee=withheld)

    def _withheld(
        self, wallet: str, order: str, token: str, shares: int, cash: int, *, buys: bool, kept: int = 0
    ) -> int:
        """The fee of the event; what exceeds ``kept`` is noted as a refund."""
        if not self.board.rate:
            return 0
        fee = v1_order_fee(buy=buys, shares=shares, cash=cash)
        assert fee >= kept, "the order's rate is above the schedule's"
        if fee > 0:
            self.refunds.append((order, wallet, token if buys else _COLLATERAL, fee - kept))
        return fee

    def _deliver(self, wallet: str, token: str, shares: int, withheld: int) -> None:
        self.draft.move(self.exchange, wallet, token, shares - withheld)
        self.draft.move(self.exchange, self.module, token, withheld)

    def _filled(
        self, order: str, maker: str, taker: str, token: str, gave: int, got: int, *, buys: bool, fee: int = 0
    ) -> None:
        self.draft.add(
            "OrderFilled",
            {
                "v": 1, "ex": self.exchange, "order": order, "maker": maker, "taker": taker,
                "maker_asset": _COLLATERAL if buys else token, "taker_asset": token if buys else _COLLATERAL,
                "maker_amount": gave, "taker_amount": got, "fee": fee,
            },
        )  # fmt: skip


class _V2Writer(_Writer):
    """Complementary fills move tokens from wallet to wallet; pairs come and go through the collateral adapters."""

    def write(self) -> None:
        neg_risk = self.board.market.neg_risk
        self.exchange = "NEX2" if neg_risk else "EX2"
        self.adapter = "NADP" if neg_risk else "ADP"
        draft, match = self.draft, self.match
        pooled = sum(leg.shares for leg in match.legs if leg.kind != COMPLEMENTARY)
        if not match.buy:
            draft.move(self.taker, self.exchange, self.token, match.gave - self._direct())
        for leg in match.legs:
            self._maker(leg)
        if match.buy:
            draft.move(self.exchange, self.taker, self.token, pooled)
        else:
            draft.move(self.exchange, self.taker, self.token, match.gave - self._direct() - pooled)
        self._filled(
            match.order, self.taker, self.exchange, self.token, match.gave, match.got, buys=match.buy, fee=match.fee
        )
        self.matched()

    def _direct(self) -> int:
        return sum(leg.shares for leg in self.match.legs if leg.kind == COMPLEMENTARY)

    def _maker(self, leg: Leg) -> None:
        draft, match, wallet = self.draft, self.match, self.addresses[leg.wallet]
        if leg.kind == MINT:
            split_pair(draft, self.board, leg.shares, self.exchange, self.adapter)
            draft.move(self.exchange, wallet, self.other, leg.shares)
            self._filled(leg.order, wallet, self.taker, self.other, leg.cash, leg.shares, buys=True)
        elif leg.kind == MERGE:
            draft.move(wallet, self.exchange, self.other, leg.shares)
            merge_pair(draft, self.board, leg.shares, self.exchange, self.adapter)
            self._filled(leg.order, wallet, self.taker, self.other, leg.shares, leg.cash, buys=False)
        elif match.buy:
            draft.move(wallet, self.taker, self.token, leg.shares)
            self._filled(leg.order, wallet, self.taker, self.token, leg.shares, leg.cash, buys=False)
        else:
            draft.move(self.taker, wallet, self.token, leg.shares)
            self._filled(leg.order, wallet, self.taker, self.token, leg.cash, leg.shares, buys=True)

    def _filled(
        self, order: str, maker: str, taker: str, token: str, gave: int, got: int, *, buys: bool, fee: int = 0
    ) -> None:
        self.draft.add(
            "OrderFilled",
            {
                "v": 2, "ex": self.exchange, "order": order, "maker": maker, "taker": taker,
                "side": "BUY" if buys else "SELL", "token": token, "maker_amount": gave, "taker_amount": got,
                "fee": fee,
            },
        )  # fmt: skip
