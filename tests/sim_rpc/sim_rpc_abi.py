"""Raw logs back to the universe's fields, with eth_abi and layouts written down a second time."""

from __future__ import annotations

import re
from typing import Any

from eth_abi import decode

from polyhouse.domain import contracts, ids
from polyhouse.domain.contracts import SYMBOLS

# The layouts as the contracts declare them (upstream §6); * = indexed.
LAYOUTS = """
OrderFilled(bytes32* order, address* maker, address* taker, uint256 maker_asset, uint256 taker_asset, uint256 maker_amount, uint256 taker_amount, uint256 fee)
OrderFilled(bytes32* order, address* maker, address* taker, uint8 side, uint256 token, uint256 maker_amount, uint256 taker_amount, uint256 fee, bytes32 builder, bytes32 metadata)
OrdersMatched(bytes32* order, address* maker, uint256 maker_asset, uint256 taker_asset, uint256 maker_amount, uint256 taker_amount)
OrdersMatched(bytes32* order, address* maker, uint8 side, uint256 token, uint256 maker_amount, uint256 taker_amount)
FeeCharged(address* receiver, uint256 token, uint256 amount)
FeeCharged(address* receiver, uint256 amount)
FeeRefunded(bytes32* order, address* to, uint256 id, uint256 refund, uint256* fee_charged)
TokenRegistered(uint256* token0, uint256* token1, bytes32* condition)
ConditionPreparation(bytes32* condition, address* oracle, bytes32* question, uint256 slots)
ConditionResolution(bytes32* condition, address* oracle, bytes32* question, uint256 slots, uint256[] numerators)
PositionSplit(address* stakeholder, address collateral, bytes32* parent, bytes32* condition, uint256[] partition, uint256 amount)
PositionsMerge(address* stakeholder, address collateral, bytes32* parent, bytes32* condition, uint256[] partition, uint256 amount)
PayoutRedemption(address* redeemer, address* collateral, bytes32* parent, bytes32 condition, uint256[] index_sets, uint256 payout)
TransferSingle(address* operator, address* from, address* to, uint256 token, uint256 amount)
TransferBatch(address* operator, address* from, address* to, uint256[] tokens, uint256[] amounts)
MarketPrepared(bytes32* market, address* oracle, uint256 fee_bips, bytes data)
QuestionPrepared(bytes32* market, bytes32* question, uint256 index, bytes data)
OutcomeReported(bytes32* market, bytes32* question, bool outcome)
PositionSplit(address* stakeholder, bytes32* condition, uint256 amount)
PositionsMerge(address* stakeholder, bytes32* condition, uint256 amount)
PayoutRedemption(address* redeemer, bytes32* condition, uint256[] amounts, uint256 payout)
PositionsConverted(address* stakeholder, bytes32* market, uint256* index_set, uint256 amount)
FixedProductMarketMakerCreation(address* creator, address pool, address* ctf, address* collateral, bytes32[] conditions, uint256 fee)
FPMMBuy(address* buyer, uint256 investment, uint256 fee, uint256* outcome_index, uint256 tokens)
FPMMSell(address* seller, uint256 return, uint256 fee, uint256* outcome_index, uint256 tokens)
FPMMFundingAdded(address* funder, uint256[] amounts, uint256 shares)
FPMMFundingRemoved(address* funder, uint256[] amounts, uint256 fees, uint256 shares)
"""  # noqa: E501


def _parse(line: str) -> tuple[str, tuple[str, list[tuple[str, bool, str]]]]:
    name, arguments = re.fullmatch(r"(\w+)\((.*)\)", line).groups()
    fields = []
    for argument in arguments.split(", "):
        kind, field = argument.split(" ")
        fields.append((kind.rstrip("*"), kind.endswith("*"), field))
    signature = f"{name}({','.join(kind for kind, _, _ in fields)})"
    return "0x" + ids.topic(signature).hex(), (name, fields)


EVENTS = dict(_parse(line) for line in LAYOUTS.strip().splitlines())
OTHER_INSTANCES = {
    "0x" + contracts.EX2_THIRD.hex(): "EX2",
    "0x" + contracts.ADP_OLD.hex(): "ADP",
    "0x" + contracts.NADP_OLD.hex(): "NADP",
    "0x" + contracts.FEE_MODULE_OLD.hex(): "0x" + contracts.FEE_MODULE.hex(),
}
CONTRACT = {"0x" + raw.hex(): symbol for symbol, raw in SYMBOLS.items()} | OTHER_INSTANCES


def read(log: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Event name and decoded arguments; nothing may be left over in topics or data."""
    name, fields = EVENTS[log["topics"][0]]
    indexed = [field for field in fields if field[1]]
    others = [field for field in fields if not field[1]]
    assert len(log["topics"]) == 1 + len(indexed)
    values = {
        field: decode([kind], bytes.fromhex(topic[2:]))[0]
        for (kind, _, field), topic in zip(indexed, log["topics"][1:], strict=True)
    }
    data = bytes.fromhex(log["data"][2:])
    assert len(data) % 32 == 0
    found = decode([kind for kind, _, _ in others], data, strict=True)
    values |= {field: value for (_, _, field), value in zip(others, found, strict=True)}
    return name, {field: _plain(value) for field, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def symbol(address: str) -> str:
    return CONTRACT.get(address, address)


def decoded(log: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The universe's logs behind one raw log, in the universe's own names."""
    return as_universe(log, *read(log))


def as_universe(log: dict[str, Any], name: str, f: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The same for a log that was read before."""
    emitter = symbol(log["address"])
    if name.startswith("FPMM"):
        return [(name, {"fpmm": log["address"], **f})]
    if name in ("TransferSingle", "TransferBatch"):
        pairs = zip(f.get("tokens") or [f["token"]], f.get("amounts") or [f["amount"]], strict=True)
        ends = {"from": symbol(f["from"]), "to": symbol(f["to"])}
        return [("Transfer", {**ends, "token": str(token), "amount": amount}) for token, amount in pairs]
    if name == "OrderFilled":
        ends = {"ex": emitter, "order": f["order"], "maker": symbol(f["maker"]), "taker": symbol(f["taker"])}
        rest = {key: f[key] for key in ("maker_amount", "taker_amount", "fee")}
        if "side" in f:
            return [(name, {"v": 2, "side": ("BUY", "SELL")[f["side"]], "token": str(f["token"]), **ends, **rest})]
        assets = {"maker_asset": str(f["maker_asset"]), "taker_asset": str(f["taker_asset"])}
        return [(name, {"v": 1, **assets, **ends, **rest})]
    if name == "OrdersMatched":
        return [(name, {"ex": emitter, "order": f["order"]})]
    if name == "FeeRefunded":
        return [(name, {"order": f["order"], "to": f["to"], "id": str(f["id"]), "refund": f["refund"]})]
    if name == "ConditionResolution":
        return [(name, {"condition": f["condition"], "numerators": f["numerators"]})]
    if name == "PositionsConverted":
        return [(name, {**f, "stakeholder": symbol(f["stakeholder"])})]
    kept = {key: f[key] for key in ("condition", "amount", "payout", "index_sets", "amounts") if key in f}
    who = "redeemer" if name == "PayoutRedemption" else "stakeholder"
    source = "NRA" if emitter == "NRA" else "CTF"
    return [(name, {"src": source, who: symbol(f[who]), **kept})]
