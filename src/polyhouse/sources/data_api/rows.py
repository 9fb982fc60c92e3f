"""The shared shape of observation rows from the Data API, and the checks every row passes."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from polyhouse.domain.amounts import PRICE_SCALE, parse_price, printed_micros, ratio_half_up
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import RowRejectedError
from polyhouse.sources.columns import columns
from polyhouse.tables import Columns

Number = Decimal | None
"""A JSON number or its text, exactly as printed."""

Printed = Any
"""The same as ``RowsDecoder`` hands over its ``numbers``: ``b"12.5"``, ``12``, None, or a ``Decimal``."""

PROTOCOL_V2_DIGITS = 64
"""Length of ``0x`` and the 62 hex digits of a Protocol V2 condition (accounting §5.3)."""
UNKNOWN_OUTCOME = 999
SMALLEST_REPEAT = 100
"""Equal fills are different fills, so that two small pages may be equal; pages of a hundred rows are not."""
OVERLAP_SECONDS = 600
"""How far a finished walk is read again: caches are up to 5 minutes old, and labels come late (upstream.md §2)."""
SMALLEST_AMOUNT = "0.000001"
"""One micro-share. Leaving the filter out, or 0, means the default of 0.01 and would hide dust (accounting §1.10)."""

_MICRO_DECIMALS = 6
_PRICE_DECIMALS = 12
_PLAIN_DIGITS = 12
_POWERS = tuple(10**power for power in range(_PRICE_DECIMALS + 1))

OBSERVATION_NAMES = (
    "wallet", "token", "condition", "tx", "kind", "ts", "pos", "ordinal", "shares", "cash", "usdc_gross", "fee_usdc",
    "price_e12", "role", "outcome", "label", "flags",
)  # fmt: skip
"""What ``observation_columns`` takes; gross shares and the fee's asset follow from them."""


def observation_columns(rows: list[tuple[Any, ...]], source: str) -> Columns:
    """``observation_table`` of rows as tuples."""
    return observation_table(columns(OBSERVATION_NAMES, rows), source)


def observation_table(found: Columns, source: str) -> Columns:
    """Columns of the table ``observations``. REST fees are disclosed in USDC, and shares arrive net of V1 fees."""
    fees = found["fee_usdc"]
    return {
        **found,
        "source": [source] * len(fees),
        "fee_net": fees,
        "fee_asset": ["usdc" if fee else "" for fee in fees],
        "shares_gross": found["shares"],
    }


def printed(number: Printed) -> str | None:
    """A number as text: the exact parsers read text faster than they read a Decimal."""
    if type(number) is bytes:
        text: str = number.decode()
        return text
    return None if number is None else str(number)


def micros_of(number: Printed, what: str) -> int:
    """``printed_micros`` of a number; the common spelling, with at most six decimals, is read at once.

    Raises:
        BadInputError: as ``printed_micros``.
    """
    if type(number) is bytes:
        whole, _, decimals = number.partition(b".")
        digits = whole + decimals
        if len(decimals) <= _MICRO_DECIMALS and len(whole) < _PLAIN_DIGITS and digits.isdigit():
            micros: int = int(digits) * _POWERS[_MICRO_DECIMALS - len(decimals)]
            return micros
    return printed_micros(printed(number), what)


@lru_cache(maxsize=50_000)
def price_of(number: Printed) -> tuple[int, int, int]:
    """(digits, scale, price in 10⁻¹²) of a printed price = digits / scale; remembered, since most fills are at a tick.

    Raises:
        BadInputError: as ``parse_price``.
    """
    if type(number) is bytes:
        whole, _, decimals = number.partition(b".")
        plain, places = whole + decimals, len(decimals)
        if places <= _PRICE_DECIMALS and len(whole) < _PLAIN_DIGITS // 2 and plain.isdigit():
            digits = int(plain)
            return digits, _POWERS[places], digits * _POWERS[_PRICE_DECIMALS - places]
    digits, places = parse_price(printed(number))
    scale = 10**places
    return digits, scale, ratio_half_up(digits * PRICE_SCALE, scale)


def require_time(ts: int | None) -> int:
    """A plausible time, in seconds.

    Raises:
        RowRejectedError: missing, milliseconds, or before Polymarket.
    """
    if ts is None or not MIN_TIME <= ts <= MAX_TIME:
        raise RowRejectedError("bad_time", f"timestamp {ts} is not a plausible Unix time in seconds")
    return ts


def outcome_of(index: int | None) -> int:
    """The outcome index, 999 where it is unknown."""
    return index if index is not None and 0 <= index < UNKNOWN_OUTCOME else UNKNOWN_OUTCOME
