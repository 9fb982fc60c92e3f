"""Answers of kept documents: validators, 304, compression."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

import polyhouse
from polyhouse.serve.answers import Asked, Body, key_of
from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import FORMS, chosen_form, takes_gzip

CACHE_CONTROL = "no-cache"
"""Keep it, but ask whether it still holds before using it: an answer is never older than the store."""
_SETTLED_SECONDS = 2
_LONGEST_QUESTION = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says about the answer that it wants: its headers of these names, "" where there is none."""

    accept: str = ""
    accept_encoding: str = ""
    if_none_match: str | None = None
    if_modified_since: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, headers without those of every answer, content."""

    status: int
    headers: dict[str, str]
    content: bytes


async def respond(request: Request, context: ServeContext, name: str, arguments: Mapping[str, Any]) -> Response:
    """Answer with the document of a read function in the form that the client wants, or with 304.

    Raises:
        PolyhouseError: whatever the read raises; nothing of what ``Accept`` names can be answered.
    """
    accept = request.headers.get("accept", "")
    form = chosen_form(name, accept)
    body = await context.answers.body(name, arguments, form)
    query: bytes = request.scope["query_string"]
    if len(query) + len(accept) < _LONGEST_QUESTION:
        route = str(getattr(request.scope.get("route"), "path", ""))
        asked = Asked(name, arguments, form, key_of(name, arguments, form), route)
        context.answers.remember((request.scope["path"], query, accept), asked)
    return conditional(request, body)


def conditional(request: Request, body: Body) -> Response:
    """The body, compressed if the client takes that; 304 if it has it already."""
    headers = request.headers
    wanted = Wanted(
        headers.get("accept", ""), headers.get("accept-encoding", ""), headers.get("if-none-match"),
        headers.get("if-modified-since"),
    )  # fmt: skip
    reply = reply_with(body, wanted)
    return Response(reply.content if reply.status == 200 else None, reply.status, reply.headers)


def reply_with(body: Body, wanted: Wanted) -> Reply:
    """The body as a client wants it; 304 if it has it already."""
    number = next(place for place, form in enumerate(FORMS) if form.media_type == body.media_type)
    tag = f'W/"{polyhouse.__version__}-{body.version}-{number}"'
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, "Vary": "Accept, Accept-Encoding"}
    if body.built_at and time.time() >= body.built_at + _SETTLED_SECONDS:
        # Dates are whole seconds: of two builds in one second, a date could not tell which was meant.
        headers["Last-Modified"] = formatdate(body.built_at, usegmt=True)
    if _is_current(wanted, tag, headers.get("Last-Modified")):
        return Reply(304, headers, b"")
    is_text = body.media_type.startswith("text/")
    headers["Content-Type"] = f"{body.media_type}; charset=utf-8" if is_text else body.media_type
    if body.zipped is not None and takes_gzip(wanted.accept_encoding):
        return Reply(200, headers | {"Content-Encoding": "gzip"}, body.zipped)
    return Reply(200, headers, body.plain)


def _is_current(wanted: Wanted, tag: str, modified: str | None) -> bool:
    """Whether the client has this answer (RFC 9110 §13.1: a tag counts more than a date)."""
    given = wanted.if_none_match
    if given is not None:
        return given.strip() == "*" or tag in [one.strip() for one in given.split(",")]
    if wanted.if_modified_since is None or modified is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(wanted.if_modified_since)
    except (ValueError, TypeError):
        return False
