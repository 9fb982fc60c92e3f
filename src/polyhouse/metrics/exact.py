"""Exact ratios: integers in, decimals of nine places half-even out, a status instead of infinities (accounting §4)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

PLACES = 9
_SCALE = 10**PLACES
_UNIT = Decimal(1).scaleb(-PLACES)
_WIDE = Context(prec=80, rounding=ROUND_HALF_EVEN)

OK = "OK"
NO_SAMPLE = "NO_SAMPLE"
"""Nothing to measure yet."""
NO_LOSSES = "NO_LOSSES"
"""Omega: gains without any loss; the ratio has no value."""
ALL_FLAT = "ALL_FLAT"
"""Neither gains nor losses, or wins and losses both zero."""
NO_COST = "NO_COST"
"""A return on nothing: no capital was put in."""
NO_VARIANCE = "NO_VARIANCE"
"""A risk ratio whose risk is zero."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with nine decimals, or None with the reason in ``status``; never NaN or infinite."""

    value: Decimal | None
    status: str = OK


def nine(numerator: int, denominator: int = 1) -> Decimal:
    """numerator / denominator with nine decimals, half-even on the exact value; the denominator is not zero."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    whole, rest = divmod(numerator * _SCALE, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        whole += 1
    return _WIDE.scaleb(whole, -PLACES)


def nine_of(value: Fraction) -> Decimal:
    """An exact fraction with nine decimals, half-even."""
    return nine(value.numerator, value.denominator)


def nine_decimal(value: Decimal) -> Decimal:
    """An already long decimal with nine decimals, half-even."""
    # plus: a tiny negative number must not print as -0.
    return _WIDE.plus(value.quantize(_UNIT, context=_WIDE))


def ratio(numerator: int, denominator: int, status_if_zero: str) -> Ratio:
    """numerator / denominator, or no value with that status."""
    return Ratio(nine(numerator, denominator)) if denominator else Ratio(None, status_if_zero)


def wide(value: Fraction) -> Decimal:
    """An exact fraction as a decimal of 80 significant digits, for formulas with square roots."""
    return _WIDE.divide(Decimal(value.numerator), Decimal(value.denominator))


def root(value: Fraction) -> Decimal:
    """Square root of a non-negative fraction to 80 significant digits."""
    return _WIDE.sqrt(wide(value))


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Division to 80 significant digits."""
    return _WIDE.divide(numerator, denominator)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Product to 80 significant digits."""
    return _WIDE.multiply(left, right)
