"""The events that Polymarket's contracts emit, with their layouts (accounting §1.2, upstream §6).

The fields of an event are written in the order of its Solidity declaration, ``*`` marks an indexed one:

- ``id32``, ``address``: raw bytes; an address with anything in its upper 12 bytes is rejected.
- ``uint``: an integer below 2⁶³; a larger word rejects the log, it never wraps.
- ``uints``, ``id32s``: dynamic arrays of the two.
- ``skip``, ``tail``: a word, or dynamic bytes, that nobody reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from polyhouse.domain.ids import topic

Status = Literal["ledger", "registry", "ignored", "quarantine"]
"""``ledger``: moves money or shares. ``registry``: describes markets. ``ignored``: counted with its reason.
``quarantine``: kept raw until its rules exist."""
FieldType = Literal["id32", "address", "uint", "uints", "id32s", "skip", "tail"]
STATIC: frozenset[str] = frozenset({"id32", "address", "uint"})
DYNAMIC: frozenset[str] = frozenset({"uints", "id32s"})


@dataclass(frozen=True, slots=True)
class Field:
    """One argument of an event."""

    name: str
    type: FieldType
    indexed: bool


@dataclass(frozen=True)
class Event:
    """One event and its layout.

    Attributes:
        signature: canonical Solidity signature; topic0 is its keccak.
        kind: name of its columns (``domain.log_columns``); events that mean the same share one.
        status: what happens to its logs.
        reason: why it is ignored or quarantined.
        fields: its arguments in order.
    """

    signature: str
    kind: str
    status: Status
    fields: tuple[Field, ...] = ()
    reason: str = ""

    @property
    def name(self) -> str:
        """The event's name without arguments."""
        return self.signature.partition("(")[0]

    @cached_property
    def topic0(self) -> bytes:
        """Keccak of the signature."""
        return topic(self.signature)

    @cached_property
    def indexed(self) -> tuple[Field, ...]:
        """Arguments in topics 1…3."""
        return tuple(f for f in self.fields if f.indexed)

    @cached_property
    def data(self) -> tuple[Field, ...]:
        """Arguments in the data, one head word each."""
        return tuple(f for f in self.fields if not f.indexed)

    @cached_property
    def is_static(self) -> bool:
        """True if the data has a fixed length of 32 bytes per argument."""
        return all(f.type not in DYNAMIC and f.type != "tail" for f in self.fields)


def _event(
    signature: str,
    kind: str = "",
    fields: str = "",
    *,
    status: Status = "ledger",
    reason: str = "",
) -> Event:
    parsed = []
    for text in fields.split():
        name, _, type_ = text.lstrip("*").partition(":")
        assert type_ in STATIC | DYNAMIC | {"skip", "tail"}, text
        parsed.append(Field(name, type_, text.startswith("*")))  # type: ignore[arg-type]
    return Event(signature, kind, status, tuple(parsed), reason)


def _ignored(reason: str, *signatures: str) -> tuple[Event, ...]:
    return tuple(Event(signature, "", "ignored", reason=reason) for signature in signatures)


_ASSETS = "maker_asset:id32 taker_asset:id32 maker_amount:uint taker_amount:uint"
_SIDED = "side:uint token:id32 maker_amount:uint taker_amount:uint"
_ADMIN = "administration"
_FEE = "the fee is in OrderFilled"

