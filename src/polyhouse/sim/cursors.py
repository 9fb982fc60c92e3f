"""Opaque signed page cursors, as the Data API v2 hands them out (upstream §2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import msgspec

from polyhouse.sim.wire import ApiError

_SIGNATURE = 12


class CursorSigner:
    """Signs and checks cursors; the route is part of the signature, so a cursor works on its own route only."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._epoch = 0

    def rotate(self) -> None:
        """Make every cursor handed out so far invalid, as a deployment of the upstream may."""
        self._epoch += 1

    def issue(self, route: str, content: dict[str, Any]) -> str:
        """A cursor for ``route``: base64url of JSON and signature."""
        body = msgspec.json.encode(content)
        return base64.urlsafe_b64encode(body + self._sign(route, body)).decode().rstrip("=")

    def read(self, route: str, cursor: str) -> dict[str, Any]:
        """The content of a cursor; a tampered, foreign or expired one is a 400."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        body, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
        if not body or not hmac.compare_digest(signature, self._sign(route, body)):
            raise ApiError(400, "invalid cursor", parameter="cursor")
        content: dict[str, Any] = msgspec.json.decode(body)
        return content

    def _sign(self, route: str, body: bytes) -> bytes:
        message = f"{self._epoch}:{route}:".encode() + body
        return hmac.new(self._secret, message, hashlib.sha256).digest()[:_SIGNATURE]
