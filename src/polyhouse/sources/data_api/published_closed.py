"""``data.closed-positions``: the closed positions of a wallet as published. A measurement, never an input.

Rows go to table ``reported_pairs``; the last page adds one row without a token, which says that the list was read to
its end and how many rows it had, so that a position that is not in it is known to be missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import (
    NO_TOKEN,
    checked,
    columns,
    condition_of,
    reported_micros,
    tables,
    time_or_zero,
    token_of,
)
from polyhouse.sources.data_api.envelope import RowsDecoder
from polyhouse.sources.data_api.rows import SMALLEST_AMOUNT, Number
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard, PageGuard
from polyhouse.tables import Columns

PATH = "/v2/positions"
PAIR_NAMES = (
    "wallet", "token", "condition", "shares", "avg_price_e6", "realized", "unrealized", "bought", "last_event_ts",
)  # fmt: skip
"""What a stream says about one row of ``reported_pairs``."""
PairRow = tuple[bytes, bytes, bytes, int, int, int, int, int, int]


class ClosedRow(msgspec.Struct):
    """One closed position on the wire."""

    proxy_wallet: str
    token_id: str | int
    condition_id: str
    current_size: Number = None
    total_size: Number = None
    avg_price: Number = None
    realized_pnl: Number = None
    unrealized_pnl: Number = None
    last_event_at: int | str | None = None


_rows = RowsDecoder(ClosedRow)


def pair_columns(rows: Iterable[PairRow], series: str, seen_at: int, end: tuple[bytes, int] | None) -> Columns:
    """Columns of ``reported_pairs``.

    Args:
        rows: the positions.
        series: which list.
        seen_at: Unix seconds.
        end: (wallet, rows of its list), if the list ends here.
    """
    found = list(rows)
    if end is not None:
        found.append((end[0], NO_TOKEN, b"", end[1], 0, 0, 0, 0, 0))
    return columns(PAIR_NAMES, found, series=series, seen_at=seen_at)


def _position(row: ClosedRow) -> PairRow:
    return (
        parse_address(row.proxy_wallet, "wallet"),
        token_of(row.token_id),
        condition_of(row.condition_id),
        reported_micros(row.current_size, "current_size"),
        reported_micros(row.avg_price, "avg_price"),
        reported_micros(row.realized_pnl, "realized_pnl"),
        reported_micros(row.unrealized_pnl, "unrealized_pnl"),
        reported_micros(row.total_size, "total_size"),
        time_or_zero(row.last_event_at),
    )


class ClosedPositions:
    """Stream of closed positions; partition key = wallet.

    Oldest event first: what closes during the walk comes behind it and is still read.
    """

    name = "data.closed-positions"
    series = "v2-closed"

    def __init__(self, client: HttpClient, *, page_limit: int = 1_000) -> None:
        self._client = client
        self._page_limit = page_limit

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - the rows of a list are counted
        """From the beginning."""
        return {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        guard, same = CursorGuard(where, position.get("seen")), PageGuard(where)
        cursor: str | None = position.get("cursor")
        count = int(position.get("rows", 0))
        params: dict[str, Any] = {
            "user": partition.key, "status": "CLOSED", "sort_by": "TIMESTAMP", "sort_direction": "ASC",
            "filter_type": "TOKENS", "filter_amount": SMALLEST_AMOUNT, "limit": self._page_limit,
        }  # fmt: skip
        while True:
            page = await self._client.get(PATH, {**params, "cursor": cursor}, _rows.decoder(where))
            same.check(page.rows)
            rows: list[PairRow] = []
            for index, row in enumerate(page.rows):
                if row is None:
                    continue
                try:
                    rows.append(_position(row))
                except BadInputError as error:
                    page.reject(index, "bad_value", str(error))
            count += len(rows)
            now, cursor = int(self._client.clock.time()), page.cursor
            end = (parse_address(partition.key), count) if cursor is None else None
            after: Position = {"done_at": now}
            if cursor is not None:
                after = {"cursor": guard.pass_on(cursor), "seen": guard.tail, "rows": count}
            yield checked(
                Page(
                    tables=tables(reported_pairs=pair_columns(rows, self.series, now, end)),
                    position=after,
                    is_last=cursor is None,
                    fetched=page.fetched,
                    rejected=page.rejects,
                ),
                len(rows),
            )
            if cursor is None:
                return
