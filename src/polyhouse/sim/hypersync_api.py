"""The simulated HyperSync: the logs of the simulated node behind a token, by ``GET /height`` and ``POST /query``.

``SimServer(universe, hypersync=HypersyncQuirks(max_logs=500, lag=1_000))`` serves it at the property ``hypersync_url``;
``TOKEN`` opens it. Faults: the routes ``hypersync/height`` and ``hypersync/query``; of the kinds, ``slow``, ``hang``
(which answers late) and ``truncated`` do what they say, all others answer with their status.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from polyhouse.sim.faults import FaultPlan
from polyhouse.sim.node import Branch, Node

TOKEN = "5f1d2f0e-hypersync-of-the-simulator"  # noqa: S105 - opens nothing but the simulator
_BLOCK_FIELDS = frozenset({"number", "hash", "parent_hash", "timestamp"})
_LOG_FIELDS = frozenset(
    {"address", "data", "topic0", "topic1", "topic2", "topic3", "block_number", "block_hash", "transaction_hash",
     "transaction_index", "log_index", "removed"}
)  # fmt: skip


@dataclass(slots=True)
class HypersyncQuirks:
    """How the service answers; every attribute may be changed while the server runs.

    Attributes:
        max_blocks: blocks of one question that are scanned before the answer ends (its time limit).
        max_logs: logs after which an answer ends with its block, whatever is asked.
        too_many_logs: above so many logs the answer is 413 instead; 0 = never.
        lag: blocks that the archive is behind the node.
        stale: it still has the chain before the last re-org.
        guarded: answers that come so close to the end of the archive carry a rollback guard.
        hash_salt: a digit that replaces the last one of every block hash: the archive of another chain; "" = none.
        deaf: it has the blocks, but no logs.
        says_height: answers name the height of the archive.
        boasts: an answer to blocks that the archive does not have says that they were scanned.
    """

    max_blocks: int = 2_000_000_000
    max_logs: int = 100_000
    too_many_logs: int = 0
    lag: int = 2
    stale: bool = False
    guarded: int = 500
    hash_salt: str = ""
    deaf: bool = False
    says_height: bool = True
    boasts: bool = False


class _RefusalError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class HypersyncServer:
    """Answers every request to the service.

    Args:
        node: gives the chain; asked once per request, so that it can be built late.
        quirks: how it answers.
        faults: what goes wrong.
        requests: counts HTTP requests per route.
    """

    def __init__(
        self, node: Callable[[], Node], quirks: HypersyncQuirks, faults: FaultPlan, requests: Counter[str]
    ) -> None:
        self.quirks = quirks
        self._node = node
        self._faults = faults
        self._requests = requests

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        route = request.path.strip("/")
        self._requests[route] += 1
        fault = self._faults.decide(route)
        if fault is not None and fault.kind in {"slow", "hang"}:
            await asyncio.sleep(fault.seconds)
        elif fault is not None and fault.kind != "truncated":
            return web.Response(status=fault.status or 500, text="an error of the archive")
        try:
            document = self._route(request, route, await request.read())
        except _RefusalError as error:
            return web.Response(status=error.status, text=str(error))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            return web.Response(status=400, text=f"the query cannot be read: {error}")
        body = msgspec.json.encode(document)
        if fault is not None and fault.kind == "truncated":
            body = body[: len(body) * 2 // 3]
        return web.Response(body=body, content_type="application/json")

    def _route(self, request: web.Request, route: str, body: bytes) -> dict[str, Any]:
        sent = request.headers.get("Authorization", "")
        if sent != f"Bearer {TOKEN}":
            # The real one is not so careless as to repeat it; a caller must not rely on that.
            raise _RefusalError(401, f"unknown token: {sent.removeprefix('Bearer ')}")
        if route.endswith("/height") and request.method == "GET":
            return {"height": self._height(self._node(), self._branch(self._node()))}
        if route.endswith("/query") and request.method == "POST":
            return self._answer(msgspec.json.decode(body))
        raise _RefusalError(404, "not found")

    def _branch(self, node: Node) -> Branch:
        return node.abandoned if self.quirks.stale else node.branch

    def _height(self, node: Node, branch: Branch) -> int:
        return max(0, node.head_of(branch) - self.quirks.lag)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        node, quirks = self._node(), self.quirks
        branch = self._branch(node)
        height = self._height(node, branch)
        first, stop = int(asked["from_block"]), int(asked.get("to_block") or height + 1)
        stop = min(stop, height + 1, first + quirks.max_blocks)
        wanted, chosen = int(asked.get("to_block") or 0), asked["field_selection"]
        if not set(chosen["block"]) <= _BLOCK_FIELDS or not set(chosen["log"]) <= _LOG_FIELDS:
            raise _RefusalError(400, "unknown field")
        most = min(quirks.max_logs, int(asked.get("max_num_logs") or quirks.max_logs))
        logs, next_block = self._scan(node, branch, asked.get("logs") or [], (first, stop), most)
        if quirks.boasts and next_block == height + 1:
            next_block = max(next_block, wanted)
        whole = asked.get("include_all_blocks") is True
        numbers = range(first, next_block) if whole else sorted({int(log["blockNumber"], 16) for log in logs})
        blocks = [self._block(node, branch, number, chosen["block"]) for number in numbers]
        rows = [self._log(log, chosen["log"]) for log in logs]
        half = len(rows) // 2
        # Rows come in several batches; a block may come after the logs of its batch, or in another one.
        batches = [{"blocks": [], "logs": rows[half:]}, {"blocks": blocks, "logs": rows[:half]}]
        answer: dict[str, Any] = {
            "data": batches,
            "archive_height": height if quirks.says_height else None,
            "next_block": next_block,
            "total_execution_time": 7,
        }
        if first < next_block and next_block > height - quirks.guarded:
            answer["rollback_guard"] = self._guard(node, branch, first, next_block - 1)
        return answer

    def _scan(
        self, node: Node, branch: Branch, selections: list[dict[str, Any]], blocks: tuple[int, int], most: int
    ) -> tuple[list[dict[str, Any]], int]:
        """The logs, and the block after the last scanned one."""
        found: list[dict[str, Any]] = []
        first, stop = blocks
        for number in node.numbers(first, stop - 1, branch):
            if not self.quirks.deaf:
                found += [log for log in node.logs(number, branch) if any(_matches(log, one) for one in selections)]
            if self.quirks.too_many_logs and len(found) > self.quirks.too_many_logs:
                raise _RefusalError(413, "payload too large")
            if len(found) >= most:
                return found, number + 1
        return found, max(first, stop)

    def _hash(self, text: str) -> str:
        return text[: len(text) - len(self.quirks.hash_salt)] + self.quirks.hash_salt

    def _block(self, node: Node, branch: Branch, number: int, fields: list[str]) -> dict[str, Any]:
        row = {
            "number": number,
            "hash": self._hash(node.block_hash(number, branch)),
            "parent_hash": self._hash(node.block_hash(number - 1, branch)),
            "timestamp": hex(node.timestamp(number, branch)),
        }
        return {name: row[name] for name in fields}

    def _log(self, log: dict[str, Any], fields: list[str]) -> dict[str, Any]:
        row = {
            "address": log["address"],
            "data": log["data"],
            "block_number": int(log["blockNumber"], 16),
            "block_hash": self._hash(log["blockHash"]),
            "transaction_hash": log["transactionHash"],
            "transaction_index": int(log["transactionIndex"], 16),
            "log_index": int(log["logIndex"], 16),
            "removed": None,
        } | {f"topic{place}": topic for place, topic in enumerate(log["topics"])}
        return {name: row.get(name) for name in fields}

    def _guard(self, node: Node, branch: Branch, first: int, last: int) -> dict[str, Any]:
        return {
            "block_number": last,
            "timestamp": node.timestamp(last, branch),
            "hash": self._hash(node.block_hash(last, branch)),
            "first_block_number": first,
            "first_parent_hash": self._hash(node.block_hash(first - 1, branch)),
        }


def _matches(log: dict[str, Any], selection: dict[str, Any]) -> bool:
    addresses = [text.lower() for text in selection.get("address") or ()]
    if addresses and log["address"] not in addresses:
        return False
    for place, wanted in enumerate(selection.get("topics") or ()):
        if wanted and (place >= len(log["topics"]) or log["topics"][place] not in wanted):
            return False
    return True
