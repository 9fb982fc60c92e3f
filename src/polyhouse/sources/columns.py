"""From rows as tuples to columns as lists, and the small conversions that several sources share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any

from polyhouse.domain.amounts import parse_decimal
from polyhouse.domain.ids import parse_condition, parse_token, shown
from polyhouse.domain.times import parse_time
from polyhouse.errors import BadInputError
from polyhouse.ports import Page
from polyhouse.tables import Columns

NO_TOKEN = bytes(32)
_WIDE = Context(prec=120, rounding=ROUND_HALF_EVEN)

token_of = lru_cache(maxsize=100_000)(parse_token)
"""``parse_token`` with a memory: one market's pages repeat the same two ids a thousand times."""
condition_of = lru_cache(maxsize=50_000)(parse_condition)
"""``parse_condition`` with a memory."""


def columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]], **constants: Any) -> Columns:
    """Columns of equal length from row tuples; ``constants`` are columns with one value for all rows."""
    table: Columns = (
        {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
        if rows
        else {name: [] for name in names}
    )
    for name, value in constants.items():
        table[name] = [value] * len(rows)
    return table


def tables(**filled: Columns) -> dict[str, Columns]:
    """The tables that have rows."""
    return {name: table for name, table in filled.items() if any(table.values())}


def checked(page: Page, accepted: int) -> Page:
    """The page, after the proof that every fetched row is accounted for.

    Raises:
        AssertionError: a row got lost: our bug, and better found here than in a total.
    """
    rejected, ignored = len(page.rejected), page.ignored
    if page.fetched != accepted + rejected + ignored:
        raise AssertionError(f"{page.fetched} rows fetched, but {accepted} + {rejected} + {ignored} accounted for")
    return page


def reported_micros(value: Any, what: str) -> int:
    """A published figure in millionths, rounded to even at the sixth decimal; 0 where none is given.

    Published figures are measurements with any number of decimals, never an input to our numbers.
    """
    if value is None:
        return 0
    number: Decimal = parse_decimal(value, what)
    micros = int(_WIDE.to_integral_value(_WIDE.scaleb(number, 6)))
    if abs(micros) >= 1 << 63:
        raise BadInputError(f"{what} is too large")
    return micros


def counted(value: int | None, what: str, *, bits: int = 32) -> int:
    """A number that counts something (a block, basis points), as its column holds it; 0 where none is given.

    Raises:
        BadInputError: it is negative, or has more than ``bits`` bits.
    """
    number = value or 0
    if not 0 <= number < 1 << bits:
        raise BadInputError(f"{what} {shown(number)} is not a whole number below 2^{bits}")
    return number


def storable_text(text: str) -> str:
    """A text that every store can hold: halves of surrogate pairs, which no encoding has, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def time_or_zero(value: Any) -> int:
    """Unix seconds of a time that describes but does not count; 0 where it is absent or cannot be read."""
    if value is None or value == "" or value == 0:
        return 0
    try:
        return parse_time(value)
    except BadInputError:
        return 0


def unique(words: Iterable[str]) -> list[str]:
    """The non-empty words, each once, in order."""
    return list(dict.fromkeys(word for word in words if word))
