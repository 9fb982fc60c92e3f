"""The era registry: every contract of Polymarket, every event it may emit, and what we do with it (accounting §1.2).

One table decides. A log is looked up by (emitter, topic0, block); what no row covers is an alert, never silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.domain import contracts
from polyhouse.sources.chain.events import (
    CONDITIONAL_TOKENS,
    ERC20,
    EXCHANGE_V1,
    EXCHANGE_V2,
    FEE_MODULE,
    FPMM_FACTORY,
    FPMM_POOL,
    NEG_RISK_ADAPTER,
    PUSD,
    UMA,
    WALLET_FACTORY,
    Event,
    Status,
)


@dataclass(frozen=True, slots=True)
class Era:
    """One row of the registry: a contract may emit an event between two blocks.

    Attributes:
        group: contracts that are fetched together (``filters``).
        address: the emitter; None = any contract (AMM pools are created by the thousand).
        first_block: first block in which it can happen, 0 = unknown.
        last_block: the last one, None = still open.
        collateral: the token that cash amounts of the event count, b"" where the log itself tells or none is meant.
    """

    group: str
    address: bytes | None
    event: Event
    first_block: int = 0
    last_block: int | None = None
    collateral: bytes = b""


@dataclass(frozen=True, slots=True)
class Filter:
    """What ``eth_getLogs`` is asked for. Contracts are asked for all topics, so that a new event cannot hide.

    Attributes:
        group: name of the group, part of coverage records.
        addresses: emitters; () = any.
        topics: topic0 values; () = any.
        first_block: where a back-fill of the group starts.
    """

    group: str
    addresses: tuple[bytes, ...]
    topics: tuple[bytes, ...]
    first_block: int


_V2_BLOCK = contracts.FIRST_BLOCK[contracts.EX2]
_NRA_BLOCK = contracts.FIRST_BLOCK[contracts.NEG_RISK_ADAPTER]
_FIRST = contracts.FIRST_BLOCK | {
    contracts.EX2_THIRD: _V2_BLOCK, contracts.PUSD: _V2_BLOCK, contracts.PUSD_ONRAMP: _V2_BLOCK,
    contracts.PUSD_OFFRAMP: _V2_BLOCK, contracts.REWARDS: _V2_BLOCK, contracts.ADP: _V2_BLOCK,
    contracts.ADP_OLD: _V2_BLOCK, contracts.NADP: _V2_BLOCK, contracts.NADP_OLD: _V2_BLOCK,
    contracts.EX3: _V2_BLOCK, contracts.AUTO_REDEEMER: _V2_BLOCK, contracts.ROUTER: _V2_BLOCK,
    contracts.POSITION_MANAGER: _V2_BLOCK, contracts.BINARY_MODULE: _V2_BLOCK,
    contracts.NEG_RISK_MODULE: _V2_BLOCK, contracts.COMBINATORIAL_MODULE: _V2_BLOCK,
    contracts.FEE_MODULE_OLD: contracts.FIRST_BLOCK[contracts.EX1],
    contracts.NEG_RISK_OPERATOR: _NRA_BLOCK, contracts.WCOL: _NRA_BLOCK, contracts.USDC_E: 5_013_591,
    contracts.SAFE_FACTORY: 19_426_226, contracts.UMA_SPORTS_ORACLE: 68_931_384,
}  # fmt: skip
"""Where no figure is published, the block of CLOB V2: everything of Protocol V2 is younger."""

QUARANTINED_CONTRACTS: dict[bytes, str] = dict.fromkeys(
    (
        contracts.ROUTER,
        contracts.POSITION_MANAGER,
        contracts.BINARY_MODULE,
        contracts.NEG_RISK_MODULE,
        contracts.COMBINATORIAL_MODULE,
    ),
    "protocol_v2",
)
"""Contracts whose logs are all kept raw, whatever their topic, until the rules of Protocol V2 exist."""

MACHINERY: frozenset[bytes] = frozenset(
    {
        contracts.ADP, contracts.ADP_OLD, contracts.NADP, contracts.NADP_OLD, contracts.AUTO_REDEEMER,
        contracts.PUSD_ONRAMP, contracts.PUSD_OFFRAMP, contracts.REWARDS, contracts.NEG_RISK_OPERATOR,
        contracts.PROXY_FACTORY, contracts.DEPOSIT_FACTORY,
    }
)  # fmt: skip
"""Known contracts without an event of their own that we read: what they do shows in the logs of the contracts above.
They are not fetched; if one of their logs arrives, it is an alert like any unknown topic."""


_COLLATERAL = {
    None: contracts.USDC_E, contracts.EX1: contracts.USDC_E, contracts.NEX1: contracts.WCOL,
    contracts.EX2: contracts.PUSD, contracts.NEX2: contracts.PUSD, contracts.EX2_THIRD: contracts.PUSD,
    contracts.EX3: contracts.PUSD, contracts.NEG_RISK_ADAPTER: contracts.USDC_E,
}  # fmt: skip
"""All of them stand for one dollar a unit, so no rule depends on which one it is."""


def _rows(group: str, events: tuple[Event, ...], *addresses: bytes | None) -> list[Era]:
    pools = contracts.FIRST_BLOCK[contracts.FPMM_FACTORY]
    return [
        Era(
            group,
            address,
            event,
            _FIRST.get(address, 0) if address else pools,
            collateral=_COLLATERAL.get(address, b"") if event.status == "ledger" else b"",
        )
        for address in addresses
        for event in events
    ]


ERAS: tuple[Era, ...] = (
    *_rows("exchanges_v1", EXCHANGE_V1, contracts.EX1, contracts.NEX1),
    *_rows("fee_modules", FEE_MODULE, contracts.FEE_MODULE, contracts.NEG_RISK_FEE_MODULE, contracts.FEE_MODULE_OLD),
    *_rows("exchanges_v2", EXCHANGE_V2, contracts.EX2, contracts.NEX2, contracts.EX2_THIRD, contracts.EX3),
    *_rows("conditional_tokens", CONDITIONAL_TOKENS, contracts.CTF),
    *_rows("neg_risk", NEG_RISK_ADAPTER, contracts.NEG_RISK_ADAPTER),
    *_rows("pool_factory", FPMM_FACTORY, contracts.FPMM_FACTORY),
    *_rows("pools", FPMM_POOL, None),
    *_rows("collateral", PUSD, contracts.PUSD),
    *_rows("collateral", ERC20, contracts.USDC_E, contracts.WCOL),
    *_rows("oracles", UMA, contracts.NEG_RISK_UMA_ADAPTER, contracts.UMA_SPORTS_ORACLE),
    *_rows("factories", WALLET_FACTORY, contracts.SAFE_FACTORY),
)
"""The registry."""

FETCHED = (
    "exchanges_v1", "fee_modules", "exchanges_v2", "conditional_tokens", "neg_risk", "pool_factory", "pools",
)  # fmt: skip
"""Groups that the ledger needs; the others are in the table so that their logs are recognised."""

CONTRACTS: frozenset[bytes] = (
    frozenset(era.address for era in ERAS if era.address) | MACHINERY | frozenset(QUARANTINED_CONTRACTS)
)
"""Every contract the registry knows."""

EXCHANGE_TOPICS: frozenset[bytes] = frozenset(
    event.topic0 for event in (*EXCHANGE_V1, *EXCHANGE_V2) if event.name in ("OrderFilled", "OrdersMatched")
)
"""A contract outside the registry that emits one of these behaves like an exchange."""

_INDEX: dict[tuple[bytes | None, bytes], list[Era]] = {}
for _era in ERAS:
    _INDEX.setdefault((_era.address, _era.event.topic0), []).append(_era)


def find(address: bytes, topic0: bytes) -> list[Era]:
    """All eras of one (emitter, topic0); [] if the registry does not know the pair."""
    found = _INDEX.get((address, topic0))
    if found is None and address not in CONTRACTS:
        found = _INDEX.get((None, topic0))
    return found or []


def lookup(address: bytes, topic0: bytes, block: int) -> Era | None:
    """The one era that covers a log, None if there is none."""
    for era in find(address, topic0):
        if era.first_block <= block and (era.last_block is None or block <= era.last_block):
            return era
    return None


def topics(*statuses: Status) -> tuple[bytes, ...]:
    """topic0 values of all events with one of the statuses (default: those that carry ledger or registry facts)."""
    wanted = statuses or ("ledger", "registry")
    return tuple(sorted({era.event.topic0 for era in ERAS if era.event.status in wanted}))


def filters(*, protocol_v2: bool = True) -> tuple[Filter, ...]:
    """The log filters that together bring everything the ledger and the registry need.

    Args:
        protocol_v2: fetch the contracts whose logs are quarantined, too.
    """
    result = []
    for group in FETCHED:
        eras = [era for era in ERAS if era.group == group]
        addresses = tuple(sorted({era.address for era in eras if era.address}))
        # Pools are many and unknown beforehand: they are found by their events instead of their addresses.
        wanted = () if addresses else tuple(sorted({era.event.topic0 for era in eras}))
        result.append(Filter(group, addresses, wanted, min(era.first_block for era in eras)))
    if protocol_v2:
        result.append(Filter("protocol_v2", tuple(sorted(QUARANTINED_CONTRACTS)), (), _V2_BLOCK))
    return tuple(result)
