"""Questions that were asked before are answered from memory, before routing, checking and threads.

A kept answer costs the server a tenth of a millisecond this way. Whether it is still true is looked up by counters of
this process and one row of the state store; where that would mean to wait for somebody (stores on servers, an answer
that is not kept), the request takes the road of all others.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from polyhouse.serve.answers import Answers
from polyhouse.serve.conditional import Wanted, reply_with
from polyhouse.serve.gauges import RequestCounter
from polyhouse.serve.limits import ClientLimit
from polyhouse.serve.problems import request_id_of


class KeptMiddleware:
    """Answers what is kept.

    Args:
        app: everybody else's.
        answers: of the server.
        limit: what one client may ask.
        counter: of requests.
        headers: of every answer.
        has_origins: pages of other origins may read; their requests need headers of their own.
    """

    def __init__(
        self,
        app: ASGIApp,
        answers: Answers,
        limit: ClientLimit,
        counter: RequestCounter,
        headers: dict[str, str],
        has_origins: bool,
    ) -> None:
        self._app = app
        self._answers = answers
        self._limit = limit
        self._counter = counter
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._vary = "Accept, Accept-Encoding, Origin" if has_origins else "Accept, Accept-Encoding"
        self._has_origins = has_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "GET" or not await self._answered(scope, send):
            await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, send: Send) -> bool:
        given = dict(reversed(scope["headers"]))  # of repeated headers the first counts
        accept = given.get(b"accept", b"").decode("latin-1")
        if self._has_origins and b"origin" in given:
            return False
        found = self._answers.known((scope["path"], scope["query_string"], accept))
        client = scope.get("client")
        if found is None or self._limit.take(client[0] if client else ""):
            return False
        asked, body = found
        wanted = Wanted(
            accept, given.get(b"accept-encoding", b"").decode("latin-1"), _text(given.get(b"if-none-match")),
            _text(given.get(b"if-modified-since")),
        )  # fmt: skip
        reply = reply_with(body, wanted)
        shown = reply.headers | {"Vary": self._vary}
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in shown.items()]
        headers += [*self._headers, (b"x-request-id", request_id_of(scope).encode())]
        if reply.status != 304:
            headers.append((b"content-length", str(len(reply.content)).encode()))
        self._counter.count("GET", asked.route, reply.status)
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.content})
        return True


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
