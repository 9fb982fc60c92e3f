"""A program as users write it. `mypy --strict` reads it with the product's sources; nobody runs it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_type

import polyhouse
from polyhouse.api.results import Listing, Query
from polyhouse.api.rows import BoardRow, Trade


def best_wallets(least: Decimal) -> list[str]:
    """Whoever realised at least so much."""
    with polyhouse.open("/data/polyhouse") as ph:
        assert_type(ph, polyhouse.Polyhouse)
        board = ph.leaderboard(category="sports", limit=20)
        assert_type(board, Listing[BoardRow])
        return [row.wallet for row in board.rows() if row.realized >= least]


def paid_fees(wallet: str) -> Decimal:
    """What a wallet paid in fees."""
    with polyhouse.open() as ph:
        trades = ph.trades(wallet).where("volume >= 10", side="BUY")
        assert_type(trades, Query[Trade])
        return sum((trade.fee for trade in trades.rows()), Decimal(0))


async def count_rows() -> int:
    """Rows of a table, without waiting for them one after the other."""
    async with polyhouse.open_async() as ph:
        assert_type(ph, polyhouse.AsyncPolyhouse)
        rows = await ph.table("totals").limit(5).rows()
        assert_type(rows, list[dict[str, Any]])
        return len(rows) + await ph.trades().count()
