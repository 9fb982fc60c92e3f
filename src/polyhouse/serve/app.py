"""The FastAPI application: public read-only routes on the open stores."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

import polyhouse
from polyhouse.domain.categories import CATEGORIES, CATEGORY_VERSION
from polyhouse.errors import AuthError, PolyhouseError
from polyhouse.reads.exact import decode, encode
from polyhouse.reads.leaderboard import LeaderboardQuery
from polyhouse.reads.queries import answer
from polyhouse.reads.totals import OVERALL, WINDOWS
from polyhouse.serve import problems
from polyhouse.serve.gauges import RequestCounter, exposition
from polyhouse.serve.page import leaderboard_page
from polyhouse.wiring import Stores

MAX_API_LIMIT = 1_000
MAX_BODY_BYTES = 65_536
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
}


class ExactJSONResponse(Response):
    """A document with exact numbers."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The document as JSON text."""
        return encode(content)


def create_app(stores: Stores, *, token: str) -> FastAPI:
    """The application.

    Args:
        stores: open stores; the app never closes them.
        token: key of the internal route.
    """
    app = FastAPI(
        title="Polyhouse",
        version=polyhouse.__version__,
        description="A complete, correct and fresh copy of Polymarket, and who is good at it. Read-only.",
        docs_url=None,
        redoc_url=None,
        default_response_class=ExactJSONResponse,
    )
    counter = RequestCounter()
    problems.install(app)
    _add_middleware(app, counter)
    _add_public_routes(app, stores)
    _add_operational_routes(app, stores, counter)
    _add_internal_route(app, stores, token)
    return app


def _add_middleware(app: FastAPI, counter: RequestCounter) -> None:
    @app.middleware("http")
    async def finish(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "unmatched")
        counter.count(request.method, route, response.status_code)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        response.headers["X-Request-Id"] = problems.request_id(request)
        return response


def _add_public_routes(app: FastAPI, stores: Stores) -> None:
    def leaderboard(
        category: str = OVERALL,
        window: str = "lifetime",
        sort: str = "omega",
        min_trades: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        min_units: Annotated[int, Query(ge=0, lt=2**63)] = 20,
        min_gains_losses: str = "100",
        limit: Annotated[int, Query(ge=1, le=MAX_API_LIMIT)] = 100,
    ) -> Response:
        query = LeaderboardQuery(category, window, sort, min_trades, min_units, min_gains_losses, limit)
        return ExactJSONResponse(answer("leaderboard", query.arguments(), stores.warehouse, stores.state))

    app.get("/api/leaderboard", summary="Ranked wallets")(leaderboard)
    app.get("/api/omega/leaderboard", summary="The older name of /api/leaderboard")(leaderboard)

    @app.get("/api/wallets/{address}", summary="Everything known about one wallet")
    def wallet(address: str, window: str = "lifetime") -> Response:
        arguments = {"address": address, "window": window}
        return ExactJSONResponse(answer("wallet", arguments, stores.warehouse, stores.state))

    @app.get("/api/markets/{condition_id}", summary="One market")
    def market(condition_id: str) -> Response:
        return ExactJSONResponse(answer("market", {"condition_id": condition_id}, stores.warehouse, stores.state))

    @app.get("/api/categories", summary="The categories and windows that exist")
    def categories() -> Response:
        return ExactJSONResponse(
            {"categories": list(CATEGORIES), "version": CATEGORY_VERSION, "overall": OVERALL, "windows": list(WINDOWS)}
        )

    @app.get("/api/status", summary="Progress, queue, failures")
    def status() -> Response:
        return ExactJSONResponse(answer("status", {}, stores.warehouse, stores.state))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page(category: str = OVERALL, window: str = "lifetime", sort: str = "omega") -> Response:
        query = LeaderboardQuery(category, window, sort)
        document = answer("leaderboard", query.arguments(), stores.warehouse, stores.state)
        return HTMLResponse(leaderboard_page(document))


def _add_operational_routes(app: FastAPI, stores: Stores, counter: RequestCounter) -> None:
    @app.get("/healthz", summary="The process lives", response_class=PlainTextResponse)
    def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", summary="Both stores answer", response_class=PlainTextResponse)
    def readyz() -> Response:
        try:
            stores.warehouse.query("SELECT 1")
            stores.state.last_run()
        except PolyhouseError as error:
            return PlainTextResponse(f"not ready: {error.code}\n", 503)
        return PlainTextResponse("ready\n")

    @app.get("/metrics", summary="Prometheus text", response_class=PlainTextResponse)
    def metrics() -> Response:
        text = exposition(stores.warehouse, stores.state, counter)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _add_internal_route(app: FastAPI, stores: Stores, token: str) -> None:
    expected = token.encode()

    @app.post("/internal/query", include_in_schema=False)
    async def internal_query(request: Request) -> Response:
        """Read commands of other processes of this machine and user."""
        from fastapi.concurrency import run_in_threadpool

        host = request.client.host if request.client else ""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode(), expected)
        if host not in _LOOPBACK or scheme.lower() != "bearer" or not known:
            raise AuthError("this route is for the owner's own commands")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return problems.problem(request, 413, detail="the body is too large", code="BAD_INPUT")
        command, arguments = _command_of(bytes(body))
        return ExactJSONResponse(await run_in_threadpool(answer, command, arguments, stores.warehouse, stores.state))


def _command_of(body: bytes) -> tuple[str, dict[str, Any]]:
    from polyhouse.errors import BadInputError

    try:
        document = decode(body)
    except ValueError as error:
        raise BadInputError(f"the body is not JSON: {error}") from None
    arguments = document.get("arguments") if isinstance(document, dict) else None
    if not isinstance(arguments, dict) or not isinstance(document.get("command"), str):
        raise BadInputError('the body must be {"command": "…", "arguments": {…}}')
    return document["command"], arguments
