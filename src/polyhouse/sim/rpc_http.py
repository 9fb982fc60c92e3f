"""The simulated node over HTTP: batches, faults, and refusals of providers."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from polyhouse.errors import BadInputError
from polyhouse.sim.faults import Fault, FaultPlan
from polyhouse.sim.node import Node
from polyhouse.sim.rpc_api import DIALECTS, RpcEndpoint, RpcError, View, batch_refusal, call, view_of

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()
_JSON = "application/json"
_HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center></body></html>"
_WORDS = {
    200: (-32002, "query timeout exceeded"),
    408: (-32000, "request timed out"),
    429: (-32005, "Too Many Requests: rate limit exceeded"),
    500: (-32603, "Internal error"),
    503: (-32000, "no backend is currently healthy to serve traffic"),
}


class RpcServer:
    """Answers every request to the node's endpoints.

    Args:
        node: gives the chain; asked once per request, so that it can be built late.
        endpoints: the providers.
        faults: what goes wrong; routes are the endpoints' names.
        requests: counts HTTP requests per endpoint.
        seed: of the order of shuffled batches.

    Attributes:
        calls: JSON-RPC calls per ``endpoint method``.
    """

    def __init__(
        self,
        node: Callable[[], Node],
        endpoints: Sequence[RpcEndpoint],
        faults: FaultPlan,
        requests: Counter[str],
        seed: int = 0,
    ) -> None:
        # Copies: they are changed while the server runs, and the caller may use his for another server.
        self.endpoints = {endpoint.name: replace(endpoint) for endpoint in endpoints}
        self.calls: Counter[str] = Counter()
        self._node = node
        self._faults = faults
        self._requests = requests
        self._random = Random(seed)
        for endpoint in endpoints:
            _checked(endpoint)

    def change(self, name: str, values: dict[str, Any]) -> RpcEndpoint:
        """Change settings of an endpoint while the server runs.

        Raises:
            BadInputError: no such endpoint, setting or dialect.
        """
        known = {entry.name for entry in fields(RpcEndpoint)} - {"name"}
        endpoint = self.endpoints.get(name)
        if endpoint is None or not set(values) <= known:
            raise BadInputError(f"an endpoint of {', '.join(self.endpoints)} with any of {', '.join(sorted(known))}")
        if values.get("dialect", endpoint.dialect) not in DIALECTS:
            raise BadInputError(f"a dialect is one of {', '.join(DIALECTS)}")
        for key, value in values.items():
            setattr(endpoint, key, value)
        return endpoint

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request."""
        endpoint = self.endpoints.get(request.path.strip("/"))
        if endpoint is None:
            return web.Response(status=404, text="not found")
        self._requests[endpoint.name] += 1
        if request.method != "POST":
            return web.Response(status=405, text="method not allowed")
        fault = self._faults.decide(endpoint.name)
        if fault is not None and fault.kind in ("slow", "hang"):
            await asyncio.sleep(fault.seconds)
            if fault.kind == "hang":
                return await _reset(request, b"", announced=0)
        if fault is not None and fault.kind in ("status", "html", "empty"):
            return _plain_fault(fault)
        view = view_of(self._node(), endpoint, stale=fault is not None and fault.kind == "stale_head")
        status, body = self._answer(view, endpoint, await request.read())
        if fault is not None and fault.kind == "truncated":
            return web.Response(status=status, body=body[: len(body) * 2 // 3], content_type=_JSON)
        if fault is not None and fault.kind == "reset":
            return await _reset(request, body[: len(body) // 2], announced=len(body))
        return _respond(request, status, body)

    def _answer(self, view: View, endpoint: RpcEndpoint, body: bytes) -> tuple[int, bytes]:
        try:
            asked = _DECODER.decode(body)
        except msgspec.DecodeError:
            return 200, _ENCODER.encode(_error(None, RpcError(-32700, "parse error")))
        batch = asked if isinstance(asked, list) else [asked]
        if not batch:
            return 200, _ENCODER.encode(_error(None, RpcError(-32600, "empty batch")))
        if len(batch) > endpoint.max_batch:
            return 200, _ENCODER.encode(_error(None, batch_refusal(endpoint)))
        answers = []
        status = 200
        for one in batch:
            answer, failed = self._one(view, endpoint, one)
            status = max(status, failed)
            if answer is not None:
                answers.append(answer)
        if status == 413:
            return status, _HTML % (status, status)
        if endpoint.shuffle:
            self._random.shuffle(answers)
        if not answers:
            return 200, b""
        # Only a single refused call decides over the status: a batch is answered item by item.
        return (200 if isinstance(asked, list) else status), _ENCODER.encode(
            answers if isinstance(asked, list) else answers[0]
        )

    def _one(self, view: View, endpoint: RpcEndpoint, asked: object) -> tuple[dict[str, Any] | None, int]:
        """The answer to one call (None for a notification) and the HTTP status that it would like."""
        if not isinstance(asked, dict) or asked.get("jsonrpc") != "2.0":
            return _error(None, RpcError(-32600, "invalid request")), 200
        method = asked.get("method")
        self.calls[f"{endpoint.name} {method}"] += 1
        try:
            result = call(view, endpoint, method, asked.get("params"))
        except RpcError as error:
            return _error(asked.get("id"), error), error.status
        if "id" not in asked:
            return None, 200
        return {"jsonrpc": "2.0", "id": asked["id"], "result": result}, 200


def _checked(endpoint: RpcEndpoint) -> None:
    if endpoint.dialect not in DIALECTS:
        raise BadInputError(f"a dialect is one of {', '.join(DIALECTS)}")
    if not endpoint.name.startswith("rpc") or "/" in endpoint.name:
        raise BadInputError(f"the endpoint {endpoint.name!r} would not be reached: names begin with rpc")


def _error(number: object, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}


def _plain_fault(fault: Fault) -> web.Response:
    if fault.kind == "empty":
        return web.Response(body=b"", content_type=_JSON)
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
    status = fault.status or (500 if fault.kind == "status" else 502)
    if fault.kind == "html" or status == 413:
        return web.Response(status=status, body=_HTML % (status, status), content_type="text/html", headers=headers)
    code, message = _WORDS.get(status, (-32000, f"upstream answered {status}"))
    body = _ENCODER.encode(_error(None, RpcError(code, message)))
    return web.Response(status=status, body=body, content_type=_JSON, headers=headers)


def _respond(request: web.Request, status: int, body: bytes) -> web.Response:
    headers = {}
    if len(body) > 500 and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=status, body=body, headers=headers, content_type="text/html" if status == 413 else _JSON)


async def _reset(request: web.Request, part: bytes, *, announced: int) -> web.StreamResponse:
    """Send ``part`` of an announced body, then reset the connection (RST, not FIN)."""
    response = web.StreamResponse(headers={"Content-Type": _JSON, "Content-Length": str(announced)})
    if announced:
        await response.prepare(request)
        await response.write(part)
    if request.transport is not None:
        raw = request.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return response
