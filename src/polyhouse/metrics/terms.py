"""Words and fragments that entries of the catalogue share."""

from __future__ import annotations

USD = "1000000"
"""Micro-USDC per USDC, as SQL."""

SEED = "seed_systems.md §2.1"
NO_LOSS = "no losing bet"
NO_STAKE = "nothing was staked"
UNDECIDED = "no bet is won or lost"
ONE_SIDED = "no won bet, or no lost bet"


def over(numerator: str, denominator: str, condition: str = "") -> str:
    """numerator / denominator where the condition (by default: a denominator) holds, else NULL."""
    return f"if({condition or f'{denominator} != 0'}, toFloat64({numerator}) / toFloat64({denominator}), NULL)"
