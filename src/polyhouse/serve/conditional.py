"""Answers of kept documents: validators, 304, compression."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

import polyhouse
from polyhouse.serve.answers import Body
from polyhouse.serve.context import ServeContext
from polyhouse.serve.forms import FORMS, chosen_form, takes_gzip

CACHE_CONTROL = "no-cache"
"""Keep it, but ask whether it still holds before using it: an answer is never older than the store."""
_SETTLED_SECONDS = 2


async def respond(request: Request, context: ServeContext, name: str, arguments: Mapping[str, Any]) -> Response:
    """Answer with the document of a read function in the form that the client wants, or with 304.

    Raises:
        PolyhouseError: whatever the read raises; nothing of what ``Accept`` names can be answered.
    """
    form = chosen_form(name, request.headers.get("accept", ""))
    body = await context.answers.body(name, arguments, form)
    return conditional(request, body)


def conditional(request: Request, body: Body) -> Response:
    """The body, compressed if the client takes that; 304 if it has it already."""
    number = next(place for place, form in enumerate(FORMS) if form.media_type == body.media_type)
    tag = f'W/"{polyhouse.__version__}-{body.version}-{number}"'
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, "Vary": "Accept, Accept-Encoding"}
    if body.built_at and time.time() >= body.built_at + _SETTLED_SECONDS:
        # Dates are whole seconds: of two builds in one second, a date could not tell which was meant.
        headers["Last-Modified"] = formatdate(body.built_at, usegmt=True)
    if _is_current(request, tag, headers.get("Last-Modified")):
        return Response(None, 304, headers)
    if body.zipped is not None and takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(body.zipped, 200, headers | {"Content-Encoding": "gzip"}, body.media_type)
    return Response(body.plain, 200, headers, body.media_type)


def _is_current(request: Request, tag: str, modified: str | None) -> bool:
    """Whether the client has this answer (RFC 9110 §13.1: a tag counts more than a date)."""
    given = request.headers.get("if-none-match")
    if given is not None:
        return given.strip() == "*" or tag in [one.strip() for one in given.split(",")]
    since = request.headers.get("if-modified-since")
    if since is None or modified is None:
        return False
    try:
        return parsedate_to_datetime(modified) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False
