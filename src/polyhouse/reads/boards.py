"""Boards in memory: every wallet of one category and window as columns, kept until the next build.

A leaderboard is one question out of very many: any of a hundred orders, any mixture of filters, any page. On columns in
memory each of them takes a few milliseconds, whatever the sort; reading a board from the warehouse takes seconds where
there are a million wallets. So columns are read when a question first names them, and the least used are forgotten
first, one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from polyhouse.memory import available_memory
from polyhouse.metrics.ratios import RANK_MIN_TURNOVER, RANK_MIN_UNITS
from polyhouse.ports import Warehouse
from polyhouse.reads.board_columns import Array, newest_places, places_among, read_columns, stored_columns
from polyhouse.reads.board_rows import Board, Slice
from polyhouse.reads.board_shelf import Shelf
from polyhouse.reads.builds import newest_build
from polyhouse.reads.totals import OVERALL

LEAST_KEPT = 256 << 20
"""Bytes of the columns of all boards of one store that are kept in any case."""
_SHARE = 8
"""Else one part in so many of the memory that is available when the first board is asked for."""

T = TypeVar("T")
_TOTALS = (
    "realized", "unrealized_marked", "unmarked", "fees", "income", "untracked_cash", "redeemed_cash", "volume",
    "trades", "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost",
)  # fmt: skip
ENOUGH = {"min_units": RANK_MIN_UNITS, "min_gains_losses": RANK_MIN_TURNOVER}
"""Filters that all rows of a slice of those with enough closed bets pass."""
_ENOUGH = {
    "has_enough": f"toUInt8(toUInt64(wins) + losses + flats >= {RANK_MIN_UNITS}"
    f" AND toInt128(gains) + losses_abs >= {RANK_MIN_TURNOVER})"
}
_DERIVED = {
    "first_trade": "toUnixTimestamp(first_trade_ts)",
    "last_trade": "toUnixTimestamp(last_trade_ts)",
    "unrealized": "ifNull(t.unrealized, 0)",
    "unknown": "toUInt8(t.unrealized IS NULL)",
}
"""Columns with their SQL; ``unknown`` = an open position has no mark."""
_NEWEST = {"row_version": "t.version", "is_gone": "t.is_deleted"}
SCORES = ("whale_tenths", "insider_tenths")
_SCORED = "wallet_scores_v1"
_OF_WHOLE = ("volume", "trades")
_WHOLE = tuple(f"whole_{name}" for name in _OF_WHOLE)


class Boards:
    """The boards of one store. Holds no reference to it: the store is given with every call.

    Attributes:
        shelf: what is kept of them.
    """

    def __init__(self) -> None:
        self.shelf = Shelf(max((available_memory() or 0) // _SHARE, LEAST_KEPT))
        self._lock = threading.Lock()
        self._loading: dict[Slice, threading.Lock] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._facts: dict[str, tuple[int, Any]] = {}
        self._asked: set[Slice] = set()

    def get(
        self,
        warehouse: Warehouse,
        part: Slice,
        metrics: Sequence[str] = (),
        *,
        scores: bool = False,
        whole: bool = False,
    ) -> Board:
        """The board of a slice as of the newest build.

        Args:
            warehouse: the store.
            part: the slice.
            metrics: that are to be among its columns.
            scores: whether ``SCORES`` are.
            whole: whether ``whole_volume`` and ``whole_trades`` are: of each wallet in all categories of the window.
        """
        build, as_of = newest_build(warehouse)
        with self._lock:
            self._asked.add(part)
            turn = self._loading.setdefault(part, threading.Lock())
        with turn:
            board = self._base(warehouse, part, build, as_of)
            self._add(board, metrics, lambda names: _metrics(warehouse, board, names))
            if scores:
                self._add(board, SCORES, lambda names: _aligned(warehouse, board, _SCORED, names, "1", {}))
            if whole and part.category == OVERALL:
                board.columns |= {f"whole_{name}": board[name] for name in _OF_WHOLE}
            elif whole:
                self._add(board, _WHOLE, lambda _: _whole(warehouse, board))
        return board

    def take_asked(self) -> set[Slice]:
        """The slices that were asked for since the last call of this."""
        with self._lock:
            asked, self._asked = self._asked, set()
        return asked

    def once(self, name: str, build: int, read: Callable[[], T]) -> T:
        """What ``read`` returned for a build: read once, forgotten with the build."""
        with self._lock:
            turn = self._reading.setdefault(name, threading.Lock())
        with turn:
            found = self._facts.get(name)
            if found is None or found[0] != build:
                found = self._facts[name] = (build, read())
        value: T = found[1]
        return value

    def _base(self, warehouse: Warehouse, part: Slice, build: int, as_of: int) -> Board:
        kept = self.shelf.base((part, build))
        if kept is None:
            kept = _load(warehouse, part)
            size = sum(one.nbytes for one in (kept[0], *kept[1].values()))
            self.shelf.put_base((part, build), size, kept, instead_of=lambda one: one[1] != build)
        wallets, columns = kept
        return Board(part, build, as_of, wallets, dict(columns), self.shelf)

    def _add(self, board: Board, names: Sequence[str], read: Callable[[list[str]], dict[str, Array]]) -> None:
        """Give a board columns beside those of its base; those that are not kept are read together."""
        key = board.part, board.build
        found = {name: self.shelf.find(key, name) for name in names}
        missing = [name for name, column in found.items() if column is None]
        for name, column in (read(missing) if missing else {}).items():
            self.shelf.put(key, name, column.nbytes, column)
            found[name] = column
        board.columns |= found


def _load(warehouse: Warehouse, part: Slice) -> tuple[Array, dict[str, Array]]:
    """The addresses of a slice and its columns of totals."""
    rows = _totals(warehouse, part, {name: f"t.{name}" for name in _TOTALS} | _DERIVED | _ENOUGH)
    enough = rows.pop("has_enough")
    places = np.flatnonzero(enough) if part.enough else slice(None)
    wallets = rows.pop("wallet")[places]
    return wallets, {name: _narrow(column[places]) for name, column in rows.items()}


def _narrow(column: Array) -> Array:
    """Counts as they are, other whole numbers with a sign."""
    return column if column.dtype in (np.uint8, np.uint32) else column.astype(np.int64)


def _totals(warehouse: Warehouse, part: Slice, chosen: Mapping[str, str]) -> dict[str, Array]:
    """Columns of the totals of a slice, of all its wallets, in the order of addresses."""
    # The engine has the rows in this order only for reads without FINAL and without ORDER BY (the projection by_board):
    # a quarter of the work. The newest version of each row is found here.
    found = read_columns(
        warehouse, {**chosen, **_NEWEST},
        "FROM wallet_totals AS t WHERE category = {category:String} AND window = {window:String}",
        {"category": part.category, "window": part.window},
    )  # fmt: skip
    places = newest_places(found["wallet"], found.pop("row_version"), found.pop("is_gone"))
    return {name: found[name][places] for name in list(found)}


def _whole(warehouse: Warehouse, board: Board) -> dict[str, Array]:
    whole = _totals(
        warehouse, Slice(OVERALL, board.part.window, enough=False), {name: f"t.{name}" for name in _OF_WHOLE}
    )
    places, known = places_among(whole["wallet"], board.wallets)
    found = {}
    for name in _OF_WHOLE:
        column = board[name].copy()  # a build may have come between: who is new is taken by what the board has
        column[known] = whole[name][places[known]]
        found[f"whole_{name}"] = column
    return found


def _metrics(warehouse: Warehouse, board: Board, names: Sequence[str]) -> dict[str, Array]:
    table, condition = "wallet_metrics_complete", "window = {window:String}"
    bound = {"window": board.part.window}
    if board.part.category != OVERALL:
        table, condition = "wallet_metrics_by_category", f"{condition} AND category = {{category:String}}"
        bound["category"] = board.part.category
    return _aligned(warehouse, board, table, names, condition, bound)


def _aligned(
    warehouse: Warehouse, board: Board, table: str, names: Sequence[str], condition: str, bound: Mapping[str, Any]
) -> dict[str, Array]:
    """Columns of another table in the order of the board's wallets; NaN where there is no row or no value."""
    stored = boards_of(warehouse).once(
        f"columns of {table}", board.build, lambda: stored_columns(warehouse, table)
    )  # fmt: skip
    chosen = {name: f"toFloat64(ifNull({name}, nan))" for name in names if name in stored}
    rows = read_columns(warehouse, chosen, f"FROM {table} FINAL PREWHERE {condition}", bound)
    places, known = places_among(board.wallets, rows.pop("wallet"))
    aligned = {name: np.full(len(board), np.nan) for name in names}
    for name, column in rows.items():
        aligned[name][places[known]] = column[known]
    return aligned


_boards: WeakKeyDictionary[Warehouse, Boards] = WeakKeyDictionary()
_creating = threading.Lock()


def boards_of(warehouse: Warehouse) -> Boards:
    """The boards of a store; one set per open store, forgotten with it."""
    with _creating:
        found = _boards.get(warehouse)
        if found is None:
            found = _boards[warehouse] = Boards()
        return found
