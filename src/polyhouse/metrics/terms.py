"""Words and fragments that entries of the catalogue share."""

from __future__ import annotations

from polyhouse.domain.categories import CATEGORIES

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


def cut_to_six(numerator: str, denominator: str) -> str:
    """The quotient of two whole numbers as a decimal text, cut after six digits; the denominator must not be 0."""
    return f"toString(toDecimal128(intDiv(toInt256({numerator}) * 1000000, {denominator}), 6) / 1000000)"


def json_by_category(sums: str, counts: str) -> str:
    """A JSON text: category → Σ / count in millionths, where the count is not 0; NULL if none is.

    Args:
        sums: an array of sums in micro-units, in the order of ``CATEGORIES``.
        counts: what each is divided by.
    """
    value = cut_to_six("s", "(k * 1000000)")
    pairs = (
        f"arrayMap((c, s, k) -> if(k > 0, concat('\"', c, '\":', {value}), ''), {list(CATEGORIES)}, {sums}, {counts})"
    )
    filled = f"arrayFilter(pair -> pair != '', {pairs})"
    return f"if(arraySum({counts}) > 0, concat('{{', arrayStringConcat({filled}, ','), '}}'), NULL)"


def json_object(keys: str, values: str) -> str:
    """A JSON text from an array of keys and one of texts (JSON numbers or ``null``)."""
    pairs = f"arrayMap((k, v) -> concat('\"', k, '\":', v), {keys}, {values})"
    return f"concat('{{', arrayStringConcat({pairs}, ','), '}}')"
