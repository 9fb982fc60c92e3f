"""The door for read commands of other processes of the same machine and user."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from polyhouse.errors import AuthError, BadInputError
from polyhouse.reads.exact import decode
from polyhouse.reads.queries import answer
from polyhouse.reads.relations.answer import answer_question
from polyhouse.reads.relations.question import question_of
from polyhouse.reads.relations.wire import arrow_stream
from polyhouse.serve import problems
from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import ARROW
from polyhouse.serve.responses import ExactJSONResponse

MAX_BODY_BYTES = 65_536
_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})


def router(context: ServeContext) -> APIRouter:
    """The internal route, which the OpenAPI document does not name."""
    routes = APIRouter(include_in_schema=False)
    expected = context.token.encode()
    stores = context.answers.stores

    async def body_of(request: Request) -> bytes | None:
        host = request.client.host if request.client else ""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = secrets.compare_digest(given.strip().encode(), expected)
        if host not in _LOOPBACK or scheme.lower() != "bearer" or not known:
            raise AuthError("this route is for the owner's own commands")
        return await small_body(request)

    @routes.post("/internal/query")
    async def internal_query(request: Request) -> Response:
        body = await body_of(request)
        if body is None:
            return _too_large(request)
        command, arguments = _command_of(body)
        document = await context.answers.run(lambda: answer(command, arguments, stores.warehouse, stores.state))
        return ExactJSONResponse(document)

    @routes.post("/internal/table")
    async def internal_table(request: Request) -> Response:
        body = await body_of(request)
        if body is None:
            return _too_large(request)
        question = question_of(_object_of(body))
        found = await context.answers.run(lambda: answer_question(stores.warehouse, question))
        # An error in the middle breaks the connection off, so that nobody takes a part for the whole.
        return StreamingResponse(arrow_stream(found), media_type=ARROW)

    return routes


def _too_large(request: Request) -> Response:
    return problems.problem(request, 413, detail="the body is too large", code="BAD_INPUT")


async def small_body(request: Request) -> bytes | None:
    """The body of a request, None if it is larger than ``MAX_BODY_BYTES``; no more than that is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _object_of(body: bytes) -> dict[str, Any]:
    try:
        document = decode(body)
    except ValueError as error:
        raise BadInputError(f"the body is not JSON: {error}") from None
    return document if isinstance(document, dict) else {}


def _command_of(body: bytes) -> tuple[str, dict[str, Any]]:
    document = _object_of(body)
    arguments = document.get("arguments")
    if not isinstance(arguments, dict) or not isinstance(document.get("command"), str):
        raise BadInputError('the body must be {"command": "…", "arguments": {…}}')
    return document["command"], arguments
