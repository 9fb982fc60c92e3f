"""Bootstrap intervals of omega and return of one wallet (docs/flags.md)."""

from __future__ import annotations

from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.exact import shortest

_BOUNDS = ("omega_low", "omega_high", "roi_low", "roi_high")


def intervals(warehouse: Warehouse, wallet: bytes) -> list[dict[str, Any]]:
    """95 % intervals per category and window with 20 to 400 closed bets, ``overall`` first.

    Each has ``category``, ``window``, ``bets``, ``omega_low``, ``omega_high``, ``roi_low`` and ``roi_high``; a bound
    that does not exist is None (nothing won or lost, nothing staked, or no loss in too many replicates).

    Args:
        wallet: 20 bytes.
    """
    rows = warehouse.query(
        f"SELECT category, window, bets, {', '.join(_BOUNDS)} FROM wallet_intervals FINAL"
        " WHERE wallet = toFixedString(unhex({wallet:String}), 20)"
        " ORDER BY category != 'overall', category, indexOf(['30d', '90d', '180d', 'lifetime'], window)",
        {"wallet": wallet.hex()},
    ).rows
    return [
        {
            "category": str(category), "window": str(window), "bets": int(bets),
            **{name: None if bound is None else shortest(bound) for name, bound in zip(_BOUNDS, bounds, strict=True)},
        }
        for category, window, bets, *bounds in rows
    ]  # fmt: skip
