"""Numbers of documents: exact from the store to the JSON text, never through a binary float.

Inside a document money, shares and ratios are ``Decimal``; ``encode`` writes their digits as a JSON number literal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from polyhouse.domain.amounts import whole_units
from polyhouse.domain.times import format_time

_INT64_MAX = 2**63 - 1
_AS_THEY_ARE = frozenset({type(None), str, bool})


def money(micros: int | None) -> Decimal | None:
    """Micro-USDC or micro-shares as whole units, at most 6 decimals; None stays None."""
    return None if micros is None else whole_units(int(micros))


def moment(seconds: int | None) -> str | None:
    """Unix seconds as ISO 8601 UTC; 0 (unknown) and None become None."""
    return format_time(int(seconds)) if seconds else None


def shortest(value: float) -> Decimal:
    """A statistic by the shortest digits that give it back.

    Raises:
        ValueError: a NaN or infinity.
    """
    if not math.isfinite(value):
        raise ValueError(f"a statistic of {value}")
    return Decimal(repr(float(value)))


def encode(document: Any, *, indent: int = 0) -> bytes:
    """A document as JSON text (UTF-8). Decimals are printed digit by digit.

    Args:
        document: dicts, lists, texts, ints, booleans, None, ``Decimal``.
        indent: spaces per level; 0 = one line.

    Raises:
        ValueError: a NaN or infinity, or a binary float (they have no place in a document).
    """
    text = msgspec.json.encode(_raw(document))
    return msgspec.json.format(text, indent=indent) if indent else text


def decode(text: bytes | str) -> Any:
    """The document of a JSON text; fractions become ``Decimal`` again.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _raw(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is Decimal:
        if not value.is_finite():
            raise ValueError(f"{value} cannot be written as a JSON number")
        return msgspec.Raw(format(value, "f").encode())
    if isinstance(value, int):
        return value if -_INT64_MAX <= value <= _INT64_MAX else msgspec.Raw(str(value).encode())
    if kind is dict or isinstance(value, Mapping):
        return {str(key): _raw(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_raw(item) for item in value]
    raise ValueError(f"a {type(value).__name__} has no exact JSON form")


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")
