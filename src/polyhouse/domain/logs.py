"""Decoded chain logs: one frozen type per log that moves money or shares (layouts: accounting §1.2).

Ids are raw bytes as in ``polyhouse.tables``: addresses 20, tokens and hashes 32, conditions 31 or 32. Amounts are
integer micro-units. Two deliveries of one log are equal when everything but the time agrees: a time is an attribute
that feeds may disagree about by a second, never identity (accounting §1.7).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from polyhouse.domain import contracts

Emitter = Literal["CTF", "NRA"]
"""Who emitted a split, merge or redemption: the conditional tokens contract or the neg-risk adapter."""

ZERO_HASH = bytes(32)
FULL_PARTITION = (1, 2)


@dataclass(frozen=True, slots=True)
class DecodedLog:
    """Where a log stands: transaction, block, place of the transaction in it, log index in the block, Unix seconds."""

    tx: bytes
    block: int
    tx_index: int
    log_index: int
    ts: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class OrderFilledV1(DecodedLog):
    """``OrderFilled`` of the first exchanges: exactly one asset is zero (= collateral), the fee in what is received."""

    exchange: bytes
    order: bytes
    maker: bytes
    taker: bytes
    maker_asset: bytes
    taker_asset: bytes
    maker_amount: int
    taker_amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class OrderFilledV2(DecodedLog):
    """``OrderFilled`` of CLOB V2 and Exchange V3: ``side`` 0 BUY, 1 SELL; ``fee`` in collateral for both."""

    exchange: bytes
    order: bytes
    maker: bytes
    taker: bytes
    side: int
    token: bytes
    maker_amount: int
    taker_amount: int
    fee: int


@dataclass(frozen=True, slots=True)
class OrdersMatched(DecodedLog):
    """End of one match on one exchange; ``order`` is the taker order's hash. Carries no volume of its own."""

    exchange: bytes
    order: bytes


@dataclass(frozen=True, slots=True)
class FeeRefunded(DecodedLog):
    """The fee module's refund for one V1 fill; ``charged`` is what the operator kept, None if the log does not say."""

    order: bytes
    to: bytes
    asset: bytes
    refund: int
    charged: int | None = None


@dataclass(frozen=True, slots=True)
class PositionChange(DecodedLog):
    """Common part of splits and merges. ``collateral``, ``parent``, ``partition`` matter for CTF logs only."""

    emitter: Emitter
    stakeholder: bytes
    condition: bytes
    amount: int
    collateral: bytes = contracts.USDC_E
    parent: bytes = ZERO_HASH
    partition: tuple[int, ...] = FULL_PARTITION


@dataclass(frozen=True, slots=True)
class PositionSplit(PositionChange):
    """Collateral became ``amount`` shares of every outcome."""


@dataclass(frozen=True, slots=True)
class PositionsMerge(PositionChange):
    """``amount`` shares of every outcome became collateral."""


@dataclass(frozen=True, slots=True)
class PayoutRedemption(DecodedLog):
    """Settled shares became cash. CTF tells ``index_sets`` (whole balances), NRA ``amounts`` per outcome."""

    emitter: Emitter
    redeemer: bytes
    condition: bytes
    payout: int
    index_sets: tuple[int, ...] = ()
    amounts: tuple[int, ...] = ()
    collateral: bytes = contracts.USDC_E
    parent: bytes = ZERO_HASH


@dataclass(frozen=True, slots=True)
class PositionsConverted(DecodedLog):
    """NO shares of the questions in ``index_set`` (bit i = question i) became collateral and YES of all others."""

    stakeholder: bytes
    market: bytes
    index_set: int
    amount: int


@dataclass(frozen=True, slots=True)
class ConditionResolution(DecodedLog):
    """The payout vector of a condition."""

    condition: bytes
    numerators: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Transfer(DecodedLog):
    """ERC-1155 ``TransferSingle`` or ``TransferBatch``: (token, amount) pairs that went from ``sender`` to ``to``."""

    sender: bytes
    to: bytes
    moves: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class FpmmBuy(DecodedLog):
    """A purchase from an AMM pool; ``investment`` includes ``fee``."""

    pool: bytes
    buyer: bytes
    investment: int
    fee: int
    outcome: int
    tokens: int


@dataclass(frozen=True, slots=True)
class FpmmSell(DecodedLog):
    """A sale to an AMM pool; ``returned`` is what the seller received, after ``fee``."""

    pool: bytes
    seller: bytes
    returned: int
    fee: int
    outcome: int
    tokens: int


@dataclass(frozen=True, slots=True)
class FpmmFundingAdded(DecodedLog):
    """Liquidity added: ``amounts`` stayed in the pool per outcome, ``shares`` LP tokens were minted."""

    pool: bytes
    funder: bytes
    amounts: tuple[int, int]
    shares: int


@dataclass(frozen=True, slots=True)
class FpmmFundingRemoved(DecodedLog):
    """Liquidity removed: ``amounts`` came back per outcome with ``fees`` in cash, ``shares`` LP tokens were burned."""

    pool: bytes
    funder: bytes
    amounts: tuple[int, int]
    fees: int
    shares: int


@dataclass(frozen=True, slots=True)
class Income(DecodedLog):
    """A rebate or reward paid outside of matches; ``label`` is its kind (accounting §2.8)."""

    wallet: bytes
    label: str
    amount: int


@dataclass(frozen=True, slots=True)
class Migrated(DecodedLog):
    """Legacy shares became the same number of Protocol V2 shares."""

    wallet: bytes
    from_token: bytes
    to_token: bytes
    amount: int
