"""JSON-RPC 2.0 of the simulated Polygon node: methods, filters, and the limits providers set (upstream §6).

How to run it: ``SimServer(Universe(seed=1, with_transfers=True))`` serves the node at its property ``rpc_url``
(``…/rpc``, a generous provider) and at the others of ``rpc_urls`` (``…/rpc2``, ``…/rpc3``), which have other caps,
other words for their errors, and lag behind. ``endpoints=[RpcEndpoint(…), …]`` sets others, ``node=NodeQuirks(…)`` what
else is on the chain. Faults: ``Fault("rpc2", "truncated")``; a ``stale_head`` answers from the chain before the last
re-org. ``server.node`` is the chain itself: ``canonical_transactions()``, ``hold_head()``; ``server.reorg(depth)`` or
``POST /_sim/reorg {"depth": n}`` replaces its newest blocks, ``POST /_sim/rpc {"name": "rpc2", "lag": 30}`` changes an
endpoint, ``POST /_sim/head {"block": n}`` holds the head (null lets it go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.sim.node import Branch, Node

CHAIN_ID = 137
_FINAL_BEHIND = 64
_TAGS = ("latest", "pending", "safe", "finalized", "earliest")
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a provider refuses. Texts may name ``{limit}``, ``{count}``, and a range that would do, ``{low}``-``{high}``.

    Attributes:
        range_error, count_error, batch_error: (code, text) for too many blocks, too many logs, too many calls.
        status: HTTP status of the first two; 413 comes without a JSON-RPC body.
    """

    range_error: tuple[int, str]
    count_error: tuple[int, str]
    batch_error: tuple[int, str] = (-32600, "batch too large")
    status: int = 200


_ALCHEMY_RANGE = "You can make eth_getLogs requests with up to a {limit} block range. Based on your parameters, "
_ALCHEMY_COUNT = (
    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the "
    "response size, or you can request any block range with a cap of 10K logs in the response. Based on your "
    "parameters and the response size limit, "
)
_WOULD_DO = "this block range should work: [{low}, {high}]"

DIALECTS: Mapping[str, Dialect] = {
    "infura": Dialect(
        (-32005, "eth_getLogs is limited to a {limit} block range"),
        (-32005, "query returned more than {limit} results. Try with this block range [{low}, {high}]."),
    ),
    "geth": Dialect(
        (-32000, "exceed maximum block range: {limit}"),
        (-32005, "query returned more than {limit} results"),
    ),
    "alchemy": Dialect((-32602, _ALCHEMY_RANGE + _WOULD_DO), (-32602, _ALCHEMY_COUNT + _WOULD_DO), status=400),
    "quicknode": Dialect(
        (-32614, "eth_getLogs is limited to a {limit} range"),
        (-32602, "eth_getLogs and eth_newFilter are limited to {limit} results"),
    ),
    "ankr": Dialect(
        (-32600, "block range is too wide"),
        (-32602, "response size should not greater than 10000000 bytes"),
    ),
    "patient": Dialect(
        (-32000, "Block range is too large"),
        (-32002, "query timeout exceeded. Consider reducing your block range."),
    ),
    "gateway": Dialect((-32005, "block range too large"), (-32005, "response too large"), status=413),
}
"""Providers by name; ``gateway`` is a proxy that answers 413 without JSON."""


@dataclass(slots=True)
class RpcEndpoint:
    """One provider; every attribute may be changed while the server runs.

    Attributes:
        name: first part of its path and its name in fault plans and counters.
        max_range: blocks of one ``eth_getLogs``.
        max_results: logs of one ``eth_getLogs``.
        max_batch: calls of one HTTP request.
        dialect: a name in ``DIALECTS``.
        lag: blocks it is behind the head.
        stale: it still serves the chain before the last re-org.
        shuffle: answers of a batch come in another order.
        block_timestamps: logs carry ``blockTimestamp``, as newer nodes send it.
        strict_head: a range beyond its head is an error; otherwise it is cut silently, as most nodes do.
    """

    name: str = "rpc"
    max_range: int = 10_000
    max_results: int = 10_000
    max_batch: int = 100
    dialect: str = "infura"
    lag: int = 0
    stale: bool = False
    shuffle: bool = False
    block_timestamps: bool = False
    strict_head: bool = False


