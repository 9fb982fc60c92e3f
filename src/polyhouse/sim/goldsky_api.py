"""The simulated orderbook-subgraph: ``orderFilledEvents`` of the V1 exchanges over GraphQL (upstream §4).

Like the real index it knows no block, no log index and no refund, and it names a fill by transaction and order: an
order that fills twice in one transaction leaves one row, the last one. Nothing after the cut-over to CLOB V2 is in it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from polyhouse.domain.contracts import SYMBOLS
from polyhouse.sim.model import Log
from polyhouse.sim.wire import Query, Reply
from polyhouse.sim.world import World

PATH = "subgraph/subgraphs/orderbook-subgraph/0.0.1/gn"
MAX_FIRST = 1_000
_CALL = re.compile(r"\borderFilledEvents\s*\(([^)]*)\)")
_ARGUMENT = re.compile(r"(\w+)\s*:\s*(\$?\w+)")
_FILTERS = frozenset({"maker", "timestamp", "timestamp_gt", "timestamp_gte", "timestamp_lt", "timestamp_lte", "id_gt"})
_MAX = 2**62


@dataclass(frozen=True, slots=True)
class RawFill:
    """One ``OrderFilled`` log as it is on chain: gross amounts, fee before refunds."""

    tx: str
    ts: int
    log: Log

    @property
    def version(self) -> int:
        """1 = V1 exchanges, 2 = CLOB V2."""
        return int(self.log.fields["v"])

    @property
    def buys(self) -> bool:
        """Whether the maker of the row buys."""
        fields = self.log.fields
        return str(fields["maker_asset"]) == "0" if self.version == 1 else fields["side"] in (0, "0", "BUY")

    @property
    def token(self) -> str:
        """The outcome token, decimal."""
        fields = self.log.fields
        if self.version != 1:
            return str(fields["token"])
        return str(fields["taker_asset"] if self.buys else fields["maker_asset"])

    @property
    def shares(self) -> int:
        """Gross micro-shares."""
        return int(self.log.fields["taker_amount" if self.buys else "maker_amount"])

    @property
    def usdc(self) -> int:
        """Gross micro-USDC."""
        return int(self.log.fields["maker_amount" if self.buys else "taker_amount"])

    @property
    def taker(self) -> str:
        """The ``taker`` of the log as an address."""
        return contract_address(self.log.fields["taker"])


def contract_address(name: str) -> str:
    """Address of a contract that the logs name by its symbol; wallets stay as they are."""
    return name if name.startswith("0x") else "0x" + SYMBOLS[name].hex()


def raw_fills(world: World) -> Iterator[RawFill]:
    """Every ``OrderFilled`` until now, in chain order."""
    for tx in world.universe.transactions(until=world.now):
        for log in tx.logs:
            if log.t == "OrderFilled":
                yield RawFill(tx.tx, tx.ts, log)


class _Index:
    """Rows in order of (timestamp, id), for everyone and by maker."""

    def __init__(self, world: World) -> None:
        entities: dict[str, dict[str, str]] = {}
        for fill in raw_fills(world):
            if fill.version == 1:
                row = _entity(fill)
                entities[row["id"]] = row
        self.all = sorted(entities.values(), key=_order)
        self.by_maker: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in self.all:
            self.by_maker[row["maker"]].append(row)


def _order(row: dict[str, str]) -> tuple[int, str]:
    return int(row["timestamp"]), row["id"]


def _entity(fill: RawFill) -> dict[str, str]:
    fields = fill.log.fields
    return {
        "id": f"{fill.tx}_{fields['order']}", "transactionHash": fill.tx, "timestamp": str(fill.ts),
        "orderHash": fields["order"], "maker": fields["maker"], "taker": fill.taker,
        "makerAssetId": str(fields["maker_asset"]), "takerAssetId": str(fields["taker_asset"]),
        "makerAmountFilled": str(fields["maker_amount"]), "takerAmountFilled": str(fields["taker_amount"]),
        "fee": str(fields.get("fee", 0)),
    }  # fmt: skip


def _errors(message: str) -> Reply:
    """GraphQL tells of errors inside a 200."""
    return Reply({"errors": [{"message": message}]})


def graphql(world: World, query: Query) -> Reply:
    """``POST …/gn``: one selection of ``orderFilledEvents`` with its ``where`` and ``first`` as variables."""
    try:
        document: Any = msgspec.json.decode("".join(query.get("body", ())))
        text, variables = document["query"], document.get("variables") or {}
    except (msgspec.DecodeError, KeyError, TypeError):
        return _errors("Invalid request body")
    call = _CALL.search(text)
    if call is None:
        return _errors("Type `Query` has no such field")
    arguments = {
        name: variables.get(value[1:]) if value[0] == "$" else value for name, value in _ARGUMENT.findall(call[1])
    }
    where, first = arguments.get("where") or {}, int(arguments.get("first") or 100)
    if not 0 < first <= MAX_FIRST:
        return _errors(f"The value of the `first` argument must be between 0 and {MAX_FIRST}, but is {first}")
    if arguments.get("orderBy") != "timestamp" or arguments.get("orderDirection", "asc") != "asc":
        return _errors("The simulated subgraph orders by timestamp, ascending")
    if not set(where) <= _FILTERS:
        return _errors(f"Unknown filter: {', '.join(sorted(set(where) - _FILTERS))}")
    index: _Index = world.remember("orderFilledEvents", lambda: _Index(world))
    return Reply({"data": {"orderFilledEvents": _select(index, where, first)}})


def _select(index: _Index, where: dict[str, Any], first: int) -> list[dict[str, str]]:
    rows = index.by_maker.get(str(where["maker"]).lower(), []) if "maker" in where else index.all
    same = where.get("timestamp")
    low = max(
        int(where.get("timestamp_gte", same if same is not None else 0)),
        int(where.get("timestamp_gt", -1)) + 1,
    )
    high = min(
        int(where.get("timestamp_lte", same if same is not None else _MAX)), int(where.get("timestamp_lt", _MAX)) - 1
    )
    after = str(where.get("id_gt", ""))
    found: list[dict[str, str]] = []
    for place in range(bisect_left(rows, (low, ""), key=_order), len(rows)):
        row = rows[place]
        if int(row["timestamp"]) > high or len(found) == first:
            break
        if row["id"] > after:
            found.append(row)
    return found
