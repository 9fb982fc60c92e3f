"""How the simulated upstreams speak: exact JSON numbers, dates, replies, error shapes, request parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

Query = Mapping[str, Sequence[str]]
"""Query parameters: name → every value that was sent."""

_ENCODER = msgspec.json.Encoder()
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CONDITION = re.compile(r"0x(?:[0-9a-fA-F]{62}|[0-9a-fA-F]{64})")


@dataclass(slots=True)
class Reply:
    """One answer before it becomes bytes.

    Attributes:
        doc: JSON document, or None when ``body`` is given as it is.
        rows: key of the list of rows inside ``doc`` ("" = none): what faults repeat.
        max_age: seconds a CDN would keep this answer (upstream §2 "Caching"); 0 = never.
    """

    doc: Any = None
    status: int = 200
    rows: str = ""
    max_age: int = 0
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as it goes over the wire, before compression."""
        return self.body if self.body is not None else _ENCODER.encode(self.doc)


class ApiError(Exception):
    """A request the upstream answers with an error document."""

    def __init__(self, status: int, message: str, *, code: str = "invalid_request", parameter: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.parameter = parameter


def number(value: int, scale: int = 6) -> msgspec.Raw:
    """``value × 10^-scale`` as an exact JSON number, printed as the upstreams print it (``12.5``, ``400000.0``)."""
    return msgspec.Raw(_decimal(value, scale).encode())


def text_number(value: int, scale: int = 6) -> str:
    """The same as a string without a trailing ``.0`` (Gamma's ``volume`` and ``outcomePrices``)."""
    return _decimal(value, scale).removesuffix(".0")


def _decimal(value: int, scale: int) -> str:
    whole, rest = divmod(abs(value), 10**scale)
    tail = f"{rest:0{scale}d}".rstrip("0") or "0"
    return f"{'-' if value < 0 else ''}{whole}.{tail}"


def iso(ts: int, fraction: str = "") -> str:
    """Unix seconds → ``2026-07-24T00:00:16Z``, optionally with fraction digits."""
    text = datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def spaced(ts: int) -> str:
    """Unix seconds as Gamma's ``closedTime`` has them: ``2026-07-24 00:00:16+00``."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def json_text(values: Iterable[str]) -> str:
    """A list of strings as JSON inside a string (Gamma's ``outcomes``, ``clobTokenIds``)."""
    return _ENCODER.encode(list(values)).decode()


def one(query: Query, *names: str) -> str | None:
    """The last value of the first parameter that was sent under any of ``names``; empty text counts as not sent."""
    for name in names:
        values = query.get(name)
        if values and values[-1] != "":
            return values[-1]
    return None


def boolean(query: Query, name: str, default: bool | None) -> bool | None:
    """A ``true``/``false`` parameter; anything else is a 400."""
    text = one(query, name)
    if text is None:
        return default
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ApiError(400, f"{name} must be a boolean", parameter=name)


def integer(query: Query, name: str, default: int | None, low: int, high: int) -> int | None:
    """An integer parameter inside ``low..high``; outside or unreadable is a 400."""
    text = one(query, name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise ApiError(400, f"{name} must be an integer between {low} and {high}", parameter=name)
    return int(text)


def choice(query: Query, name: str, allowed: Sequence[str], default: str) -> str:
    """A word out of ``allowed``; anything else is a 400."""
    text = one(query, name)
    if text is None:
        return default
    if text not in allowed:
        raise ApiError(400, f"{name} must be one of {', '.join(allowed)}", parameter=name)
    return text


def listed(query: Query, *names: str) -> list[str]:
    """Distinct comma-separated values of a parameter, in order, from either spelling."""
    values = (part.strip() for name in names for text in query.get(name, ()) for part in text.split(","))
    return list(dict.fromkeys(value for value in values if value))


def address(query: Query, infra: Callable[[str], bool], *, required: bool) -> str | None:
    """The ``user`` parameter as a lowercase address. A protocol contract or a malformed one is a 400."""
    text = one(query, "user", "proxy_wallet", "proxyWallet")
    if text is None:
        if required:
            raise ApiError(400, "user is required", parameter="user")
        return None
    if not _ADDRESS.fullmatch(text):
        raise ApiError(400, "user must be a 0x-prefixed 20-byte address", parameter="user")
    if infra(text.lower()):
        raise ApiError(400, "user must not be a protocol contract", parameter="user")
    return text.lower()


def conditions(query: Query, limit: int) -> list[str]:
    """The ``condition`` parameter (three spellings): distinct lowercase ids, at most ``limit``."""
    values = [text.lower() for text in listed(query, "condition", "condition_id", "conditionId")]
    if any(not _CONDITION.fullmatch(text) for text in values):
        raise ApiError(400, "condition must be 0x-prefixed hex ids", parameter="condition")
    values = list(dict.fromkeys(values))
    if len(values) > limit:
        raise ApiError(400, f"at most {limit} conditions", parameter="condition")
    return values


def event_ids(query: Query, limit: int) -> list[int]:
    """The ``event_id`` parameter: distinct positive 32-bit integers, at most ``limit``."""
    values = listed(query, "event_id", "eventId")
    if any(not re.fullmatch(r"[0-9]{1,10}", text) or not 0 < int(text) < 2**31 for text in values):
        raise ApiError(400, "event_id must be positive 32-bit integers", parameter="event_id")
    ids = list(dict.fromkeys(int(text) for text in values))
    if len(ids) > limit:
        raise ApiError(400, f"at most {limit} event ids", parameter="event_id")
    return ids