def default_endpoints() -> list[RpcEndpoint]:
    """A good provider, a narrow one that shuffles, and one that is late."""
    return [
        RpcEndpoint("rpc"),
        RpcEndpoint("rpc2", max_range=2_000, max_results=2_000, max_batch=20, dialect="alchemy", shuffle=True),
        RpcEndpoint("rpc3", max_range=500, max_results=1_000, max_batch=10, dialect="gateway", lag=3, strict_head=True),
    ]


class RpcError(Exception):
    """A call that is answered with an error object; ``status`` other than 200 is the whole HTTP answer's."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class View:
    """The chain as an endpoint sees it at one moment."""

    node: Node
    branch: Branch
    head: int


def view_of(node: Node, endpoint: RpcEndpoint, *, stale: bool = False) -> View:
    """What an endpoint knows; ``stale``: the chain before the last re-org, whatever its settings."""
    branch = node.abandoned if stale or endpoint.stale else node.branch
    return View(node, branch, max(0, node.head_of(branch) - endpoint.lag))


def call(view: View, endpoint: RpcEndpoint, method: object, params: object) -> Any:
    """The result of one call.

    Raises:
        RpcError: what the caller is told instead.
    """
    handler = _METHODS.get(method) if isinstance(method, str) else None
    if handler is None:
        raise RpcError(-32601, f"the method {method} does not exist/is not available")
    if params is None:
        params = []
    if not isinstance(params, list):
        raise RpcError(-32602, "non-array args")
    return handler(view, endpoint, params)


def _chain_id(_view: View, _endpoint: RpcEndpoint, _params: list[Any]) -> str:
    return hex(CHAIN_ID)


def _block_number(view: View, _endpoint: RpcEndpoint, _params: list[Any]) -> str:
    return hex(view.head)


def _block_by_number(view: View, _endpoint: RpcEndpoint, params: list[Any]) -> dict[str, Any] | None:
    number = _number(view, _argument(params, 0))
    return _block(view, number) if number <= view.head else None


def _block_by_hash(view: View, _endpoint: RpcEndpoint, params: list[Any]) -> dict[str, Any] | None:
    number = view.node.number_of(_hash(_argument(params, 0)), view.branch)
    return None if number is None or number > view.head else _block(view, number)


def _block(view: View, number: int) -> dict[str, Any]:
    node, branch = view.node, view.branch
    return {
        "number": hex(number),
        "hash": node.block_hash(number, branch),
        "parentHash": node.block_hash(number - 1, branch),
        "timestamp": hex(node.timestamp(number, branch)),
        "gasLimit": "0x2aea540",
        "gasUsed": hex(21_000 * len(node.slots(number, branch))),
        "transactions": [slot.tx for slot in node.slots(number, branch)],
    }


def _get_logs(view: View, endpoint: RpcEndpoint, params: list[Any]) -> list[dict[str, Any]]:
    wanted = _argument(params, 0)
    if not isinstance(wanted, dict):
        raise RpcError(-32602, "invalid argument 0: expected a filter object")
    first, last = _range(view, endpoint, wanted)
    matches = _matcher(wanted)
    node, branch = view.node, view.branch
    found: list[dict[str, Any]] = []
    for number in node.numbers(first, last, branch):
        rows = [log for log in node.logs(number, branch) if matches(log)]
        if len(found) + len(rows) > endpoint.max_results:
            raise _refusal(endpoint, "count", endpoint.max_results, (first, max(first, number - 1)))
        if endpoint.block_timestamps:
            stamp = {"blockTimestamp": hex(node.timestamp(number, branch))}
            rows = [log | stamp for log in rows]
        found += rows
    return found


def _range(view: View, endpoint: RpcEndpoint, wanted: dict[str, Any]) -> tuple[int, int]:
    if wanted.get("blockHash") is not None:
        if wanted.get("fromBlock") is not None or wanted.get("toBlock") is not None:
            raise RpcError(-32602, "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock")
        number = view.node.number_of(_hash(wanted["blockHash"]), view.branch)
        if number is None or number > view.head:
            raise RpcError(-32000, "unknown block")
        return number, number
    first = _number(view, wanted.get("fromBlock") or "latest")
    last = _number(view, wanted.get("toBlock") or "latest")
    if first > last:
        raise RpcError(-32000, "invalid block range params")
    if last - first + 1 > endpoint.max_range:
        raise _refusal(endpoint, "range", endpoint.max_range, (first, first + endpoint.max_range - 1))
    if last > view.head and endpoint.strict_head:
        raise RpcError(-32000, f"block range extends beyond current head block {view.head}")
    return first, min(last, view.head)


def _refusal(endpoint: RpcEndpoint, what: str, limit: int, fits: tuple[int, int]) -> RpcError:
    dialect = DIALECTS[endpoint.dialect]
    code, text = dialect.range_error if what == "range" else dialect.count_error
    return RpcError(code, text.format(limit=limit, low=hex(fits[0]), high=hex(fits[1])), dialect.status)


def batch_refusal(endpoint: RpcEndpoint) -> RpcError:
    """What a provider says to a batch of too many calls."""
    return RpcError(*DIALECTS[endpoint.dialect].batch_error)


def _matcher(wanted: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """The filter's test; positions of ``topics`` are null, one topic, or a list of which any will do."""
    addresses = _alternatives(wanted.get("address"), _ADDRESS, "address")
    topics = wanted.get("topics") or []
    if not isinstance(topics, list) or len(topics) > 4:
        raise RpcError(-32602, "invalid argument 0: expected up to 4 topics")
    places = [(place, _alternatives(topic, _HASH, "topic")) for place, topic in enumerate(topics)]

    def matches(log: dict[str, Any]) -> bool:
        if addresses is not None and log["address"] not in addresses:
            return False
        found = log["topics"]
        return len(found) >= len(places) and all(allowed is None or found[at] in allowed for at, allowed in places)

    return matches


