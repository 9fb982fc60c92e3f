"""Errors as RFC 9457 problem details, with the codes of the command line."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from polyhouse.errors import AuthError, ConfigError, PolyhouseError, RetryableError
from polyhouse.reads.exact import encode
from polyhouse.reads.market import UnknownMarketError
from polyhouse.reads.wallet import UnknownWalletError
from polyhouse.serve.refusals import RefusedError

_TITLES = {
    400: "Bad request", 401: "Key missing or refused", 403: "Forbidden", 404: "Not found", 405: "Method not allowed",
    406: "Not acceptable", 413: "Body too large", 421: "Misdirected request", 422: "Malformed input",
    429: "Too many requests", 500: "Internal error", 503: "Temporarily unavailable",
}  # fmt: skip
_RETRY_SECONDS = 5
_log = logging.getLogger("polyhouse.serve")


def problem(request: Request, status: int, *, detail: str, code: str, hint: str = "", retry_after: int = 0) -> Response:
    """A problem document: type, title, status, detail, code, hint, request_id."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint or None,
        "request_id": request_id(request),
    }
    page = getattr(request.app.state, "error_page", None)
    if page is not None and wants_page(request):
        found: Response = page(request, body)
        return found
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after or status == 503:
        headers["Retry-After"] = str(retry_after or _RETRY_SECONDS)
    return Response(encode(body), status, headers, media_type="application/problem+json")


def wants_page(request: Request) -> bool:
    """Whether a person asks with a browser: for a page, not for a document of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/api/", "/internal/"))


def request_id(request: Request) -> str:
    """The id of this request, made once."""
    return request_id_of(request.scope)


def request_id_of(scope: Scope) -> str:
    """The id of the request of an ASGI scope, made once."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = uuid.uuid4().hex
    return str(state["request_id"])


def status_of(error: PolyhouseError) -> int:
    """The HTTP status that says the same as the error."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, UnknownWalletError | UnknownMarketError):
        return 404
    if isinstance(error, AuthError):
        return 401
    if isinstance(error, ConfigError):
        return 422
    return 503 if isinstance(error, RetryableError) else 500


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document; what is no error of ours is ``bug``."""

    async def product(request: Request, error: Exception) -> Response:
        assert isinstance(error, PolyhouseError)
        status = status_of(error)
        if status == 500:
            _log.error("request %s: %s", request_id(request), error)
        wait = error.retry_after if isinstance(error, RefusedError) else 0
        return problem(request, status, detail=str(error), code=error.code, hint=error.hint, retry_after=wait)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0] if error.errors() else {"loc": (), "msg": "malformed"}
        where = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return problem(request, 422, detail=f"{where}: {first['msg']}", code="BAD_INPUT")

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(request, error.status_code, detail=str(error.detail), code=f"HTTP_{error.status_code}")

    app.add_exception_handler(PolyhouseError, product)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def bug(request: Request, error: Exception) -> Response:
    """The answer to a request that met a bug of ours: it says nothing about the inside, the log does."""
    _log.error("request %s failed", request_id(request), exc_info=error)
    return problem(request, 500, detail="an internal error; the log has the request id", code="BUG")


def title_of(status: int) -> str:
    """What a status is called."""
    return _TITLES.get(status, "Error")
