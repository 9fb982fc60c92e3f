"""Transactions of a universe as the raw logs a Polygon node returns (layouts: upstream §6, accounting §1.2).

Each decoded ``Log`` becomes the log its contract emits: address, topics (topic0 and the indexed arguments, padded)
and ABI-encoded data, all lowercase hex, all contracts at their real addresses. Income is not on chain and has no log.
Two transfers of a pair become one ``TransferBatch``, as the conditional tokens contract emits it. What a decoded log
leaves out is filled in as on chain: the amounts of ``OrdersMatched``, ``feeCharged`` of a refund, collateral, parent
collection and partition of a split.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from polyhouse.domain import contracts, ids
from polyhouse.errors import BadInputError
from polyhouse.sim import abi
from polyhouse.sim.abi import TOPICS, account, fixed, number, numeral, offset, tail
from polyhouse.sim.model import Log, SimMarket, Transaction

CTF = ids.format_address(contracts.CTF)
NRA = ids.format_address(contracts.NEG_RISK_ADAPTER)
WCOL = ids.format_address(contracts.WCOL)
USDC_E = ids.format_address(contracts.USDC_E)
ORACLE = ids.format_address(contracts.NEG_RISK_UMA_ADAPTER)
"""The oracle of the simulated ordinary conditions."""
FEE_MODULE = ids.format_address(contracts.FEE_MODULE)
NEG_RISK_FEE_MODULE = ids.format_address(contracts.NEG_RISK_FEE_MODULE)
_FEE_RECEIVER = ids.format_address(contracts.REWARDS)
_FULL = (1, 2)
_INSTANCES = tuple(
    (old.hex(), new.hex())
    for old, new in (
        (contracts.EX2, contracts.EX2_THIRD),
        (contracts.ADP, contracts.ADP_OLD),
        (contracts.NADP, contracts.NADP_OLD),
        (contracts.FEE_MODULE, contracts.FEE_MODULE_OLD),
    )
)
"""Contracts of which there is another instance with the same logs (upstream §6)."""


@dataclass(frozen=True, slots=True)
class RawLog:
    """One log before it has a place in a block.

    Attributes:
        address: the emitting contract.
        topics: topic0 and the indexed arguments.
        data: the other arguments, ABI-encoded.
        sources: the decoded logs it stands for: one; two for a ``TransferBatch``; none for logs that no position
            follows from.
    """

    address: str
    topics: tuple[str, ...]
    data: str
    sources: tuple[Log, ...] = ()


def raw(address: str, event: str, indexed: Iterable[str], data: str, *sources: Log) -> RawLog:
    """A log of ``event`` (a name in ``abi.EVENTS``) from words."""
    return RawLog(address, (TOPICS[event], *("0x" + word for word in indexed)), "0x" + data, sources)


class Encoder:
    """Encodes transactions.

    Args:
        chatter: also the logs that say nothing new: ``FeeCharged``, ``OutcomeReported``.
        batches: one ``TransferBatch`` for the two transfers of a pair; otherwise two ``TransferSingle``.
        instances_every: about every n-th transaction goes through the other instance of its contracts: the third V2
            exchange, the older adapters and fee module; 0 = none.
    """

    def __init__(self, *, chatter: bool = True, batches: bool = True, instances_every: int = 0) -> None:
        self.markets: dict[str, SimMarket] = {}
        self._chatter = chatter
        self._batches = batches
        self._instances_every = instances_every
        self._partner: dict[str, str] = {}

    def learn(self, markets: Iterable[SimMarket]) -> None:
        """Conditions whose logs are going to be encoded."""
        for market in markets:
            self.markets[market.condition_id] = market
            self._partner[market.token_ids[0]] = market.token_ids[1]

    def encode(self, tx: Transaction) -> list[RawLog]:
        """The raw logs of a transaction in log order.

        Raises:
            BadInputError: a log or condition that is not known.
        """
        found: list[RawLog] = []
        context = _Context(self, tx)
        batches = self._batches and not any(log.t == "PayoutRedemption" for log in tx.logs)
        logs = deque(tx.logs)
        while logs:
            log = logs.popleft()
            if log.t == "Income":
                continue
            if log.t == "Transfer" and batches and logs and self._pair(log, logs[0]):
                found.append(context.batch(log, logs.popleft()))
                continue
            writer = _WRITERS.get(log.t)
            if writer is None:
                raise BadInputError(f"no contract is known that emits {log.t!r}")
            found.extend(writer(context, log))
        if not self._chatter:
            found = [item for item in found if item.sources]
        if self._instances_every and int(tx.tx[2:14], 16) % self._instances_every == 0:
            found = [_elsewhere(item) for item in found]
        return found

    def _pair(self, first: Log, second: Log) -> bool:
        if second.t != "Transfer":
            return False
        one, two = first.fields, second.fields
        return self._partner.get(one["token"]) == two["token"] and all(
            one[name] == two[name] for name in ("from", "to", "amount")
        )


def oracle_of(market: SimMarket) -> str:
    """Who prepares and resolves the condition of a market."""
    if market.pool is not None:
        return market.pool.oracle
    return NRA if market.neg_risk else ORACLE


def _elsewhere(log: RawLog) -> RawLog:
    """The same log between the other instances of the contracts."""
    address, topics, data = log.address, " ".join(log.topics), log.data
    for old, new in _INSTANCES:
        address, topics, data = (text.replace(old, new) for text in (address, topics, data))
    return RawLog(address, tuple(topics.split(" ")), data, log.sources)


class _Context:
    """What the logs of one transaction have to know of each other."""

    def __init__(self, encoder: Encoder, tx: Transaction) -> None:
        self._encoder = encoder
        self._tx = tx
        fills = [log for log in tx.logs if log.t == "OrderFilled"]
        self.exchange = str(fills[0].fields["ex"]) if fills else ""
        self._charged: defaultdict[str, deque[int]] = defaultdict(deque)
        for log in fills:
            if log.fields.get("fee"):
                self._charged[log.fields["order"]].append(int(log.fields["fee"]))
        self._last: dict[str, Log] = {}

    def _market(self, condition: str) -> SimMarket:
        try:
            return self._encoder.markets[condition]
        except KeyError:
            raise BadInputError(f"condition {condition} of transaction {self._tx.tx} is in no event") from None

    def filled(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        self._last[f["order"]] = log
        indexed = (fixed(f["order"]), account(f["maker"]), account(f["taker"]))
        amounts = number(f["maker_amount"]) + number(f["taker_amount"]) + number(f.get("fee", 0))
        exchange = abi.address(f["ex"])
        if f["v"] == 1:
            if f.get("fee"):
                data = numeral(f["taker_asset"]) + number(f["fee"])
                yield raw(exchange, "FeeCharged1", [account(self._module())], data)
            yield raw(
                exchange, "OrderFilled1", indexed, numeral(f["maker_asset"]) + numeral(f["taker_asset"]) + amounts, log
            )
            return
        if f.get("fee"):
            yield raw(exchange, "FeeCharged2", [account(_FEE_RECEIVER)], number(f["fee"]))
        side = number(0 if f["side"] == "BUY" else 1)
        data = side + numeral(f["token"]) + amounts + abi.ZERO_WORD * 2
        yield raw(exchange, "OrderFilled2", indexed, data, log)

    def matched(self, log: Log) -> Iterator[RawLog]:
        order = log.fields["order"]
        taker = self._last.get(order)
        if taker is None:
            raise BadInputError(f"transaction {self._tx.tx} matches the order {order}, which it does not fill")
        f = taker.fields
        amounts = number(f["maker_amount"]) + number(f["taker_amount"])
        indexed = (fixed(order), account(f["maker"]))
        if f["v"] == 1:
            assets = numeral(f["maker_asset"]) + numeral(f["taker_asset"])
            yield raw(abi.address(log.fields["ex"]), "OrdersMatched1", indexed, assets + amounts, log)
        else:
            assets = number(0 if f["side"] == "BUY" else 1) + numeral(f["token"])
            yield raw(abi.address(log.fields["ex"]), "OrdersMatched2", indexed, assets + amounts, log)

    def _module(self) -> str:
        return NEG_RISK_FEE_MODULE if self.exchange == "NEX1" else FEE_MODULE

    def refunded(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        fees = self._charged[f["order"]]
        # One refund per fill with a fee, in the same order; what is not refunded was charged (accounting §1.8).
        charged = fees.popleft() - f["refund"] if fees else int(f.get("fee_charged", 0))
        indexed = (fixed(f["order"]), account(f["to"]), number(charged))
        yield raw(self._module(), "FeeRefunded", indexed, numeral(f["id"]) + number(f["refund"]), log)

    def _collateral(self, f: dict[str, Any]) -> tuple[str, str]:
        """Collateral and parent collection of a CTF log as words; the market's, unless the log says otherwise."""
        if "collateral" in f:
            collateral = abi.address(f["collateral"])
        else:
            collateral = WCOL if self._market(f["condition"]).neg_risk else USDC_E
        return account(collateral), fixed(f.get("parent") or "0x0")

    def pairs(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        split = log.t == "PositionSplit"
        if f["src"] == "NRA":
            event = "NegRiskSplit" if split else "NegRiskMerge"
            yield raw(NRA, event, [account(f["stakeholder"]), fixed(f["condition"])], number(f["amount"]), log)
            return
        collateral, parent = self._collateral(f)
        data = collateral + offset(3) + number(f["amount"]) + tail([number(n) for n in f.get("partition") or _FULL])
        yield raw(CTF, log.t, [account(f["stakeholder"]), parent, fixed(f["condition"])], data, log)

    def redeemed(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        if f["src"] == "NRA":
            data = offset(2) + number(f["payout"]) + tail([number(n) for n in f["amounts"]])
            yield raw(NRA, "NegRiskRedemption", [account(f["redeemer"]), fixed(f["condition"])], data, log)
            return
        collateral, parent = self._collateral(f)
        sets = tail([number(n) for n in f["index_sets"]])
        data = fixed(f["condition"]) + offset(3) + number(f["payout"]) + sets
        yield raw(CTF, "PayoutRedemption", [account(f["redeemer"]), collateral, parent], data, log)

    def converted(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        indexed = (account(f["stakeholder"]), fixed(f["market"]), number(f["index_set"]))
        yield raw(NRA, "PositionsConverted", indexed, number(f["amount"]), log)

    def resolved(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        market = self._market(f["condition"])
        question = fixed(market.question_id)
        if market.neg_risk:
            indexed = (fixed(market.neg_risk_market_id), question)
            yield raw(NRA, "OutcomeReported", indexed, number(1 if f["numerators"][0] else 0))
        oracle = oracle_of(market)
        data = number(len(f["numerators"])) + offset(2) + tail([number(n) for n in f["numerators"]])
        yield raw(CTF, "ConditionResolution", [fixed(f["condition"]), account(oracle), question], data, log)

    def _parties(self, f: dict[str, Any]) -> tuple[str, str, str]:
        """Operator, sender and receiver; whoever calls the contract is the operator."""
        operator = self.exchange or (f["from"] if f["from"] != "ZERO" else f["to"])
        return account(operator), account(f["from"]), account(f["to"])

    def transferred(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        yield raw(CTF, "TransferSingle", self._parties(f), numeral(f["token"]) + number(f["amount"]), log)

    def batch(self, *logs: Log) -> RawLog:
        tokens = tail([numeral(log.fields["token"]) for log in logs])
        amounts = tail([number(log.fields["amount"]) for log in logs])
        head = offset(2) + offset(2 + len(tokens) // 64)
        return raw(CTF, "TransferBatch", self._parties(logs[0].fields), head + tokens + amounts, *logs)

    def pool_trade(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        who, cash = (f["buyer"], f["investment"]) if log.t == "FPMMBuy" else (f["seller"], f["return"])
        data = number(cash) + number(f.get("fee", 0)) + number(f["tokens"])
        yield raw(abi.address(f["fpmm"]), log.t, [account(who), number(f["outcome_index"])], data, log)

    def pool_funding(self, log: Log) -> Iterator[RawLog]:
        f = log.fields
        fees = number(f.get("fees", 0)) if log.t == "FPMMFundingRemoved" else ""
        data = offset(3 if fees else 2) + fees + number(f["shares"]) + tail([number(n) for n in f["amounts"]])
        yield raw(abi.address(f["fpmm"]), log.t, [account(f["funder"])], data, log)


_WRITERS: dict[str, Callable[[_Context, Log], Iterator[RawLog]]] = {
    "OrderFilled": _Context.filled,
    "OrdersMatched": _Context.matched,
    "FeeRefunded": _Context.refunded,
    "PositionSplit": _Context.pairs,
    "PositionsMerge": _Context.pairs,
    "PayoutRedemption": _Context.redeemed,
    "PositionsConverted": _Context.converted,
    "ConditionResolution": _Context.resolved,
    "Transfer": _Context.transferred,
    "FPMMBuy": _Context.pool_trade,
    "FPMMSell": _Context.pool_trade,
    "FPMMFundingAdded": _Context.pool_funding,
    "FPMMFundingRemoved": _Context.pool_funding,
}
