"""Boards in memory: every wallet of one category and window as columns, kept until the next build.

A leaderboard is one question out of very many: any of a hundred orders, any mixture of filters, any page. On columns in
memory each of them takes about a millisecond, whatever the sort; reading a board from the warehouse takes some dozens.
The least used boards are forgotten first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from polyhouse.memory import available_memory
from polyhouse.metrics.ratios import RANK_MIN_TURNOVER, RANK_MIN_UNITS
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build
from polyhouse.reads.totals import OVERALL
from polyhouse.warehouse.streaming import BULK

LEAST_KEPT = 256 << 20
"""Bytes of the columns of all boards of one store that are kept in any case."""
_SHARE = 8
"""Else one part in so many of the memory that is available when the first board is asked for."""

Array = npt.NDArray[Any]
T = TypeVar("T")
_TOTALS = (
    "realized", "unrealized_marked", "unmarked", "fees", "income", "untracked_cash", "redeemed_cash", "volume",
    "trades", "markets", "wins", "losses", "flats", "open_units", "gains", "losses_abs", "bought_cost",
)  # fmt: skip
_ENOUGH = f"toUInt64(wins) + losses + flats >= {RANK_MIN_UNITS} AND toInt128(gains) + losses_abs >= {RANK_MIN_TURNOVER}"
_DERIVED = {
    "first_trade": "toUnixTimestamp(first_trade_ts)",
    "last_trade": "toUnixTimestamp(last_trade_ts)",
    "unrealized": "ifNull(t.unrealized, 0)",
    "unknown": "toUInt8(t.unrealized IS NULL)",
}
"""Columns with their SQL; ``unknown`` = an open position has no mark."""
_NEWEST = {"row_version": "t.version", "is_gone": "t.is_deleted", "has_enough": f"toUInt8({_ENOUGH})"}
SCORES = ("whale_tenths", "insider_tenths")


@dataclass(frozen=True, slots=True)
class Slice:
    """Which wallets: one category, one window, and of those all, or the ones with enough closed bets to be ranked."""

    category: str
    window: str
    enough: bool


@dataclass(eq=False, slots=True)
class Board:
    """The rows of one slice as of one build, sorted by address.

    Attributes:
        build: number of the build, as_of: end of its windows (Unix seconds).
        wallets: addresses of 20 bytes (dtype S20: compare and search, but take bytes with ``wallet``).
        orders: kept orders by (sort, reverse): places of all rows, best first.
        kept: what readers of the board keep with it, by name: it lives as long as the build is the newest.
    """

    part: Slice
    build: int
    as_of: int
    wallets: Array
    columns: dict[str, Array]
    orders: dict[tuple[str, bool], Array] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.wallets)

    def wallet(self, place: int) -> bytes:
        """The address of a row."""
        return bytes(self.wallets[place].ljust(20, b"\0"))

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def size(self) -> int:
        """Bytes of all columns."""
        return self.wallets.nbytes + sum(
            one.nbytes for one in (*list(self.columns.values()), *list(self.orders.values()))
        )


class Boards:
    """The boards of one store. Holds no reference to it: the store is given with every call.

    Attributes:
        most_bytes: of all columns that are kept; one board is, whatever it takes.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Slice, Board] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[Slice, threading.Lock] = {}
        self._reading: dict[str, threading.Lock] = {}
        self._facts: dict[str, tuple[int, Any]] = {}
        self.most_bytes = max((available_memory() or 0) // _SHARE, LEAST_KEPT)

    def get(self, warehouse: Warehouse, part: Slice, metrics: Sequence[str] = (), *, scores: bool = False) -> Board:
        """The board of a slice as of the newest build, with these metrics (and the scores) among its columns."""
        build, as_of = newest_build(warehouse)
        with self._lock:
            turn = self._loading.setdefault(part, threading.Lock())
        with turn:
            board = self._kept.get(part)
            if board is None or board.build != build:
                board = _load(warehouse, part, build, as_of)
            known = len(board.columns)
            missing = [name for name in metrics if name not in board.columns]
            board.columns |= _metrics(warehouse, board, missing)
            if scores and SCORES[0] not in board.columns:
                board.columns |= _aligned(warehouse, board, "wallet_scores_v1", SCORES, "1", {})
        with self._lock:
            is_new = self._kept.get(part) is not board
            self._kept[part] = board
            self._kept.move_to_end(part)
            if is_new or len(board.columns) > known:
                self._forget_least_used()
        return board

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

    def add_whole(self, warehouse: Warehouse, board: Board) -> None:
        """Give a board ``whole_volume`` and ``whole_trades``: of each wallet in all categories of the window."""
        if "whole_volume" in board.columns:
            return
        whole = board
        if board.part.category != OVERALL:
            whole = self.get(warehouse, Slice(OVERALL, board.part.window, enough=False))
        places, known = _places(whole.wallets, board.wallets)
        for name in ("trades", "volume"):
            column = board[name].copy()  # a build may have come between: who is new is taken by what the board has
            column[known] = whole[name][places[known]]
            board.columns[f"whole_{name}"] = column

    def _forget_least_used(self) -> None:
        while len(self._kept) > 1 and sum(one.size() for one in self._kept.values()) > self.most_bytes:
            self._kept.popitem(last=False)


def _load(warehouse: Warehouse, part: Slice, build: int, as_of: int) -> Board:
    chosen = {name: f"t.{name}" for name in _TOTALS} | _DERIVED | _NEWEST
    # The engine has the rows in this order only for reads without FINAL and without ORDER BY (the projection by_board):
    # a quarter of the work. The newest version of each row is found here.
    found = _read(
        warehouse, chosen, "FROM wallet_totals AS t WHERE category = {category:String} AND window = {window:String}",
        {"category": part.category, "window": part.window},
    )  # fmt: skip
    places = _newest(found["wallet"], found.pop("row_version"), found.pop("is_gone"))
    if part.enough:
        places = places[found["has_enough"][places] > 0]
    del found["has_enough"]
    wallets = found.pop("wallet")[places]
    return Board(part, build, as_of, wallets, {name: column[places].astype(np.int64) for name, column in found.items()})


def _newest(wallets: Array, versions: Array, is_gone: Array) -> Array:
    """Places of the newest row of each wallet that has not gone, in the order of addresses."""
    order = np.lexsort((versions, wallets))
    ordered = wallets[order]
    is_last = np.append(ordered[1:] != ordered[:-1], True) if len(order) else np.zeros(0, bool)
    places: Array = order[is_last]
    there: Array = places[is_gone[places] == 0]
    return there


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
    if not names:
        return {}
    stored = boards_of(warehouse).once(
        f"columns of {table}", board.build, lambda: stored_columns(warehouse, table)
    )  # fmt: skip
    chosen = {name: f"toFloat64(ifNull({name}, nan))" for name in names if name in stored}
    rows = _read(warehouse, chosen, f"FROM {table} FINAL PREWHERE {condition}", bound)
    wallets = rows.pop("wallet")
    places, known = _places(board.wallets, wallets)
    aligned = {name: np.full(len(board), np.nan) for name in names}
    for name, column in rows.items():
        aligned[name][places[known]] = column[known]
    return aligned


def _places(ordered: Array, wallets: Array) -> tuple[Array, Array]:
    """Where each wallet stands among ordered ones, and whether it does."""
    places = np.minimum(np.searchsorted(ordered, wallets), max(len(ordered) - 1, 0))
    known: Array = ordered[places] == wallets if len(ordered) else np.zeros(len(wallets), bool)
    return places, known


def stored_columns(warehouse: Warehouse, table: str) -> set[str]:
    """The columns a table has: those of metrics follow the catalogue from the first build on."""
    sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
    return {name for (name,) in warehouse.query(sql, {"t": table}).rows}


def _read(warehouse: Warehouse, chosen: Mapping[str, str], rest: str, bound: Mapping[str, Any]) -> dict[str, Array]:
    """``wallet`` and the chosen columns (name → SQL) as arrays."""
    import pyarrow as pa

    selected = ", ".join(["wallet", *(f"{sql} AS {name}" for name, sql in chosen.items())])
    batches = list(warehouse.query_columns(f"SELECT {selected} {rest} {BULK}", dict(bound)))
    if not batches:
        return {"wallet": np.zeros(0, "S20")} | {name: np.zeros(0) for name in chosen}
    table = pa.Table.from_batches(batches)
    return {name: _numpy(table.column(name)) for name in table.column_names}


def _numpy(column: Any) -> Array:
    joined = column.combine_chunks()
    if str(joined.type).startswith("fixed_size_binary"):
        width = joined.type.byte_width
        return np.frombuffer(joined.buffers()[1], f"S{width}", count=len(joined), offset=joined.offset * width)
    return np.asarray(joined.to_numpy(zero_copy_only=False))


_boards: WeakKeyDictionary[Warehouse, Boards] = WeakKeyDictionary()
_creating = threading.Lock()


def boards_of(warehouse: Warehouse) -> Boards:
    """The boards of a store; one set per open store, forgotten with it."""
    with _creating:
        found = _boards.get(warehouse)
        if found is None:
            found = _boards[warehouse] = Boards()
        return found