def _alternatives(value: object, shape: re.Pattern[str], what: str) -> frozenset[str] | None:
    if value is None or value == []:
        return None
    values = value if isinstance(value, list) else [value]
    # A null among the alternatives stands for anything.
    if what == "topic" and None in values:
        return None
    texts = [item.lower() for item in values if isinstance(item, str) and shape.fullmatch(item)]
    if len(texts) != len(values):
        raise RpcError(-32602, f"invalid argument 0: invalid {what}")
    return frozenset(texts)


def _argument(params: list[Any], place: int) -> Any:
    if len(params) <= place:
        raise RpcError(-32602, f"missing value for required argument {place}")
    return params[place]


def _hash(value: Any) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise RpcError(-32602, "invalid argument 0: hex string has a wrong length, want 64 for common.Hash")
    return value.lower()


def _number(view: View, value: Any) -> int:
    if value in _TAGS:
        if value == "earliest":
            return 0
        return view.head if value in ("latest", "pending") else max(0, view.head - _FINAL_BEHIND)
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise RpcError(-32602, f"invalid argument 0: {value!r} is no block number: hex without leading zeros, or a tag")
    return int(value, 16)


_METHODS: Mapping[str, Callable[[View, RpcEndpoint, list[Any]], Any]] = {
    "eth_chainId": _chain_id,
    "eth_blockNumber": _block_number,
    "eth_getBlockByNumber": _block_by_number,
    "eth_getBlockByHash": _block_by_hash,
    "eth_getLogs": _get_logs,
}
