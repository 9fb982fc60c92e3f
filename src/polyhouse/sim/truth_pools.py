"""What the logs of AMM pools mean for wallets (accounting §2.7): a part of the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from polyhouse.sim.model import Log, SimMarket, SimPool


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Liquidity that was added or taken out.

    Attributes:
        lp_token: token of the LP shares.
        shares: LP shares minted (positive) or burned (negative).
        cash: what they cost (negative) or brought, micro-USDC.
        returned: (token, micro-shares, cost) of the outcome shares that came back on this occasion.
    """

    wallet: str
    lp_token: str
    shares: int
    cash: int
    returned: tuple[tuple[str, int, int], ...]


def liquidity(log: Log, tokens: tuple[str, str]) -> Liquidity:
    """The event of a ``FPMMFundingAdded`` or ``FPMMFundingRemoved`` of a pool of these tokens."""
    f = log.fields
    lp_token = str(int(f["fpmm"], 16))
    if log.t == "FPMMFundingAdded":
        return _added(f, lp_token, tokens)
    return _removed(f, lp_token, tokens)


def _added(f: dict[str, Any], lp_token: str, tokens: tuple[str, str]) -> Liquidity:
    """Who funds pays the larger amount for pairs; of the outcome that the pool took less of, the rest comes back."""
    a0, a1 = f["amounts"]
    paid = max(a0, a1)
    returned: tuple[tuple[str, int, int], ...] = ()
    if a0 < a1:
        returned = ((tokens[0], a1 - a0, (a1 - a0) * a1 // (a0 + a1)),)
    elif a1 < a0:
        returned = ((tokens[1], a0 - a1, (a0 - a1) * a0 // (a0 + a1)),)
    rest = paid - sum(cost for _, _, cost in returned)
    return Liquidity(f["funder"], lp_token, f["shares"], -rest, returned)


def _removed(f: dict[str, Any], lp_token: str, tokens: tuple[str, str]) -> Liquidity:
    """Both outcomes come back at equal cost; that, and the fees, is what the LP shares brought."""
    r0, r1 = f["amounts"]
    cost = r0 * r1 // (r0 + r1) if r0 + r1 else 0
    returned = tuple((token, shares, cost) for token, shares in zip(tokens, (r0, r1), strict=True) if shares)
    return Liquidity(f["funder"], lp_token, -f["shares"], f["fees"] + cost * len(returned), returned)


def lp_market(market: SimMarket, pool: SimPool) -> SimMarket:
    """What stands for the LP shares of a pool: a market that never ends, with one token and no complement."""
    return replace(market, condition_id=pool.lp_condition, token_ids=(pool.lp_token, ""), numerators=None, pool=None)
