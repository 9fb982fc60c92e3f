"""Prices and payouts in millionths: marks, AMM and neg-risk prices, redemption (accounting §1.1, §2, §3.4)."""

from __future__ import annotations

from collections.abc import Sequence

_MICRO = 1_000_000

PricedAt = tuple[int, int]
"""(price_e6, place in log order) of a token's last fill."""


def mark_price(own: PricedAt | None, complement: PricedAt | None, listed_e6: int | None = None) -> int | None:
    """Mark of a token in millionths (K39–K41): its last fill, or 10⁶ − that of its complement, whichever is later.

    The token's own fill wins a tie. Without any fill the listed price; None if there is none: unknown is not zero.
    """
    if own is not None and (complement is None or own[1] >= complement[1]):
        return own[0]
    if complement is not None:
        return _MICRO - complement[0]
    return listed_e6


def neg_risk_yes_price(no_price_e6: int, no_count: int, question_count: int) -> int | None:
    """YES price implied by a conversion of ``no_count`` NO tokens (parity formula of accounting §2.9, P01, P02).

    (p·m − 10⁶·(m−1)) / (n−m), truncated toward zero, may be negative; None if every question is converted.
    """
    others = question_count - no_count
    if others <= 0:
        return None
    value = no_price_e6 * no_count - _MICRO * (no_count - 1)
    return value // others if value >= 0 else -(-value // others)


def fpmm_price(amounts: Sequence[int]) -> list[int] | None:
    """Prices of both outcomes of an AMM pool from its balances, floored (P03); None for an empty pool."""
    total = sum(amounts)
    if total == 0:
        return None
    first, second = amounts
    return [second * _MICRO // total, first * _MICRO // total]


def ctf_redeem(balances: Sequence[int], numerators: Sequence[int]) -> int:
    """Payout of balances at a payout vector: Σ floor(balance · v_i / Σv) (accounting §2.4, P40)."""
    denominator = sum(numerators)
    if denominator == 0:
        return 0
    return sum(balance * share // denominator for balance, share in zip(balances, numerators, strict=True))
