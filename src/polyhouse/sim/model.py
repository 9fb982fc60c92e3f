"""What a simulated universe consists of: metadata as Gamma knows it, and chain logs in block order.

The logs are the only truth; every upstream view and the expected PnL are derived from them. Field names of ``Log``
follow the vector format of the accounting reference (``t``, ``maker``, ``taker``, …), so that a simulated transaction
can be saved as a ``polyhouse replay`` file as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


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
    Transfer(from, to, token, amount) · Income(wallet, kind, amount).

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
