"""ABI words and event topics, as a node prints them: lowercase hex, 32 bytes a word.

Written by hand and not with the decoder of the product: what one of them gets wrong, the other one must not repeat.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyhouse.domain import contracts, ids

ZERO_WORD = "0" * 64
_ADDRESS_PAD = "0" * 24
_BYTES_PER_WORD = 32

EVENTS: dict[str, str] = {
    "OrderFilled1": "OrderFilled(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)",
    "OrderFilled2": "OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)",
    "OrdersMatched1": "OrdersMatched(bytes32,address,uint256,uint256,uint256,uint256)",
    "OrdersMatched2": "OrdersMatched(bytes32,address,uint8,uint256,uint256,uint256)",
    "FeeCharged1": "FeeCharged(address,uint256,uint256)",
    "FeeCharged2": "FeeCharged(address,uint256)",
    "FeeRefunded": "FeeRefunded(bytes32,address,uint256,uint256,uint256)",
    "TokenRegistered": "TokenRegistered(uint256,uint256,bytes32)",
    "ConditionPreparation": "ConditionPreparation(bytes32,address,bytes32,uint256)",
    "ConditionResolution": "ConditionResolution(bytes32,address,bytes32,uint256,uint256[])",
    "PositionSplit": "PositionSplit(address,address,bytes32,bytes32,uint256[],uint256)",
    "PositionsMerge": "PositionsMerge(address,address,bytes32,bytes32,uint256[],uint256)",
    "PayoutRedemption": "PayoutRedemption(address,address,bytes32,bytes32,uint256[],uint256)",
    "TransferSingle": "TransferSingle(address,address,address,uint256,uint256)",
    "TransferBatch": "TransferBatch(address,address,address,uint256[],uint256[])",
    "MarketPrepared": "MarketPrepared(bytes32,address,uint256,bytes)",
    "QuestionPrepared": "QuestionPrepared(bytes32,bytes32,uint256,bytes)",
    "OutcomeReported": "OutcomeReported(bytes32,bytes32,bool)",
    "NegRiskSplit": "PositionSplit(address,bytes32,uint256)",
    "NegRiskMerge": "PositionsMerge(address,bytes32,uint256)",
    "NegRiskRedemption": "PayoutRedemption(address,bytes32,uint256[],uint256)",
    "PositionsConverted": "PositionsConverted(address,bytes32,uint256,uint256)",
    "FPMMCreation": "FixedProductMarketMakerCreation(address,address,address,address,bytes32[],uint256)",
    "FPMMBuy": "FPMMBuy(address,uint256,uint256,uint256,uint256)",
    "FPMMSell": "FPMMSell(address,uint256,uint256,uint256,uint256)",
    "FPMMFundingAdded": "FPMMFundingAdded(address,uint256[],uint256)",
    "FPMMFundingRemoved": "FPMMFundingRemoved(address,uint256[],uint256,uint256)",
}
"""Canonical signatures of what the simulated contracts emit (upstream §6); two layouts of one name get a number."""

TOPICS: dict[str, str] = {name: "0x" + ids.topic(signature).hex() for name, signature in EVENTS.items()}
"""Event → its topic0."""


def number(value: int) -> str:
    """A number, index or amount as a word."""
    return f"{value:064x}"


def numeral(text: str | int) -> str:
    """A token id, decimal or ``0x…``, as a word."""
    return number(text if isinstance(text, int) else int(text, 0))


def address(name: str) -> str:
    """A contract's symbol or an address, as a lowercase address."""
    raw = contracts.SYMBOLS.get(name)
    return name.lower() if raw is None else "0x" + raw.hex()


def account(name: str) -> str:
    """A contract's symbol or an address as a word."""
    return _ADDRESS_PAD + address(name)[2:]


def fixed(text: str) -> str:
    """32 bytes (``0x…``) as a word."""
    return text[2:].lower().rjust(64, "0")


def tail(values: Sequence[str]) -> str:
    """A dynamic array of words: its length and its items."""
    return number(len(values)) + "".join(values)


def blob(content: bytes) -> str:
    """Dynamic bytes: their length and the bytes, filled up to whole words."""
    size = -(-len(content) // _BYTES_PER_WORD) * _BYTES_PER_WORD
    return number(len(content)) + content.ljust(size, b"\0").hex()


def offset(words: int) -> str:
    """Where a dynamic part begins, in words from the start of the data."""
    return number(words * _BYTES_PER_WORD)
