"""``data.leaderboard`` and ``data.winners``: the ranked boards that Polymarket publishes (data-api-v2.md).

Boards are measurements, and they name wallets. Ties share a rank, so that depth is counted in rows. A board may end
at a wall (the biggest wins are a top 500 of each window): see ``boards``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, columns, reported_micros, tables
from polyhouse.sources.data_api.boards import FULL, OffsetList, may_be_cut
from polyhouse.sources.data_api.envelope import RowsDecoder, RowsPage
from polyhouse.sources.data_api.rows import Number

PERIODS = ("day", "week", "month", "all")
CATEGORIES = (
    "overall", "politics", "sports", "esports", "crypto", "finance", "culture", "mentions", "weather", "economics",
    "tech", "combos",
)  # fmt: skip
"""``overall``, the market categories, and the two that the upstream makes up itself (``esports``, ``combos``)."""
SORTS = ("PNL", "VOLUME")
_PNL_ONLY = "combos"
"""The category that has no board by volume."""
_MOST_RANK = 2**32 - 1


class StandingRow(msgspec.Struct):
    """One row of a leaderboard on the wire; ``volume`` is in shares."""

    user_id: str
    rank: int = 0
    pnl: Number = None
    volume: Number = None


class WinRow(msgspec.Struct):
    """One of the biggest wins on the wire: one row per winning position, not per wallet."""

    user_id: str
    win_rank: int = 0
    pnl: Number = None
    position_id: str | int = ""
    condition_id: str = ""


_standings = RowsDecoder(StandingRow)
_wins = RowsDecoder(WinRow)
_NAMES = ("wallet", "detail", "rank", "pnl", "volume")
_Row = tuple[bytes, str, int, int, int]


class _Board(OffsetList[Any]):
    """What both boards share; partition params ``{"period", "category", "board"}``."""

    def _params(self, partition: Partition) -> Mapping[str, Any]:
        return {"time_period": partition.params["period"], "category": partition.params["category"]}

    @abstractmethod
    def _read(self, row: Any) -> _Row:
        """One row of the board."""

    def _page(self, page: RowsPage[Any], partition: Partition, after: Position, depth: int, served: int) -> Page:
        rows: list[_Row] = []
        for index, row in enumerate(page.rows):
            if row is None:
                continue
            try:
                rows.append(self._read(row))
            except BadInputError as error:
                page.reject(index, "bad_value", str(error))
        chosen = partition.params
        table = columns(
            _NAMES, rows, board=chosen["board"], period=chosen["period"], category=chosen["category"],
            seen_at=int(self._client.clock.time()),
        )  # fmt: skip
        if page.cursor is None and may_be_cut(page.fetched, depth, served):
            after = {**after, FULL: {partition.key: depth + page.fetched}}
        filled = tables(reported_standings=table)
        return checked(Page(filled, after, page.cursor is None, page.fetched, rejected=page.rejects), len(rows))


class Leaderboard(_Board):
    """Ranked wallets by PnL or volume; partition key ``<period>/<category>/<sort>``."""

    name = "data.leaderboard"
    _path = "/v2/leaderboard"

    def partitions(self, now: int) -> Sequence[Partition]:
        """Every board there is."""
        del now
        return [
            Partition(self.name, f"{period}/{category}/{sort}", {"period": period, "category": category, "board": sort})
            for period in PERIODS
            for category in CATEGORIES
            for sort in SORTS
            if (category, sort) != (_PNL_ONLY, "VOLUME")
        ]

    def _params(self, partition: Partition) -> Mapping[str, Any]:
        return {**super()._params(partition), "sort_by": partition.params["board"]}

    def _decoder(self, where: str) -> Callable[[bytes], RowsPage[Any]]:
        return _standings.decoder(where)

    def _read(self, row: StandingRow) -> _Row:
        pnl, volume = reported_micros(row.pnl, "pnl"), reported_micros(row.volume, "volume")
        return parse_address(row.user_id, "wallet"), "", _rank(row.rank), pnl, volume


class BiggestWinners(_Board):
    """The biggest single wins; partition key ``<period>/<category>``."""

    name = "data.winners"
    _path = "/v2/biggest-winners"

    def partitions(self, now: int) -> Sequence[Partition]:
        """Every board there is."""
        del now
        return [
            Partition(self.name, f"{period}/{category}", {"period": period, "category": category, "board": "WINS"})
            for period in PERIODS
            for category in CATEGORIES
        ]

    def _decoder(self, where: str) -> Callable[[bytes], RowsPage[Any]]:
        return _wins.decoder(where)

    def _read(self, row: WinRow) -> _Row:
        detail = str(row.position_id) or row.condition_id
        pnl = reported_micros(row.pnl, "pnl")
        return parse_address(row.user_id, "wallet"), detail[:100], _rank(row.win_rank), pnl, 0


def _rank(rank: int) -> int:
    return min(max(rank, 0), _MOST_RANK)
