"""The ratios of the documents: 9 decimals half-even, or None where they are undefined."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from polyhouse.metrics import ratios

SHRINKAGE = ratios.SHRINKAGE


def omega_of(gains: int, losses: int, units: int) -> dict[str, Any]:
    """Omega at threshold 0 as ``{"value", "status"}``, from sums in micro-USDC over closed units (accounting §4.1)."""
    omega = ratios.omega_of(gains, losses, units)
    return {"value": omega.value, "status": omega.status}


def omega_shrunk_of(gains: int, losses: int) -> Decimal | None:
    """(G+λ)/(L+λ) with λ = 50 $: what leaderboards rank by."""
    return ratios.omega_shrunk_of(gains, losses).value


def win_rate_of(wins: int, losses: int) -> Decimal | None:
    """wins / (wins + losses) by unit; None without either."""
    return ratios.win_rate_of(wins, losses).value


def roi_of(position_pnl: int | None, bought_cost: int) -> Decimal | None:
    """position_pnl / Σ bought cost; None without a cost or while a mark is missing."""
    return None if position_pnl is None else ratios.roi(position_pnl, bought_cost).value


def grade_of(gains: int, losses: int) -> str | None:
    """The letter of the shrunk omega, S to F."""
    return ratios.grade(omega_shrunk_of(gains, losses))
