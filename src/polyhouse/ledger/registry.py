"""What the chain rules must know beforehand: conditions, neg-risk markets, AMM pools, and who is machinery."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from polyhouse.domain import contracts

RELAYS = contracts.ADAPTERS | {contracts.AUTO_REDEEMER}
"""Contracts that act for a wallet: their splits, merges and redemptions are attributed by transfers (§2.6)."""

NO_OUTCOME = 999
"""Outcome index of rows whose token is unknown or has no outcome."""

_EXCHANGE_SYMBOLS = {a: contracts.SYMBOL_OF.get(a, "EX2") for a in contracts.EXCHANGES}


@dataclass(frozen=True, slots=True)
class ConditionInfo:
    """One binary condition: its tokens in index-set order, and its place in a neg-risk market (b"" = none)."""

    condition: bytes
    tokens: tuple[bytes, bytes]
    neg_risk_market: bytes = b""
    question_index: int = 0


@dataclass(frozen=True, slots=True)
class NegRiskMarket:
    """One neg-risk market: number of questions and the conversion fee in basis points."""

    market: bytes
    question_count: int
    fee_bips: int = 0


class Registry:
    """Known markets and contracts, read by the chain rules and never changed by them.

    Args:
        conditions: accepted conditions; CTF logs of any other are foreign (the contract is shared).
        neg_risk_markets: their question counts and fees.
        pools: AMM pool → condition. Pools are machinery, never wallets.
        extra_infra: further addresses that are no wallets.
    """

    def __init__(
        self,
        conditions: Iterable[ConditionInfo] = (),
        neg_risk_markets: Iterable[NegRiskMarket] = (),
        pools: Mapping[bytes, bytes] | None = None,
        extra_infra: Iterable[bytes] = (),
    ) -> None:
        self.tokens_of: dict[bytes, tuple[bytes, bytes]] = {}
        self.place_of: dict[bytes, tuple[bytes, int]] = {}
        self.questions_of: dict[bytes, dict[int, tuple[bytes, bytes]]] = {}
        for info in conditions:
            self.tokens_of[info.condition] = info.tokens
            for outcome, token in enumerate(info.tokens):
                self.place_of[token] = (info.condition, outcome)
            if info.neg_risk_market:
                self.questions_of.setdefault(info.neg_risk_market, {})[info.question_index] = info.tokens
        self.neg_risk_markets = {m.market: m for m in neg_risk_markets}
        self.pools = dict(pools or {})
        self.infra = contracts.INFRA | frozenset(self.pools) | frozenset(extra_infra)

    def place(self, token: bytes) -> tuple[bytes, int]:
        """Condition and outcome index of a token; (b"", 999) if unknown."""
        return self.place_of.get(token, (b"", NO_OUTCOME))

    def is_infra(self, address: bytes) -> bool:
        """True for contracts of the market itself: no row may have one as its wallet (§1.2)."""
        return address in self.infra

    def is_relay(self, address: bytes) -> bool:
        """True for adapters and the auto redeemer, whose events belong to somebody else (§2.6)."""
        return address in RELAYS

    def exchange_symbol(self, address: bytes) -> str:
        """Short name of an exchange, "" for any other address."""
        return _EXCHANGE_SYMBOLS.get(address, "")

    def conversion_changes(self, market: bytes, index_set: int, amount: int) -> dict[bytes, int] | None:
        """Share change per token of one conversion (accounting §2.3); None for an unknown market."""
        info = self.neg_risk_markets.get(market)
        if info is None:
            return None
        credited = amount - amount * info.fee_bips // 10_000
        changes: dict[bytes, int] = {}
        for index, (yes, no) in self.questions_of.get(market, {}).items():
            if index_set >> index & 1:
                changes[no] = -amount
            elif index < info.question_count:
                changes[yes] = credited
        return changes
