"""Offline check of what upstreams say about tokens: both ids of a condition are computed, not believed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from polyhouse.domain.contracts import USDC_E, WCOL
from polyhouse.domain.ids import format_condition, token_ids, v2_token_id
from polyhouse.errors import BadInputError
from polyhouse.sources.columns import token_of

_V2_BYTES = 31
_computed = lru_cache(maxsize=20_000)(token_ids)


def is_token_of(token: bytes, condition: bytes, outcome: int, *, neg_risk: bool) -> bool:
    """Whether ``token`` is outcome ``outcome`` (0 or 1) of ``condition`` (accounting §5.3).

    ``neg_risk`` says which collateral to try first; the ids themselves decide, since no other collateral can give the
    same token.
    """
    if len(condition) == _V2_BYTES:
        return token == v2_token_id(condition, outcome)
    collaterals = (WCOL, USDC_E) if neg_risk else (USDC_E, WCOL)
    return any(_computed(condition, collateral)[outcome] == token for collateral in collaterals)


def proven_tokens(
    listed: Sequence[str], condition: bytes, *, neg_risk: bool
) -> tuple[list[tuple[bytes, bytes, int]], list[tuple[str, str]]]:
    """The listed tokens of a condition that are proven to be its own, and why the others are not.

    Returns:
        (token, condition, outcome) of the proven ones, and (reason, message) of each other one. Conditions with other
        than two tokens cannot be checked: reason ``not_binary``.
    """
    proven: list[tuple[bytes, bytes, int]] = []
    refused: list[tuple[str, str]] = []
    for outcome, text in enumerate(listed):
        try:
            token = token_of(text)
        except BadInputError as error:
            refused.append(("bad_value", str(error)))
            continue
        if len(listed) != 2:
            refused.append(("not_binary", f"{len(listed)} tokens"))
        elif is_token_of(token, condition, outcome, neg_risk=neg_risk):
            proven.append((token, condition, outcome))
        else:
            refused.append(
                ("token_mismatch", f"token {text} is not outcome {outcome} of {format_condition(condition)}")
            )
    return proven, refused
