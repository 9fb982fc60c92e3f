"""Finds a market by what people have at hand: its condition id, its slug, or one of its token ids."""

from __future__ import annotations

import re

from polyhouse.domain.ids import format_condition, parse_condition, parse_token
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,299}", re.IGNORECASE)
_MOST_NAMED = 5


class UnknownMarketError(BadInputError):
    """A well-formed id or slug that no source named."""

    code = "UNKNOWN_MARKET"


def find_condition(warehouse: Warehouse, market: str) -> bytes:
    """The condition id of a market; that of a condition id is itself, known or not.

    Args:
        warehouse: the open warehouse.
        market: condition id (``0x`` and 64 hex digits, Protocol V2: 62), token id (decimal), or slug.

    Raises:
        BadInputError: none of the three, or the slug of several markets (they are named).
        UnknownMarketError: no source named the token or slug.
    """
    text = str(market).strip()
    if text[:2].lower() == "0x":
        return parse_condition(text)
    if text.isdecimal():
        return _of_token(warehouse, text)
    if not _SLUG.fullmatch(text):
        raise BadInputError(
            f"market {text[:60]!r} is not valid",
            hint="a condition id (0x and 64 hex digits), a token id (decimal) or a slug",
        )
    return _of_slug(warehouse, text.lower())


def _of_token(warehouse: Warehouse, text: str) -> bytes:
    token = parse_token(text)
    rows = warehouse.query(
        "SELECT condition FROM token_map FINAL WHERE token = toFixedString(unhex({token:String}), 32)"
        " UNION DISTINCT SELECT condition FROM tokens_current WHERE token = toFixedString(unhex({token:String}), 32)",
        {"token": token.hex()},
    ).rows
    if not rows:
        raise UnknownMarketError(f"token {text} was never seen", hint="polyhouse sync markets")
    return bytes(rows[0][0])


def _of_slug(warehouse: Warehouse, slug: str) -> bytes:
    rows = warehouse.query(
        "SELECT DISTINCT condition FROM markets_current WHERE lower(slug) = {slug:String} ORDER BY condition",
        {"slug": slug},
    ).rows
    if not rows:
        raise UnknownMarketError(f"market {slug[:60]} was never seen", hint="polyhouse sync markets")
    if len(rows) > 1:
        named = ", ".join(format_condition(bytes(condition)) for (condition,) in rows[:_MOST_NAMED])
        raise BadInputError(f"{len(rows)} markets have the slug {slug[:60]}", hint=f"give a condition id: {named}")
    return bytes(rows[0][0])
