"""What every request of the simulated upstreams goes through: limits, faults, CDN cache, error shapes, compression."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import socket
import struct
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

from aiohttp import web

from polyhouse.sim import (
    clob_api,
    data_api,
    data_boards,
    data_users,
    data_v1_api,
    data_v1_boards,
    data_winners,
    dome_api,
    gamma_api,
    gamma_items,
    goldsky_api,
)
from polyhouse.sim.faults import ROW_FAULTS, Fault, FaultPlan
from polyhouse.sim.limits import Limiter
from polyhouse.sim.wire import ApiError, Query, Reply
from polyhouse.sim.world import World

Handler = Callable[..., Reply]
_CURSOR_NAMES = ("cursor", "after_cursor", "next_cursor")
_QUERY_FORBIDDEN, _QUERY_TOO_LONG = 4_096, 16_384
_KEPT_PAGES = 512
_HTML = b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>blocked</body></html>"

EXACT: Mapping[str, Handler] = {
    "gamma/events/keyset": gamma_api.events_keyset,
    "gamma/markets/keyset": gamma_api.markets_keyset,
    "gamma/events": gamma_api.events_legacy,
    "gamma/markets": gamma_api.markets_legacy,
    "gamma/tags": gamma_items.tags,
    "gamma/series": gamma_items.series,
    "clob/markets": clob_api.markets,
    "clob/prices-history": data_v1_api.prices_history,
    dome_api.PATH: dome_api.orders,
    "data/trades": data_v1_api.trades,
    "data/activity": data_v1_api.activity,
    "data/positions": data_v1_boards.positions,
    "data/closed-positions": data_v1_boards.closed_positions,
    "data/v2/trades": data_api.trades,
    "data/v2/activity": data_api.activity,
    "data/v2/resolutions": data_api.resolutions,
    "data/v2/tokens": data_api.tokens,
    "data/v2/status": data_api.status,
    "data/v2/positions": data_boards.positions,
    "data/v2/holders": data_boards.holders,
    "data/v2/value": data_boards.value,
    "data/v2/live-volume": data_boards.live_volume,
    "data/v2/activity/combos": data_boards.no_combos,
    "data/v2/positions/combos": data_boards.no_combos,
    "data/v2/oi": data_boards.open_interest,
    "data/v2/user-stats": data_users.user_stats,
    "data/v2/user-pnl": data_users.user_pnl,
    "data/v2/user-volume": data_users.user_volume,
    "data/v2/leaderboard": data_boards.leaderboard,
    "data/v2/biggest-winners": data_winners.biggest_winners,
}
QUESTIONS: Mapping[str, Handler] = {goldsky_api.PATH: goldsky_api.graphql}
"""Routes that are asked with a document (POST), which their handler finds as the parameter ``body``."""
HEAVY = frozenset({"data/v2/leaderboard", "data/v2/biggest-winners", "data/v2/oi"})
"""Routes that read every row the first time they are asked; a thread answers them."""
PATTERNS: tuple[tuple[re.Pattern[str], Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"gamma/events/slug/([^/]+)", gamma_items.event_by_slug),
        (r"gamma/markets/slug/([^/]+)", gamma_items.market_by_slug),
        (r"gamma/tags/slug/([^/]+)", gamma_items.tag_by_slug),
        (r"gamma/events/([^/]+)/tags", gamma_items.event_tags),
        (r"gamma/markets/([^/]+)/tags", gamma_items.market_tags),
        (r"gamma/events/([^/]+)", gamma_items.event_by_id),
        (r"gamma/markets/([^/]+)", gamma_items.market_by_id),
        (r"gamma/tags/([^/]+)", gamma_items.tag_by_id),
        (r"clob/markets/(0x[0-9a-fA-F]+)", clob_api.market),
    )
)


def error_reply(path: str, error: ApiError) -> Reply:
    """An error in the shape of its host (upstream §8)."""
    if path.startswith("data/v2/"):
        doc: dict[str, Any] = {
            "error": str(error), "code": error.code, "retryable": error.status in (429, 503),
            "trace_id": hashlib.sha256(f"{path}{error}".encode()).hexdigest()[:32],
        }  # fmt: skip
        if error.parameter:
            doc["parameter"] = error.parameter
    elif path.startswith("gamma/"):
        kind = "validation error" if error.status in (400, 422) else error.code
        doc = {"type": kind, "error": str(error)}
    else:
        doc = {"error": str(error)}
    return Reply(doc, status=error.status)


def _dispatch(world: World, path: str, query: Query) -> Reply:
    try:
        if path in EXACT:
            return EXACT[path](world, query)
        if path in QUESTIONS and "body" in query:
            return QUESTIONS[path](world, query)
        for pattern, handler in PATTERNS:
            found = pattern.fullmatch(path)
            if found:
                return handler(world, query, found.group(1))
    except ApiError as error:
        return error_reply(path, error)
    return error_reply(path, ApiError(404, "not found", code="not_found"))


def _status_reply(path: str, fault: Fault) -> Reply:
    status = fault.status or 500
    messages = {500: ("cannot get the information", "internal"), 503: ("timed out", "request_timeout")}
    message, code = messages.get(status, (f"simulated fault {status}", "dependency_unavailable"))
    if path.startswith("gamma/") and status >= 500:
        code = "internal error"
    reply = error_reply(path, ApiError(status, message, code=code))
    if fault.retry_after:
        reply.headers["Retry-After"] = fault.retry_after
    return reply


class Gateway:
    """Handles every request to an upstream.

    Args:
        world: what there is to see.
        limiter: rate limits; None = none.
        faults: what goes wrong.
        cache: serve repeated URLs as a CDN would, by simulated time.
    """

    def __init__(self, world: World, limiter: Limiter | None, faults: FaultPlan, *, cache: bool) -> None:
        self.requests: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._world = world
        self._limiter = limiter
        self._faults = faults
        self._cache = cache
        self._cached: OrderedDict[str, tuple[int, bytes, str]] = OrderedDict()
        self._pages: OrderedDict[str, Reply] = OrderedDict()
        self._traces = 0
        self._open = asyncio.Event()
        self._open.set()
        self._heavy = asyncio.Lock()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let requests wait while the world changes."""
        self._open.clear()
        try:
            async with self._heavy:
                yield
        finally:
            self._open.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = f"{request.match_info['host']}/{request.match_info['path']}"
        self.requests[path] += 1
        refused = self._limiter.check(path) if self._limiter else None
        if refused is not None:
            self.throttled[path] += 1
            return self._respond(request, refused.encoded(), refused)
        fault = self._faults.decide(path, request.query_string)
        if fault is not None and fault.kind in ("slow", "hang"):
            await asyncio.sleep(fault.seconds)
            if fault.kind == "hang":
                return await self._reset(request, b"", announced=0)
        if fault is not None and fault.kind in ("status", "html", "empty", "errors"):
            return self._plain_fault(request, path, fault)
        question = await request.text() if path in QUESTIONS and request.method == "POST" else None
        await self._open.wait()
        if path in HEAVY:
            async with self._heavy:
                reply, body = await asyncio.to_thread(self._answer, request, path, fault, question)
        else:
            reply, body = self._answer(request, path, fault, question)
        if fault is not None and fault.kind == "truncated":
            return self._respond(request, body[: len(body) * 2 // 3], reply, compress=False)
        if fault is not None and fault.kind == "reset":
            return await self._reset(request, body[: len(body) // 2], announced=len(body))
        return self._respond(request, body, reply)

    def _answer(
        self, request: web.Request, path: str, fault: Fault | None, question: str | None
    ) -> tuple[Reply, bytes]:
        url, now = request.path_qs, self._world.now
        if self._cache and url in self._cached and fault is None:
            until, body, trace = self._cached[url]
            if now < until:
                return Reply(headers={"x-trace-id": trace, "cf-cache-status": "HIT"}), body
        if question is not None:
            reply = _dispatch(self._world, path, {"body": [question]})
        elif request.method != "GET":
            reply = error_reply(path, ApiError(405, "method not allowed", code="method_not_allowed"))
        elif len(request.query_string) > _QUERY_TOO_LONG:
            reply = Reply(status=414, body=_HTML, content_type="text/html; charset=UTF-8")
        elif len(request.query_string) > _QUERY_FORBIDDEN:
            reply = Reply(status=403, body=_HTML, content_type="text/html; charset=UTF-8")
        else:
            query = {name: request.query.getall(name) for name in request.query}
            if path == dome_api.PATH:
                query["authorization"] = [request.headers.get("Authorization", "")]
            reply = self._with_row_fault(request, path, _dispatch(self._world, path, query), fault)
        self._traces += 1
        reply.headers["x-trace-id"] = f"sim-{self._traces:08d}"
        body = reply.encoded()
        if self._cache and reply.max_age and reply.status == 200:
            reply.headers["Cache-Control"] = f"public, max-age={reply.max_age}"
            self._cached[url] = (now + reply.max_age, body, reply.headers["x-trace-id"])
            _forget_oldest(self._cached)
        return reply, body

    def _with_row_fault(self, request: web.Request, path: str, reply: Reply, fault: Fault | None) -> Reply:
        """Repeat rows, cursors or the stale first page, and remember this page for the next such fault."""
        if not reply.rows or reply.status != 200:
            return reply
        walk = path + "?" + "&".join(f"{k}={v}" for k, v in sorted(request.query.items()) if k not in _CURSOR_NAMES)
        cursor = next((request.query[name] for name in _CURSOR_NAMES if name in request.query), None)
        before, head = self._pages.get(f"page {walk}"), self._pages.get(f"head {walk}")
        self._pages[f"page {walk}"] = Reply(dict(reply.doc), rows=reply.rows)
        if cursor is None and head is None:
            self._pages[f"head {walk}"] = Reply(dict(reply.doc), rows=reply.rows)
        _forget_oldest(self._pages)
        if fault is None or fault.kind not in ROW_FAULTS:
            return reply
        if fault.kind == "stale_head" and cursor is None and head is not None:
            return Reply(dict(head.doc), rows=head.rows)
        if fault.kind == "repeat_page" and before is not None:
            reply.doc[reply.rows] = before.doc[before.rows]
        if fault.kind == "repeat_cursor" and cursor is not None:
            where = reply.doc.get("pagination", reply.doc)
            where["next_cursor"] = cursor
            if "has_more" in where:
                where["has_more"] = True
        return reply

    def _plain_fault(self, request: web.Request, path: str, fault: Fault) -> web.Response:
        if fault.kind == "status":
            reply = _status_reply(path, fault)
        elif fault.kind == "html":
            reply = Reply(status=fault.status or 403, body=_HTML, content_type="text/html; charset=UTF-8")
        elif fault.kind == "errors":
            reply = Reply({"errors": [{"message": "canceling statement due to statement timeout"}]})
        else:
            reply = Reply(body=b"")
        return self._respond(request, reply.encoded(), reply)

    def _respond(self, request: web.Request, body: bytes, reply: Reply, *, compress: bool = True) -> web.Response:
        date = formatdate(self._world.now, usegmt=True)
        headers = {"Content-Type": reply.content_type, "Date": date, **reply.headers}
        if compress and len(body) > 500 and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, status=reply.status, headers=headers)

    async def _reset(self, request: web.Request, part: bytes, *, announced: int) -> web.StreamResponse:
        """Send ``part`` of an announced body, then reset the connection (RST, not FIN)."""
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(announced)})
        if announced:
            await response.prepare(request)
            await response.write(part)
        transport = request.transport
        if transport is not None:
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return response


def _forget_oldest(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > _KEPT_PAGES:
        kept.popitem(last=False)
