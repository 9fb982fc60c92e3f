"""Money, shares and prices as integers of millionths (accounting §1.1). No binary float is accepted anywhere.

One micro-USDC and one micro-share are 10⁻⁶. Prices are ratios; where one number is needed it is ``price_e6`` of a fill,
or the printed price in 10⁻¹².
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any

from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError

MICRO = 1_000_000
PRICE_SCALE = 10**12
MAX_MICROS = 10**18
"""No single amount reaches 10¹² $ or shares; more is a unit mistake (wei, or micro-units taken for dollars)."""
MAX_PRICE = 10**6
"""Prices above 1 exist on chain (accounting §1.6); above a million per share they are swapped columns."""

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_MAX_TEXT = 120
_TENS = tuple(10**power for power in range(7))
_EXACT = Context(prec=200, traps=[InvalidOperation, Inexact, Overflow])


def parse_decimal(value: Any, what: str = "number") -> Decimal:
    """The exact decimal value of JSON-like number text, a ``Decimal`` or an int.

    Raises:
        BadInputError: floats, booleans, NaN, infinities, signs with ``+``, spaces, separators, look-alike digits.
    """
    if type(value) is int:
        return Decimal(value) if -(10**40) < value < 10**40 else _refuse(value, what, "it is far too large")
    if type(value) is Decimal:
        if value.is_finite() and -120 < value.adjusted() < 40 and int(value.as_tuple().exponent) > -120:
            return value
        return Decimal(0) if value.is_zero() else _refuse(value, what, "it is not a usable number")
    if type(value) is str:
        if len(value) <= _MAX_TEXT and _NUMBER.fullmatch(value):
            return parse_decimal(Decimal(value), what)
        return _refuse(value, what, "it is not a plain decimal number")
    return _refuse(value, what, f"it is {type(value).__name__}, which is not an exact number")


def _refuse(value: Any, what: str, reason: str) -> Decimal:
    raise BadInputError(f"{what} {shown(value)} is not valid: {reason}; expected a plain decimal number such as 12.5")


def plain_digits(value: Any) -> tuple[int, int] | None:
    """(digits, decimals) with value = digits · 10⁻decimals for the common spelling ``12.345``, else None.

    The fast path of bulk decoding: no exponent, no sign, at most 18 digits on each side.
    """
    text = value if type(value) is str else str(value) if type(value) is Decimal else None
    if text is None or not text.isascii():
        return None
    whole, dot, fraction = text.partition(".")
    if not whole.isdigit() or len(whole) > 18 or (whole[0] == "0" and len(whole) > 1):
        return None
    if not dot:
        return int(whole), 0
    if not fraction.isdigit() or len(fraction) > 18:
        return None
    return int(whole + fraction), len(fraction)


def micros(value: Any, what: str = "amount", *, allow_negative: bool = False) -> int:
    """Exact integer millionths of a decimal number given in whole units (dollars, shares).

    Raises:
        BadInputError: not a number, more than 6 decimals, negative unless allowed, or 10¹² and more.
    """
    plain = plain_digits(value)
    if plain is not None and plain[1] <= 6:
        scaled: int = plain[0] * 10 ** (6 - plain[1])
        if scaled < MAX_MICROS:
            return scaled
    number = parse_decimal(value, what)
    try:
        scaled = int(_EXACT.to_integral_exact(_EXACT.scaleb(number, 6)))
    except Inexact:
        raise BadInputError(f"{what} {shown(value)} is not valid: it has more than 6 decimals") from None
    if scaled < 0 and not allow_negative:
        raise BadInputError(f"{what} {shown(value)} is not valid: it is negative")
    if not -MAX_MICROS < scaled < MAX_MICROS:
        raise BadInputError(f"{what} {shown(value)} is not valid: 10^12 and more cannot be (are the units mixed up?)")
    return scaled


def printed_micros(value: Any, what: str = "amount") -> int:
    """As ``micros``, but forgives the print noise of an upstream's binary float (``2538.2661200000002``).

    The nearest micro is taken if it is within 4 units in the last place of a double (2⁻⁵⁰ of the value); more digits
    than that are real ones and refused. Never negative.

    Raises:
        BadInputError: as ``micros``.
    """
    plain = plain_digits(value)
    if plain is not None:
        digits, decimals = plain
        if decimals <= 6:
            nearest: int = digits * _TENS[6 - decimals]
            noise = 0
        else:
            scale = 10 ** (decimals - 6)
            nearest = ratio_half_up(digits, scale)
            noise = abs(digits - nearest * scale)
        if noise << 50 <= digits and nearest < MAX_MICROS:
            return nearest
    return micros(value, what)


def parse_price(value: Any, what: str = "price") -> tuple[int, int]:
    """A price per share with all its printed digits, as (digits, decimals): price = digits · 10⁻decimals.

    Raises:
        BadInputError: not a number, negative, or above a million.
    """
    plain = plain_digits(value)
    if plain is not None and plain[0] <= MAX_PRICE * 10 ** plain[1]:
        return plain
    number = parse_decimal(value, what)
    if number < 0:
        raise BadInputError(f"{what} {shown(value)} is not valid: it is negative")
    if number > MAX_PRICE:
        raise BadInputError(f"{what} {shown(value)} is not valid: no share costs that much (are columns swapped?)")
    numerator, denominator = number.as_integer_ratio()
    decimals = max(0, -int(number.as_tuple().exponent))
    return numerator * 10**decimals // denominator, decimals


def price_e12(value: Any, what: str = "price") -> int:
    """A printed price in 10⁻¹², half up where it has more digits. For identity and display, never for money.

    Raises:
        BadInputError: as ``parse_price``.
    """
    digits, decimals = parse_price(value, what)
    return ratio_half_up(digits * PRICE_SCALE, 10**decimals)


def ratio_half_up(numerator: int, denominator: int) -> int:
    """The integer nearest to a non-negative ratio, ties upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def whole_units(amount: int) -> Decimal:
    """Integer millionths in whole units with as few decimals as they need: 12500000 → ``12.5``, 0 → ``0``."""
    if type(amount) is not int:
        raise BadInputError(f"amount {shown(amount)} is not valid: expected a whole number of millionths")
    decimals = 6
    while decimals and amount % 10 == 0:
        amount, decimals = amount // 10, decimals - 1
    return _EXACT.scaleb(amount, -decimals)


def price_e6(usdc: int, shares: int) -> int | None:
    """Price of a fill in millionths, half up; None for zero shares (accounting §1.1, K44–K46)."""
    if shares == 0:
        return None
    return ratio_half_up(usdc * MICRO, shares)
