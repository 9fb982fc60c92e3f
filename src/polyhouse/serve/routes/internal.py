"""The door for read commands of other processes of the same machine and user."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from polyhouse.errors import AuthError, BadInputError
from polyhouse.reads.exact import decode
from polyhouse.reads.queries import answer
from polyhouse.serve import problems
from polyhouse.serve.context import ServeContext
from polyhouse.serve.responses import ExactJSONResponse

MAX_BODY_BYTES = 65_536
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})


def router(context: ServeContext) -> APIRouter:
    """The internal route, which the OpenAPI document does not name."""
    routes = APIRouter(include_in_schema=False)
    expected = context.token.encode()
    stores = context.answers.stores

    @routes.post("/internal/query")
    async def internal_query(request: Request) -> Response:
        host = request.client.host if request.client else ""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode(), expected)
        if host not in _LOOPBACK or scheme.lower() != "bearer" or not known:
            raise AuthError("this route is for the owner's own commands")
        body = await small_body(request)
        if body is None:
            return problems.problem(request, 413, detail="the body is too large", code="BAD_INPUT")
        command, arguments = _command_of(body)
        document = await context.answers.run(lambda: answer(command, arguments, stores.warehouse, stores.state))
        return ExactJSONResponse(document)

    return routes


async def small_body(request: Request) -> bytes | None:
    """The body of a request, None if it is larger than ``MAX_BODY_BYTES``; no more than that is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _command_of(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        document = decode(body)
    except ValueError as error:
        raise BadInputError(f"the body is not JSON: {error}") from None
    arguments = document.get("arguments") if isinstance(document, dict) else None
    if not isinstance(arguments, dict) or not isinstance(document.get("command"), str):
        raise BadInputError('the body must be {"command": "…", "arguments": {…}}')
    return document["command"], arguments
