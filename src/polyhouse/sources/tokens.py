"""Offline check of what upstreams say about tokens: both ids of a condition are computed, not believed."""

from __future__ import annotations

from functools import lru_cache

from polyhouse.domain.contracts import USDC_E, WCOL
from polyhouse.domain.ids import token_ids, v2_token_id

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
