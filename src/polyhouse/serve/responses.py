"""Answers as HTTP says them: exact JSON."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from polyhouse.reads.exact import encode


class ExactJSONResponse(Response):
    """A document with exact numbers."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The document as JSON text."""
        return encode(content)
