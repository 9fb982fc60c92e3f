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
from polyhouse.reads.boards import Array, Board
from polyhouse.reads.flags import flagged, levels_of

HISTORY_SORTS = ("omega", "pnl")
"""Orders whose first places are kept day by day."""
WEEK = 7
_OLDEST = 14
_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class People:
    """As of one build: wallet → its flags, and the categories it is a specialist of, the surest first."""

    flags: Mapping[bytes, tuple[str, ...]]
    specialities: Mapping[bytes, tuple[str, ...]]

    def with_flag(self, board: Board, flag: str) -> Array:
        """Which rows of a board carry a flag. The board, which is of the same build, keeps the answer."""
        name = f"flag {flag}"
        if name not in board.kept:
            board.kept[name] = _among(board, [wallet for wallet, flags in self.flags.items() if flag in flags])
        found: Array = board.kept[name]
        return found

    def specialists(self, board: Board, category: str | None) -> Array:
        """Which rows are specialists of a category, or of any (None)."""
        found = self.specialities.items()
        return _among(board, [wallet for wallet, names in found if category is None or category in names])


def read_people(warehouse: Warehouse, build: int) -> People:
    """The flags and specialities of all wallets that have any, as of a build."""
    flags = flagged(warehouse, levels_of(warehouse, build))
    specialities = warehouse.query(
        "SELECT wallet, category FROM category_specialists WHERE is_specialist"
        " ORDER BY wallet, q_value, p_value, category"
    ).rows
    return People(_grouped(flags), _grouped(specialities))


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[bytes, tuple[str, ...]]:
    found: dict[bytes, list[str]] = {}
    for wallet, word in rows:
        found.setdefault(bytes(wallet), []).append(str(word))
    return {wallet: tuple(words) for wallet, words in found.items()}


def _among(board: Board, wallets: list[bytes]) -> Array:
    found: Array = np.isin(board.wallets, np.array(wallets, "S20"))
    return found


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
