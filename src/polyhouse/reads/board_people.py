"""What is known of the wallets of a board beside their numbers: flags, specialities, where they stood a week ago."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from polyhouse.metrics.exact import nine
from polyhouse.ports import Warehouse
from polyhouse.reads.board_columns import WALLET_TYPE, Array, places_among
from polyhouse.reads.board_rows import Board
from polyhouse.reads.flags import FLAG_WORDS, flag_columns, levels_of

HISTORY_SORTS = ("omega", "pnl")
"""Orders whose first places are kept day by day."""
WEEK = 7
_OLDEST = 14
_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class People:
    """As of one build.

    Attributes:
        wallets: that have flags, in order; the dtype of boards.
        flags: of each of them, as bits in the order of ``FLAG_WORDS``.
        specialities: wallet → the categories it is a specialist of, the surest first.
    """

    wallets: Array
    flags: Array
    specialities: Mapping[bytes, tuple[str, ...]]

    def flags_of(self, board: Board) -> Array:
        """The flags of each row of a board, which is of the same build, as bits."""
        return board.once("flags", lambda: self._flags_of(board))

    def with_flag(self, board: Board, flag: str) -> Array:
        """Which rows of a board carry a flag."""
        carries: Array = (self.flags_of(board) & (1 << FLAG_WORDS.index(flag))) != 0
        return carries

    def specialists(self, board: Board, category: str | None) -> Array:
        """Which rows are specialists of a category, or of any (None)."""
        found = self.specialities.items()
        wallets = [wallet for wallet, names in found if category is None or category in names]
        places, known = places_among(board.wallets, np.array(wallets, WALLET_TYPE))
        among = np.zeros(len(board), bool)
        among[places[known]] = True
        return among

    def _flags_of(self, board: Board) -> Array:
        bits = np.zeros(len(board), self.flags.dtype)
        places, known = places_among(board.wallets, self.wallets)
        bits[places[known]] = self.flags[known]
        return bits


def read_people(warehouse: Warehouse, build: int) -> People:
    """The flags and specialities of all wallets that have any, as of a build."""
    wallets, flags = flag_columns(warehouse, levels_of(warehouse, build))
    is_first = np.ones(len(wallets), bool)
    is_first[1:] = wallets[1:] != wallets[:-1]
    starts = np.flatnonzero(is_first)
    bits = np.left_shift(1, flags).astype(np.uint8)
    specialities = warehouse.query(
        "SELECT wallet, category FROM category_specialists WHERE is_specialist"
        " ORDER BY wallet, q_value, p_value, category"
    ).rows
    of_wallets = np.bitwise_or.reduceat(bits, starts) if len(bits) else bits
    return People(wallets[starts], of_wallets, _grouped(specialities))


def flag_names(bits: int) -> list[str]:
    """The flags that bits say."""
    return [word for place, word in enumerate(FLAG_WORDS) if bits >> place & 1]


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[bytes, tuple[str, ...]]:
    found: dict[bytes, list[str]] = {}
    for wallet, word in rows:
        found.setdefault(bytes(wallet), []).append(str(word))
    return {wallet: tuple(words) for wallet, words in found.items()}


@dataclass(frozen=True, slots=True)
class Then:
    """The first places of a board a week ago: wallet → (rank, value as numerator and denominator)."""

    day: date
    places: Mapping[bytes, tuple[int, int, int]]

    def document(self, wallet: bytes, *, rank: int | None, value: Decimal | None) -> dict[str, Any] | None:
        """Where a wallet stood, and how far it has moved since; None if it was not among the kept places.

        Args:
            wallet: its 20 bytes.
            rank: of today on the same board, None where today's list is filtered and ranks do not compare.
            value: of today.
        """
        place = self.places.get(wallet)
        if place is None:
            return None
        then = nine(place[1], place[2])
        return {
            "day": self.day.isoformat(),
            "rank": place[0],
            "value": then,
            "rank_change": None if rank is None else place[0] - rank,
            "value_change": None if value is None else value - then,
        }


def read_then(warehouse: Warehouse, board: Board, sort: str) -> Then | None:
    """The kept places of a board about a week ago: of the newest day 7 to 14 days back; None if none is kept."""
    today = board.as_of // _DAY_SECONDS
    bound: dict[str, Any] = {
        "category": board.part.category, "window": board.part.window, "sort": sort,
        "newest": max(today - WEEK, 0), "oldest": max(today - _OLDEST, 0),
    }  # fmt: skip
    where = "category = {category:String} AND window = {window:String} AND sort = {sort:String}"
    days = warehouse.query(
        f"SELECT toUInt16(day) AS number, max(version) FROM leaderboard_history WHERE {where}"
        " AND day <= toDate({newest:UInt16}) AND day >= toDate({oldest:UInt16})"
        " GROUP BY number ORDER BY number DESC LIMIT 1",
        bound,
    ).rows
    if not days:
        return None
    number, version = int(days[0][0]), int(days[0][1])
    rows = warehouse.query(
        f"SELECT wallet, rank, above, below FROM leaderboard_history WHERE {where}"
        " AND day = toDate({day:UInt16}) AND version = {version:UInt64}",
        {name: bound[name] for name in ("category", "window", "sort")} | {"day": number, "version": version},
    ).rows
    places = {bytes(wallet): (int(rank), int(above), int(below)) for wallet, rank, above, below in rows}
    return Then(_EPOCH + timedelta(days=number), places)
