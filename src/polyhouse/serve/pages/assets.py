"""The files that pages load, from the package: nothing comes from elsewhere, so pages work offline."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

_TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml"}


class Assets:
    """All static files by their path below ``static/``, read once."""

    def __init__(self) -> None:
        self._files = dict(_walk(resources.files("polyhouse.serve") / "static", ""))
        self._digests = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._files.items()}

    def url(self, name: str) -> str:
        """The address of a file; it changes with the file, so browsers may keep what they have for ever."""
        return f"/static/{name}?v={self._digests[name]}"

    def router(self) -> APIRouter:
        """The route that serves the files."""
        router = APIRouter(include_in_schema=False)

        @router.get("/static/{name:path}")
        def static(name: str, request: Request) -> Response:
            body = self._files.get(name)
            if body is None:
                raise HTTPException(404)
            tag = f'"{self._digests[name]}"'
            fresh = request.query_params.get("v") == self._digests[name]
            kept = "public, max-age=31536000, immutable" if fresh else "no-cache"
            headers = {"ETag": tag, "Cache-Control": kept}
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
            return Response(body, media_type=_type_of(name), headers=headers)

        return router


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        found += _walk(entry, name + "/") if entry.is_dir() else [(name, entry.read_bytes())]
    return found


def _type_of(name: str) -> str:
    suffix = name[name.rfind(".") :]
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
