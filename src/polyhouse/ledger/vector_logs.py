"""Reads saved logs: the vector format of accounting §6 → decoded logs, a registry, and the way back to symbols.

Ids may be symbols (``W1``, ``AY``, ``EX1``, ``d1``) or real (``0x…``, decimal tokens): see ``ledger.symbols``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.ledger import logs as chain_logs
from polyhouse.ledger.logs import DecodedLog, Emitter
from polyhouse.ledger.registry import ConditionInfo, NegRiskMarket, Registry
from polyhouse.ledger.symbols import SymbolTable, text_of

OPERATOR = "OPR"
"""An operator that calls ``fillOrder``: stands in the taker field, is never a wallet."""

_SIDES = {"BUY": 0, "SELL": 1, 0: 0, 1: 1}
_MAX_AMOUNT = 1 << 63


@dataclass(frozen=True, slots=True)
class VectorCase:
    """The ``input`` of one case, decoded.

    Attributes:
        transactions: logs grouped by transaction, otherwise in file order (repetitions included).
        registry: conditions, neg-risk markets and pools of the case; ``conditions`` the same as a list.
        symbols: names of all ids.
        marks: token → price in 10^-6, as given.
        use_transfers: derive transfers from ERC-1155 residuals.
    """

    transactions: list[list[DecodedLog]]
    registry: Registry
    conditions: list[ConditionInfo]
    neg_risk_markets: list[NegRiskMarket]
    symbols: SymbolTable
    marks: dict[bytes, int]
    use_transfers: bool


def parse_case(document: Mapping[str, Any], namespace: str = "") -> VectorCase:
    """Decode the ``input`` of a case (or any object with ``logs`` and ``conditions`` of that shape).

    Raises:
        BadInputError: a log or a description that cannot be read; names the log by its place and transaction.
    """
    symbols = SymbolTable(namespace)
    conditions, markets, pools, marks = _descriptions(document, symbols)
    transactions: dict[bytes, list[DecodedLog]] = {}
    for place, entry in enumerate(_objects(document, "logs")):
        try:
            log = _log(_Reader(entry, symbols))
        except BadInputError as error:
            where = f"log {place} (tx {entry.get('tx', '?')}, t {entry.get('t', '?')})"
            raise BadInputError(f"{where}: {error}") from error
        transactions.setdefault(log.tx, []).append(log)
    registry = Registry(conditions, markets, pools, extra_infra=[symbols.address(OPERATOR)])
    return VectorCase(
        list(transactions.values()),
        registry,
        conditions,
        markets,
        symbols,
        marks,
        document.get("use_transfers") is True,
    )


def _descriptions(
    document: Mapping[str, Any], symbols: SymbolTable
) -> tuple[list[ConditionInfo], list[NegRiskMarket], dict[bytes, bytes], dict[bytes, int]]:
    conditions = []
    for entry in _objects(document, "conditions"):
        item = _Reader(entry, symbols)
        tokens = item.required("tokens")
        if not isinstance(tokens, Sequence) or isinstance(tokens, str) or len(tokens) != 2:
            raise BadInputError(f"condition {item.required('id')}: expected exactly two tokens")
        conditions.append(
            ConditionInfo(
                item.condition("id"),
                (symbols.token(tokens[0]), symbols.token(tokens[1])),
                symbols.condition(entry["neg_risk_market"]) if entry.get("neg_risk_market") else b"",
                item.number("question_index", 0),
            )
        )
    markets = [
        NegRiskMarket(item.condition("id"), item.number("question_count"), item.number("fee_bips", 0))
        for item in (_Reader(entry, symbols) for entry in _objects(document, "neg_risk_markets"))
    ]
    pools = {}
    for entry in _objects(document, "fpmms"):
        item = _Reader(entry, symbols)
        pool = item.address("id")
        symbols.token(f"LP:{item.required('id')}")
        pools[pool] = item.condition("condition")
    given = document.get("marks") or {}
    if not isinstance(given, Mapping):
        raise BadInputError("marks must be an object of token and price")
    marks = {symbols.token(token): _number(price, f"mark of {token}") for token, price in given.items()}
    return conditions, markets, pools, marks


class _Reader:
    """Typed access to the fields of one object of the file."""

    def __init__(self, entry: Mapping[str, Any], symbols: SymbolTable) -> None:
        self.entry = entry
        self.symbols = symbols

    def required(self, name: str) -> Any:
        if name not in self.entry:
            raise BadInputError(f"field {name} is missing")
        return self.entry[name]

    def number(self, name: str, default: int | None = None) -> int:
        value = self.entry.get(name, default)
        return _number(value, name)

    def numbers(self, name: str) -> tuple[int, ...]:
        values = self.entry.get(name) or ()
        if not isinstance(values, Sequence) or isinstance(values, str):
            raise BadInputError(f"{name} must be a list of integers")
        return tuple(_number(value, name) for value in values)

    def pair(self, name: str) -> tuple[int, int]:
        values = self.numbers(name)
        if len(values) != 2:
            raise BadInputError(f"{name} must have two numbers")
        return values[0], values[1]

    def address(self, name: str) -> bytes:
        return self.symbols.address(self.required(name))

    def token(self, name: str) -> bytes:
        return self.symbols.token(self.required(name))

    def condition(self, name: str) -> bytes:
        return self.symbols.condition(self.required(name))

    def order(self) -> bytes:
        return self.symbols.hash(self.required("order"), "order")

    def emitter(self) -> Emitter:
        value = self.entry.get("src", "CTF")
        if value == "CTF":
            return "CTF"
        if value == "NRA":
            return "NRA"
        raise BadInputError(f"src {ids.shown(value)} is neither CTF nor NRA")

    def place(self) -> tuple[bytes, int, int, int, int]:
        """Transaction, block, transaction index, log index, time (0 if the file has none)."""
        return (
            self.symbols.hash(self.required("tx"), "tx"),
            self.number("bn"),
            self.number("ti", 0),
            self.number("li"),
            self.number("ts", 0),
        )

    def collateral(self) -> tuple[bytes, bytes]:
        """Collateral token and parent collection of a CTF log; ours unless the file says otherwise."""
        collateral = self.address("collateral") if "collateral" in self.entry else contracts.USDC_E
        parent = self.symbols.hash(self.entry["parent"], "parent") if self.entry.get("parent") else bytes(32)
        return collateral, parent


def _log(item: _Reader) -> DecodedLog:
    name = item.required("t")
    decode = _DECODERS.get(name) if isinstance(name, str) else None
    if decode is None:
        raise BadInputError(f"t {ids.shown(name)} is not a known log; known: {', '.join(sorted(_DECODERS))}")
    return decode(item)


def _order_filled(item: _Reader) -> DecodedLog:
    common = (*item.place(), item.address("ex"), item.order(), item.address("maker"), item.address("taker"))
    amounts = (item.number("maker_amount"), item.number("taker_amount"), item.number("fee", 0))
    version = item.number("v")
    if version == 1:
        return chain_logs.OrderFilledV1(*common, item.token("maker_asset"), item.token("taker_asset"), *amounts)
    if version not in (2, 3):
        raise BadInputError(f"v {version} is not a known version of OrderFilled (1, 2, 3)")
    side = item.required("side")
    if not isinstance(side, str | int) or side not in _SIDES:
        raise BadInputError(f"side {ids.shown(side)} is neither BUY nor SELL")
    return chain_logs.OrderFilledV2(*common, _SIDES[side], item.token("token"), *amounts)


def _orders_matched(item: _Reader) -> DecodedLog:
    return chain_logs.OrdersMatched(*item.place(), item.address("ex"), item.order())


def _fee_refunded(item: _Reader) -> DecodedLog:
    charged = next((item.number(k) for k in ("fee_charged", "feeCharged", "charged") if k in item.entry), None)
    asset = item.token("id") if "id" in item.entry else bytes(32)
    to = item.address("to") if "to" in item.entry else bytes(20)
    return chain_logs.FeeRefunded(*item.place(), item.order(), to, asset, item.number("refund"), charged)


def _position_change(kind: type[chain_logs.PositionChange]) -> Callable[[_Reader], DecodedLog]:
    def decode(item: _Reader) -> DecodedLog:
        collateral, parent = item.collateral()
        return kind(
            *item.place(),
            item.emitter(),
            item.address("stakeholder"),
            item.condition("condition"),
            item.number("amount"),
            collateral,
            parent,
            item.numbers("partition") or chain_logs.FULL_PARTITION,
        )

    return decode


def _redemption(item: _Reader) -> DecodedLog:
    return chain_logs.PayoutRedemption(
        *item.place(),
        item.emitter(),
        item.address("redeemer"),
        item.condition("condition"),
        item.number("payout"),
        item.numbers("index_sets"),
        item.numbers("amounts"),
        *item.collateral(),
    )


def _converted(item: _Reader) -> DecodedLog:
    # An index set is a bit set over up to 256 questions, so it may exceed what an amount can be.
    value = item.required("index_set")
    try:
        index_set = int(value, 0) if isinstance(value, str) else int(value)
        index_set.to_bytes(32, "big")
    except (ValueError, TypeError, OverflowError):
        raise BadInputError(f"index_set {ids.shown(value)} is not a 256-bit number") from None
    market = item.condition("market")
    return chain_logs.PositionsConverted(
        *item.place(), item.address("stakeholder"), market, index_set, item.number("amount")
    )


def _resolution(item: _Reader) -> DecodedLog:
    return chain_logs.ConditionResolution(*item.place(), item.condition("condition"), item.numbers("numerators"))


def _transfer(item: _Reader) -> DecodedLog:
    move = (item.token("token"), item.number("amount"))
    return chain_logs.Transfer(*item.place(), item.address("from"), item.address("to"), (move,))


def _fpmm_buy(item: _Reader) -> DecodedLog:
    money = (item.number("investment"), item.number("fee", 0), item.number("outcome_index"), item.number("tokens"))
    return chain_logs.FpmmBuy(*item.place(), item.address("fpmm"), item.address("buyer"), *money)


def _fpmm_sell(item: _Reader) -> DecodedLog:
    money = (item.number("return"), item.number("fee", 0), item.number("outcome_index"), item.number("tokens"))
    return chain_logs.FpmmSell(*item.place(), item.address("fpmm"), item.address("seller"), *money)


def _funding_added(item: _Reader) -> DecodedLog:
    who = (item.address("fpmm"), item.address("funder"))
    return chain_logs.FpmmFundingAdded(*item.place(), *who, item.pair("amounts"), item.number("shares"))


def _funding_removed(item: _Reader) -> DecodedLog:
    who = (item.address("fpmm"), item.address("funder"))
    return chain_logs.FpmmFundingRemoved(
        *item.place(), *who, item.pair("amounts"), item.number("fees", 0), item.number("shares")
    )


def _income(item: _Reader) -> DecodedLog:
    return chain_logs.Income(
        *item.place(), item.address("wallet"), text_of(item.required("kind"), "kind"), item.number("amount")
    )


def _migrated(item: _Reader) -> DecodedLog:
    tokens = (item.token("from_token"), item.token("to_token"))
    return chain_logs.Migrated(*item.place(), item.address("wallet"), *tokens, item.number("amount"))


_DECODERS: dict[str, Callable[[_Reader], DecodedLog]] = {
    "OrderFilled": _order_filled,
    "OrdersMatched": _orders_matched,
    "FeeRefunded": _fee_refunded,
    "PositionSplit": _position_change(chain_logs.PositionSplit),
    "PositionsMerge": _position_change(chain_logs.PositionsMerge),
    "PayoutRedemption": _redemption,
    "PositionsConverted": _converted,
    "ConditionResolution": _resolution,
    "Transfer": _transfer,
    "FPMMBuy": _fpmm_buy,
    "FPMMSell": _fpmm_sell,
    "FPMMFundingAdded": _funding_added,
    "FPMMFundingRemoved": _funding_removed,
    "Income": _income,
    "Migrated": _migrated,
}


def _objects(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    values = document.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise BadInputError(f"{name} must be a list of objects")
    return values


def _number(value: Any, what: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_MAX_AMOUNT)):
        value = int(value)
    if type(value) is not int or not 0 <= value < _MAX_AMOUNT:
        raise BadInputError(f"{what} {ids.shown(value)} is not an integer between 0 and 2^63")
    return value
