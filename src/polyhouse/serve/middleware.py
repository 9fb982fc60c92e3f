"""What every request goes through: limits per client; and what every answer gets: headers, a request id, a count."""

from __future__ import annotations

import math

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import takes_gzip
from polyhouse.serve.gauges import RequestCounter
from polyhouse.serve.hosts import HostMiddleware
from polyhouse.serve.kept import KeptMiddleware
from polyhouse.serve.limits import ClientLimit
from polyhouse.serve.problems import bug, problem, request_id_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


_BURST_SECONDS = 10
_UNLIMITED = ("/healthz", "/readyz", "/metrics", "/internal/", "/static/")


class CompressMiddleware(GZipMiddleware):
    """Compresses what is not compressed yet, for clients that take it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and takes_gzip(Headers(scope=scope).get("accept-encoding", "")):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class LimitMiddleware:
    """Refuses clients that ask more than ``limit`` allows, with 429 and the time to wait."""

    def __init__(self, app: ASGIApp, limit: ClientLimit) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"].startswith(_UNLIMITED):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        wait = self._limit.take(request.client.host if request.client else "")
        if not wait:
            await self._app(scope, receive, send)
            return
        refused = problem(
            request, 429, detail="more requests than one client may make", code="RATE_LIMITED",
            retry_after=math.ceil(wait),
        )  # fmt: skip
        await refused(scope, receive, send)


class FinishMiddleware:
    """Adds the headers of every answer and counts it. A policy that a page set itself stays.

    Bugs are answered here, so that these answers have the headers too.
    """

    def __init__(self, app: ASGIApp, counter: RequestCounter) -> None:
        self._app = app
        self._counter = counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        has_begun = False

        async def finish(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                self._counter.count(scope["method"], route, message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers["X-Request-Id"] = request_id_of(scope)
            await send(message)

        try:
            await self._app(scope, receive, finish)
        except Exception as error:
            if has_begun:
                raise
            await bug(Request(scope), error)(scope, receive, finish)


def install(app: FastAPI, context: ServeContext) -> None:
    """Put everything around the application; the last one is the first that a request meets."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    settings, counter = context.settings, context.counter
    app.add_middleware(CompressMiddleware, minimum_size=1_024, compresslevel=5)
    per_minute = settings.api_rate_per_minute
    limit = ClientLimit(per_minute, per_minute * _BURST_SECONDS // 60 or 1)
    app.add_middleware(LimitMiddleware, limit=limit)
    origins = _words(settings.api_cors_origins)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["GET"], allow_headers=["If-None-Match"],
            expose_headers=["ETag", "X-Request-Id", "Retry-After"], max_age=3_600,
        )  # fmt: skip
    app.add_middleware(FinishMiddleware, counter=counter)
    app.add_middleware(
        KeptMiddleware, answers=context.answers, limit=limit, counter=counter, has_origins=bool(origins),
        headers=_HEADERS | {"Content-Security-Policy": CONTENT_SECURITY_POLICY},
    )  # fmt: skip
    if context.hosts:
        app.add_middleware(HostMiddleware, hosts=context.hosts, headers=_HEADERS)
    proxies = _words(settings.api_trusted_proxies)
    if proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
