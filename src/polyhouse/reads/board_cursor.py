"""Cursors of leaderboards: where a page ended, as one opaque word."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError

_NOT_PART = ("cursor", "limit")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page.

    Attributes:
        build: in which the first page was read.
        key: exact value of the row, None where it has none.
        wallet: its 20 bytes.
    """

    build: int
    key: Fraction | None
    wallet: bytes


def digest(arguments: Mapping[str, Any]) -> str:
    """Names a question without its page: a cursor of another question is refused."""
    asked = {name: value for name, value in arguments.items() if name not in _NOT_PART}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def encode_cursor(cursor: Cursor, question: str) -> str:
    """The word for a cursor; ``question`` is the digest of what was asked."""
    key = None if cursor.key is None else str(cursor.key)
    text = json.dumps([question, cursor.build, key, cursor.wallet.hex()], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(word: Any, question: str) -> Cursor:
    """The cursor of a word.

    Raises:
        BadInputError: no cursor of ours, or that of another question.
    """
    try:
        padded = str(word)[:1_000].encode() + b"==="
        asked, build, key, wallet = json.loads(base64.urlsafe_b64decode(padded[: len(padded) // 4 * 4]))
        cursor = Cursor(int(build), None if key is None else Fraction(key), parse_address(f"0x{wallet}"))
    except (ValueError, TypeError, binascii.Error, ZeroDivisionError, BadInputError):
        raise BadInputError("the cursor is not valid", hint="start again without a cursor") from None
    if asked != question:
        raise BadInputError(
            "the cursor belongs to another question", hint="keep all arguments from page to page, or start again"
        )
    return cursor
