"""Exchange fees by formula (accounting §1.8). For estimates and checks: booked fees come from logs and rows."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

Side = Literal["BUY", "SELL"]

_FEE_STEP = 10
"""Charged fees are floored to 5 decimals of a dollar: 10 micro-USDC."""
_PRICE_ONE = 10**18
_BASIS_POINTS = 10**4


def platform_fee(rate: Fraction, shares: int, price: Fraction, exponent: int = 1) -> int:
    """Taker fee of the published schedule in micro-USDC: shares · rate · (p(1−p))^exponent (K29–K32, K47, K48).

    Floored to 5 decimals, as real rows show. ``shares`` in micro-shares, ``price`` as a plain ratio; prices at or
    beyond 0 and 1 pay nothing.
    """
    spread = price * (1 - price)
    if spread <= 0:
        return 0
    return int(shares * rate * spread**exponent / _FEE_STEP) * _FEE_STEP


def platform_fee_shares(rate: Fraction, shares: int, price: Fraction) -> int:
    """The same value as V1 took it from a BUY, in micro-shares: shares · rate · (1−p), floored to 5 decimals."""
    if not 0 < price < 1:
        return 0
    return int(shares * rate * (1 - price) / _FEE_STEP) * _FEE_STEP


def v1_fee(rate_bps: int, shares: int, making: int, taking: int, side: Side) -> int:
    """Fee of the V1 exchange contract: micro-shares for a BUY, micro-USDC for a SELL (P22–P35).

    ``making`` and ``taking`` are the order's amounts. The price is scaled by 10¹⁸ and floored as on chain; no fee at a
    price of 0 or above 1.
    """
    quote, base = (making, taking) if side == "BUY" else (taking, making)
    price = quote * _PRICE_ONE // base if base else 0
    if price == 0 or price > _PRICE_ONE:
        return 0
    numerator = rate_bps * min(price, _PRICE_ONE - price) * shares
    return numerator // ((price if side == "BUY" else _PRICE_ONE) * _BASIS_POINTS)


def v1_fee_refund(rate_bps: int, shares: int, making: int, taking: int, side: Side, operator_fee: int) -> int:
    """What the fee module sends back: the fee of the order's own rate less what the operator asked for (P36–P39)."""
    return max(v1_fee(rate_bps, shares, making, taking, side) - operator_fee, 0)
