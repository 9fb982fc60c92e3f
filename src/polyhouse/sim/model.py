"""What a simulated universe consists of: metadata as Gamma knows it, and chain logs in block order.

The logs are the only truth; every upstream view and the expected PnL are derived from them. Field names of ``Log``
follow the vector format of the accounting reference (``t``, ``maker``, ``taker``, …), so that a simulated transaction
can be saved as a ``polyhouse replay`` file as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SimPool:
    """The AMM pool of an early market (accounting §2.7).

    Attributes:
        address: the pool's contract.
        creator: the wallet that had the factory make it.
        created_ts: when, Unix seconds.
        fee: share of an investment, in 10^-18.
        oracle: who prepared and resolves the condition.
    """

    address: str
    creator: str
    created_ts: int
    fee: int
    oracle: str

    @property
    def lp_token(self) -> str:
        """Token id of its LP shares: the address as a number."""
        return str(int(self.address, 16))

    @property
    def lp_condition(self) -> str:
        """The unit of its LP shares: the same 32 bytes as the token."""
        return f"0x{int(self.address, 16):064x}"


@dataclass(frozen=True, slots=True)
class SimMarket:
    """One binary market (= one condition). All ids as the upstreams print them."""

    market_id: int
    condition_id: str
    question_id: str
    question: str
    slug: str
    outcomes: tuple[str, str]
    token_ids: tuple[str, str]
    event_id: int
    neg_risk: bool
    neg_risk_market_id: str  # "" for ordinary markets
    question_index: int  # 0 for ordinary markets
    created_ts: int
    start_ts: int
    end_ts: int
    fee_rate: str  # schedule rate as a decimal string, "0" = no fees
    resolved_ts: int | None = None  # None: not resolved inside the generated time span
    numerators: tuple[int, int] | None = None
    pool: SimPool | None = field(default=None, repr=False)  # only markets of the AMM era have one


@dataclass(frozen=True, slots=True)
class SimEvent:
    """One event with its tags (id, label, slug) and series."""

    event_id: int
    slug: str
    title: str
    tags: tuple[tuple[int, str, str], ...]
    series: tuple[int, str, str] | None
    neg_risk: bool
    neg_risk_market_id: str
    neg_risk_fee_bips: int
    created_ts: int
    start_ts: int
    end_ts: int
    markets: tuple[SimMarket, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """One decoded chain log. ``t`` names it, ``fields`` holds the rest with the names of the vector format:

    OrderFilled(v, ex, order, maker, taker, maker_asset, taker_asset | side, token, maker_amount, taker_amount, fee) ·
    OrdersMatched(ex, order) · FeeRefunded(order, to, id, refund) · PositionSplit/PositionsMerge(src, stakeholder,
    condition, amount) · PayoutRedemption(src, redeemer, condition, index_sets | amounts, payout) ·
    PositionsConverted(stakeholder, market, index_set, amount) · ConditionResolution(condition, numerators) ·
    Transfer(from, to, token, amount) · Income(wallet, kind, amount) · FPMMBuy(fpmm, buyer, investment, fee,
    outcome_index, tokens) · FPMMSell(fpmm, seller, return, fee, outcome_index, tokens) · FPMMFundingAdded(fpmm, funder,
    amounts, shares) · FPMMFundingRemoved(fpmm, funder, amounts, fees, shares).

    Addresses, conditions and tokens are real ids (0x… strings, decimal token ids); contracts are their symbols
    (EX1, NEX1, EX2, NEX2, NRA, ADP, NADP, AR, ZERO).
    """

    t: str
    li: int
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transaction:
    """The logs of one transaction, in log order. ``li`` is unique within the block, as on chain."""

    tx: str
    block: int
    tx_index: int
    ts: int
    logs: tuple[Log, ...]
