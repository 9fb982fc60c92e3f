"""What owner and workers say to each other: typed messages in length-prefixed msgpack frames over a local socket.

A frame is four bytes of length (big-endian) and one message. The worker speaks first, with ``Hello``; until it was
welcomed, the owner takes no frame above ``MAX_GREETING_BYTES``. Whatever is no message of the other side, is too large
or comes out of turn ends the connection.

Worker → owner: ``Hello``, ``PageReady`` ``Ended`` ``Failed`` ``Dropped`` (each answers one ``Fetch`` or ``More``),
``Acquire`` ``Release`` ``Throttled`` ``Paused`` ``Counted`` (the rate budget), ``Heartbeat``, ``Bye`` (wants to leave).
Owner → worker: ``Welcome`` or ``Refused``, ``Fetch`` ``More`` ``Drop``, ``Granted`` ``Denied`` ``Paused``,
``Heartbeat``, ``Bye`` (leave now).
"""

from __future__ import annotations

from typing import Any

import msgspec

from polyhouse.errors import (
    CircuitOpenError,
    CursorRejectedError,
    PolyhouseError,
    RateLimitedError,
    RetryableError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.ports import Page

VERSION = 1
MAX_GREETING_BYTES = 4_096
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A page of 1,000 rows takes about 0.3 MB."""
HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""Whoever says nothing for so long is taken for dead; the kernel tells of a killed process at once."""


class ProtocolError(Exception):
    """The other side said something that this protocol excludes; the connection ends."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """First words of a worker. ``hands``: pages it may have under way at the same time."""

    token: str
    version: int
    pid: int
    hands: int


class PageReady(msgspec.Struct, frozen=True, tag=True):
    """The page that was asked for; with this message it is handed over."""

    errand: int
    page: Page


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The stream ended without a further page."""

    errand: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The stream raised an error of the product."""

    errand: int
    code: str
    message: str
    hint: str = ""
    retry_after: float | None = None
    status: int = 0


class Dropped(msgspec.Struct, frozen=True, tag=True):
    """The page that was under way was given up, as asked."""

    errand: int


class Acquire(msgspec.Struct, frozen=True, tag=True):
    """May one request of this route class be sent? ``ticket`` is the worker's own number for it."""

    ticket: int
    host: str
    lane: str


class Release(msgspec.Struct, frozen=True, tag=True):
    """The server has counted the request (``sent``), or the request is not wanted any more."""

    ticket: int
    sent: bool


class Throttled(msgspec.Struct, frozen=True, tag=True):
    """The upstream refused for load."""

    host: str
    lane: str
    retry_after: float | None = None


class Counted(msgspec.Struct, frozen=True, tag=True):
    """What one request came to: additions to the counters of its route class (see ``sources.http.metrics``)."""

    host: str
    lane: str
    requests: int = 0
    errors: int = 0
    retries: int = 0
    body_bytes: int = 0
    seconds: float = 0.0
    answered: bool = False


class Heartbeat(msgspec.Struct, frozen=True, tag=True):
    """Still here."""


class Bye(msgspec.Struct, frozen=True, tag=True):
    """From a worker: no new work please. From the owner: all is done, leave."""


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """The worker is taken on. ``urls``: host → base URL as the owner's settings have it."""

    urls: dict[str, str]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The worker is not taken on."""

    reason: str


class Fetch(msgspec.Struct, frozen=True, tag=True):
    """Open this partition at this position and hand over the first page."""

    errand: int
    stream: str
    key: str
    params: dict[str, Any]
    position: dict[str, Any]


class More(msgspec.Struct, frozen=True, tag=True):
    """Hand over the next page of an open partition."""

    errand: int


class Drop(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants pages of this partition any more."""

    errand: int


class Granted(msgspec.Struct, frozen=True, tag=True):
    """The request may be sent now."""

    ticket: int


class Denied(msgspec.Struct, frozen=True, tag=True):
    """The upstream asked for a longer pause than anybody should wait."""

    ticket: int
    message: str
    retry_after: float | None = None


class Paused(msgspec.Struct, frozen=True, tag=True):
    """Nobody sends requests of this route class for so many seconds; a pause that was asked for is announced so too."""

    host: str
    lane: str
    seconds: float


FromWorker = (
    Hello | PageReady | Ended | Failed | Dropped | Acquire | Release | Throttled | Counted | Paused | Heartbeat | Bye
)
FromOwner = Welcome | Refused | Fetch | More | Drop | Granted | Denied | Paused | Heartbeat | Bye

_ERRORS: dict[str, type[PolyhouseError]] = {
    kind.code: kind
    for kind in (
        RetryableError, RateLimitedError, UpstreamUnavailableError, CircuitOpenError, UpstreamRefusedError,
        CursorRejectedError, UpstreamContractError,
    )
}  # fmt: skip


def failed(errand: int, error: PolyhouseError) -> Failed:
    """An error as a message."""
    return Failed(
        errand,
        error.code,
        str(error),
        error.hint,
        getattr(error, "retry_after_seconds", None),
        getattr(error, "status", 0),
    )


def error_of(message: Failed) -> PolyhouseError:
    """The error that a message carries; one of an unknown code is our bug and stays one."""
    kind = _ERRORS.get(message.code, PolyhouseError)
    if issubclass(kind, RateLimitedError | UpstreamUnavailableError):
        return kind(message.message, retry_after_seconds=message.retry_after, hint=message.hint)
    if issubclass(kind, UpstreamRefusedError):
        return kind(message.message, status=message.status, hint=message.hint)
    return kind(message.message, hint=message.hint)
