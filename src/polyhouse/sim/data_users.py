"""The simulated Data API's wallet statistics: user-stats, user-pnl, user-volume (data-api-v2, accounting §3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from polyhouse.sim.book import Book, Folder
from polyhouse.sim.data_api import time_bounds
from polyhouse.sim.indexer import Row
from polyhouse.sim.positions import wallet_book
from polyhouse.sim.wire import Query, Reply, address, choice, number
from polyhouse.sim.world import World

_DAY = 86_400
_FIDELITY = {"1d": _DAY, "18h": 64_800, "12h": 43_200, "3h": 10_800, "1h": 3_600}
_INTERVAL = {"max": 0, "all": 0, "1m": 30 * _DAY, "1w": 7 * _DAY, "1d": _DAY, "12h": 43_200, "6h": 21_600}


def _unrealized(world: World, book: Book) -> int:
    total = 0
    for (market, outcome), entry in book.entries.items():
        price = world.catalog.markets[market].price(outcome)
        total += entry.amount * price // 10**10 - entry.amount * entry.avg // 10**6
    return total


def _point(book: Book, ts: int, block: int, unrealized: int | None) -> dict[str, Any]:
    """One cumulative point. Realised figures are after fees; ``trade_pnl`` gives them back (accounting §3.1)."""
    income, realized = book.income, book.realized - book.fees
    wallet_income = sum(income[name] for name in _INCOME)
    position = None if unrealized is None else realized + unrealized
    return {
        "timestamp": ts, "source_block": block, "realized_market_pnl": number(realized), "realized_lp_pnl": number(0),
        "realized_combo_pnl": number(0), "unrealized_pnl": _maybe(unrealized), "fees_refunded": number(0),
        "maker_rebate": number(income["MAKER_REBATE"]), "taker_rebate": number(income["TAKER_REBATE"]),
        "reward_income": number(income["REWARD"]), "yield_income": number(income["YIELD"]),
        "referral_income": number(income["REFERRAL_REWARD"]), "deposits": None, "withdrawals": None,
        "realized_pnl": number(realized), "wallet_income": number(wallet_income), "position_pnl": _maybe(position),
        "settled_pnl": number(realized + wallet_income),
        "economic_pnl": _maybe(None if position is None else position + wallet_income),
        "trade_pnl": _maybe(None if position is None else position + book.fees), "sponsored_income": number(0),
        "fees": number(-book.fees), "fees_paid": number(-book.fees), "cashflow_net": None,
        "volume": number(book.shares), "volume_usdc": number(book.usdc), "trade_count": book.fills,
    }  # fmt: skip


_INCOME = ("MAKER_REBATE", "TAKER_REBATE", "REWARD", "YIELD", "REFERRAL_REWARD")


def _maybe(value: int | None) -> Any:
    return None if value is None else number(value)


def user_stats(world: World, query: Query) -> Reply:
    """``/v2/user-stats``: null for a wallet never seen; ``trades`` counts distinct markets."""
    user = address(query, world.is_contract, required=True)
    wallet = world.views.wallet_id(user or "")
    if wallet is None:
        return Reply({"data": None})
    book = wallet_book(world, wallet)
    best = max((entry.realized for entry in book.entries.values()), default=0)
    doc = {
        "proxy_wallet": user, "trades": len(book.markets), "biggest_win": number(max(best, 0)), "views": 0,
        "join_date": book.first_ts,
        "all_time_pnl": _point(book, world.now, world.views.last_block, _unrealized(world, book)),
    }  # fmt: skip
    return Reply({"data": doc})


def user_pnl(world: World, query: Query) -> Reply:
    """``/v2/user-pnl``: cumulative points; only the newest has an unrealised part (older marks are not kept)."""
    user = address(query, world.is_contract, required=True)
    interval, fidelity = (
        choice(query, "interval", tuple(_INTERVAL), "max"),
        choice(query, "fidelity", tuple(_FIDELITY), "1d"),
    )
    wallet = world.views.wallet_id(user or "")
    points = [] if wallet is None else _points(world, wallet, _INTERVAL[interval], _FIDELITY[fidelity])
    doc = {
        "proxy_wallet": user, "interval": interval, "fidelity": fidelity, "source_fidelity": fidelity, "points": points,
    }  # fmt: skip
    return Reply({"data": doc})


def _points(world: World, wallet: int, span: int, step: int) -> list[dict[str, Any]]:
    folder, points = Folder(world.catalog.markets), []
    rows = _Peekable(world.views.history(wallet))
    first = rows.head[1] if rows.head else world.now
    at = ((max(world.now - span, first) if span else first) // step + 1) * step
    while at < world.now:
        book = folder.feed(rows.until(at))
        points.append(_point(book, at, world.views.last_block, None))
        at += step
    book = folder.feed(rows.until(world.now + 1))
    return [*points, _point(book, world.now, world.views.last_block, _unrealized(world, book))]


class _Peekable:
    """Rows with one row of look-ahead, taken in slices of time."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.head: Row | None = next(rows, None)

    def until(self, ts: int) -> Iterator[Row]:
        """Rows strictly before ``ts``."""
        while self.head is not None and self.head[1] < ts:
            row, self.head = self.head, next(self._rows, None)
            yield row


def user_volume(world: World, query: Query) -> Reply:
    """``/v2/user-volume``: shares, USDC and fills; ``start`` and ``end`` are widened to whole UTC days."""
    user = address(query, world.is_contract, required=True)
    start, end = time_bounds(query)
    wallet = world.views.wallet_id(user or "")
    low = (start or 0) // _DAY * _DAY
    high = world.now if end is None else end // _DAY * _DAY + _DAY - 1
    shares, usdc, fills = (0, 0, 0) if wallet is None else world.views.volume(wallet, low, high)
    return Reply({"data": {"volume": number(shares), "volume_usdc": number(usdc), "trade_count": fills}})