_EXCHANGE_OTHERS = (
    *_ignored("an order was withdrawn, nothing moved", "OrderCancelled(bytes32)"),
    *_ignored(
        _ADMIN, "NewAdmin(address,address)", "NewOperator(address,address)", "RemovedAdmin(address,address)",
        "RemovedOperator(address,address)", "ProxyFactoryUpdated(address,address)",
        "SafeFactoryUpdated(address,address)", "TradingPaused(address)", "TradingUnpaused(address)",
    ),
)  # fmt: skip
EXCHANGE_V1 = (
    _event(
        "OrderFilled(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)", "order_filled_v1",
        f"*order:id32 *maker:address *taker:address {_ASSETS} fee:uint",
    ),
    _event("OrdersMatched(bytes32,address,uint256,uint256,uint256,uint256)", "orders_matched",
           "*order:id32 *maker:skip a:skip b:skip c:skip d:skip"),
    _event("TokenRegistered(uint256,uint256,bytes32)", "token_registered",
           "*token0:id32 *token1:id32 *condition:id32", status="registry"),
    *_ignored(_FEE, "FeeCharged(address,uint256,uint256)"),
    *_EXCHANGE_OTHERS,
)  # fmt: skip
EXCHANGE_V2 = (
    _event(
        "OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)",
        "order_filled_v2",
        f"*order:id32 *maker:address *taker:address {_SIDED} fee:uint builder:id32 metadata:skip",
    ),
    _event("OrdersMatched(bytes32,address,uint8,uint256,uint256,uint256)", "orders_matched",
           "*order:id32 *maker:skip a:skip b:skip c:skip d:skip"),
    *_ignored(_FEE, "FeeCharged(address,uint256)"),
    *_EXCHANGE_OTHERS,
)  # fmt: skip
FEE_MODULE = (
    _event("FeeRefunded(bytes32,address,uint256,uint256,uint256)", "fee_refunded",
           "*order:id32 *to:address asset:id32 refund:uint *charged:uint"),
    *_ignored("the operator collected its fees", "FeeWithdrawn(address,address,uint256,uint256)"),
    *_ignored(_ADMIN, "NewAdmin(address,address)", "RemovedAdmin(address,address)"),
)  # fmt: skip
_CHANGE = "*stakeholder:address collateral:address *parent:id32 *condition:id32 partition:uints amount:uint"
CONDITIONAL_TOKENS = (
    _event("ConditionPreparation(bytes32,address,bytes32,uint256)", "condition_prepared",
           "*condition:id32 *oracle:address *question:id32 slots:uint", status="registry"),
    _event("ConditionResolution(bytes32,address,bytes32,uint256,uint256[])", "condition_resolved",
           "*condition:id32 *oracle:address *question:id32 slots:uint numerators:uints"),
    _event("PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)", "ctf_split", _CHANGE),
    _event("PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)", "ctf_merge", _CHANGE),
    _event("PayoutRedemption(address,address,bytes32,bytes32,uint256[],uint256)", "ctf_redemption",
           "*redeemer:address *collateral:address *parent:id32 condition:id32 index_sets:uints payout:uint"),
    _event("TransferSingle(address,address,address,uint256,uint256)", "transfer_single",
           "*operator:address *sender:address *to:address token:id32 amount:uint"),
    _event("TransferBatch(address,address,address,uint256[],uint256[])", "transfer_batch",
           "*operator:address *sender:address *to:address tokens:id32s amounts:uints"),
    *_ignored("an allowance moves nothing", "ApprovalForAll(address,address,bool)"),
    *_ignored("a link to metadata", "URI(string,uint256)"),
)  # fmt: skip
NEG_RISK_ADAPTER = (
    _event("MarketPrepared(bytes32,address,uint256,bytes)", "market_prepared",
           "*market:id32 *oracle:address fee_bips:uint data:tail", status="registry"),
    _event("QuestionPrepared(bytes32,bytes32,uint256,bytes)", "question_prepared",
           "*market:id32 *question:id32 index:uint data:tail", status="registry"),
    _event("PositionSplit(address,bytes32,uint256)", "nra_split",
           "*stakeholder:address *condition:id32 amount:uint"),
    _event("PositionsMerge(address,bytes32,uint256)", "nra_merge",
           "*stakeholder:address *condition:id32 amount:uint"),
    _event("PositionsConverted(address,bytes32,uint256,uint256)", "positions_converted",
           "*stakeholder:address *market:id32 *index_set:id32 amount:uint"),
    _event("PayoutRedemption(address,bytes32,uint256[],uint256)", "nra_redemption",
           "*redeemer:address *condition:id32 amounts:uints payout:uint"),
    *_ignored("the payout is in ConditionResolution", "OutcomeReported(bytes32,bytes32,bool)"),
    *_ignored(_ADMIN, "NewAdmin(address,address)", "RemovedAdmin(address,address)"),
)  # fmt: skip
FPMM_FACTORY = (
    _event(
        "FixedProductMarketMakerCreation(address,address,address,address,bytes32[],uint256)", "pool_created",
        "*creator:address pool:address *tokens:address *collateral:address conditions:id32s fee:uint",
        status="registry",
    ),
    *_ignored("the pool is in FixedProductMarketMakerCreation", "CloneCreated(address,address)"),
)  # fmt: skip
FPMM_POOL = (
    _event("FPMMBuy(address,uint256,uint256,uint256,uint256)", "fpmm_buy",
           "*buyer:address investment:uint fee:uint *outcome:uint tokens:uint"),
    _event("FPMMSell(address,uint256,uint256,uint256,uint256)", "fpmm_sell",
           "*seller:address returned:uint fee:uint *outcome:uint tokens:uint"),
    _event("FPMMFundingAdded(address,uint256[],uint256)", "fpmm_funding_added",
           "*funder:address amounts:uints shares:uint"),
    _event("FPMMFundingRemoved(address,uint256[],uint256,uint256)", "fpmm_funding_removed",
           "*funder:address amounts:uints fees:uint shares:uint"),
)  # fmt: skip
ERC20 = _ignored(
    "transfers of collateral and of LP shares are not booked (accounting §2.7)",
    "Transfer(address,address,uint256)",
    "Approval(address,address,uint256)",
)
PUSD = (
    *_ignored(
        "collateral was wrapped one to one",
        "Wrapped(address,address,address,uint256)",
        "Unwrapped(address,address,address,uint256)",
    ),
    *ERC20,
)
UMA = _ignored(
    "the payout is in ConditionResolution",
    "QuestionInitialized(bytes32,uint256,address,bytes,address,uint256,uint256)",
    "QuestionResolved(bytes32,int256,uint256[])",
)
WALLET_FACTORY = _ignored("a wallet was created; addresses are derived offline", "ProxyCreation(address,address)")
