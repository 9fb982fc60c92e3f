"""``data_v1.positions`` and ``data_v1.closed-positions``: the two lists of a wallet's pairs in the first Data API.

Together they are every token the wallet ever had: ``/positions`` what is held, lost and never redeemed included,
``/closed-positions`` the rest (accounting §3.1). Measurements to compare with, never an input.

Pages are offsets with a wall behind them. A list is read from its beginning to the empty answer that proves its end; at
the wall it is read from its other end, until a page holds nothing new or there is a wall again behind rows that both
walks have seen: then they have met. A page that comes a second time is the wall, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import (
    RowRejectedError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import condition_of, reported_micros, tables, time_or_zero, token_of
from polyhouse.sources.data_api.envelope import RowsPage
from polyhouse.sources.data_api.published_closed import PairRow, pair_columns
from polyhouse.sources.data_api.rows import Number
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import digest

OPEN_ROWS, CLOSED_ROWS = 500, 50
_DIRECTIONS = ("ASC", "DESC")

R = TypeVar("R", bound="OpenRow | ClosedRow")


class OpenRow(msgspec.Struct, rename="camel"):
    """One row of ``/positions``."""

    proxy_wallet: str
    asset: str | int
    condition_id: str
    size: Number = None
    avg_price: Number = None
    cash_pnl: Number = None
    realized_pnl: Number = None
    total_bought: Number = None


class ClosedRow(msgspec.Struct, rename="camel"):
    """One row of ``/closed-positions``."""

    proxy_wallet: str
    asset: str | int
    condition_id: str
    avg_price: Number = None
    realized_pnl: Number = None
    total_bought: Number = None
    timestamp: int | str | None = None


class _Error(msgspec.Struct):
    error: str


_raws = msgspec.json.Decoder(list[msgspec.Raw])
_error = msgspec.json.Decoder(_Error)


class _Pairs(ABC, Generic[R]):
    """A list of one wallet by offsets; partition key = wallet.

    Args:
        client: of the Data API.
        page_limit: rows per page, at most what the route gives.
    """

    name = ""
    series = ""
    path = ""
    most_rows = 0
    params: dict[str, Any] = {}  # noqa: RUF012 - constants of the route, never changed

    def __init__(self, client: HttpClient, *, page_limit: int = OPEN_ROWS) -> None:
        self._client = client
        self._page_limit = min(page_limit, self.most_rows)

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:  # noqa: ARG002 - offsets move between two walks
        """From the beginning."""
        return {}

    @abstractmethod
    def _decode(self, raw: msgspec.Raw) -> R: ...

    @abstractmethod
    def _figures(self, row: R) -> tuple[Number, Number, Any]:
        """Shares held, unrealised PnL, time of the last event."""

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:  # noqa: ARG002
        """See ``ports.Stream``. A walk is never taken up in the middle.

        Raises:
            UpstreamContractError: the list is longer than both walks can reach.
        """
        where = f"{self.name} {partition.key}"
        wallet = parse_address(partition.key, "wallet")
        seen: set[bytes] = set()
        for direction in _DIRECTIONS:
            from_behind = direction == _DIRECTIONS[1]
            offset, before, has_met = 0, "", False
            while True:
                page = await self._ask(where, partition.key, direction, offset)
                mark = "" if page is None else digest(page.body)
                if page is None or (page.fetched and mark == before):
                    break
                rows, again = self._read(page, wallet, seen)
                has_met = has_met or (from_behind and again > 0)
                is_last = not page.fetched or (from_behind and again == page.fetched)
                yield self._made(wallet, rows, len(seen), page, is_last=is_last)
                if is_last:
                    return
                offset, before = offset + page.fetched, mark
            if has_met:
                yield self._made(wallet, [], len(seen), None, is_last=True)
                return
        raise UpstreamContractError(
            f"{where}: the list is longer than the route can show: {len(seen):,} rows from both ends"
        )

    def _made(self, wallet: bytes, rows: list[PairRow], count: int, page: RowsPage[R] | None, *, is_last: bool) -> Page:
        now = int(self._client.clock.time())
        fetched, rejects = (0, []) if page is None else (page.fetched, page.rejects)
        again = fetched - len(rows) - len(rejects)
        return Page(
            tables=tables(reported_pairs=pair_columns(rows, self.series, now, (wallet, count) if is_last else None)),
            position={"done_at": now} if is_last else {},
            is_last=is_last,
            fetched=fetched,
            rejected=rejects,
            ignored=again,
            notes={"rows_again": again} if again else {},
        )

    def _read(self, page: RowsPage[R], wallet: bytes, seen: set[bytes]) -> tuple[list[PairRow], int]:
        """New rows, and how many were known already."""
        rows: list[PairRow] = []
        again = 0
        for pair in page.read(lambda row: self._pair(row, wallet)):
            if pair[1] in seen:
                again += 1
            else:
                seen.add(pair[1])
                rows.append(pair)
        return rows, again

    def _pair(self, row: R, wallet: bytes) -> PairRow:
        if parse_address(row.proxy_wallet, "wallet") != wallet:
            raise RowRejectedError("foreign_wallet", "the row belongs to another wallet")
        shares, unrealized, ts = self._figures(row)
        return (
            wallet,
            token_of(row.asset),
            condition_of(row.condition_id),
            reported_micros(shares, "size"),
            reported_micros(row.avg_price, "avgPrice"),
            reported_micros(row.realized_pnl, "realizedPnl"),
            reported_micros(unrealized, "cashPnl"),
            reported_micros(row.total_bought, "totalBought"),
            time_or_zero(ts),
        )

    def _page(self, body: bytes, where: str) -> RowsPage[R]:
        if body.lstrip()[:1] == b"{":
            raise UpstreamUnavailableError(f"{where}: an error inside a 200: {_error.decode(body).error[:200]}")
        # The envelope is put around the rows as received, so that rejects are found again by their place.
        page: RowsPage[R] = RowsPage([], [], None, where, b'{"data":' + body + b"}")
        for index, raw in enumerate(_raws.decode(body)):
            try:
                page.rows.append(self._decode(raw))
            except msgspec.ValidationError as error:
                page.rows.append(None)
                page.reject(index, "shape", str(error))
        return page

    async def _ask(self, where: str, wallet: str, direction: str, offset: int) -> RowsPage[R] | None:
        """One page; None = the wall."""
        params = {
            **self.params, "user": wallet, "limit": self._page_limit, "offset": offset, "sortDirection": direction,
        }  # fmt: skip
        try:
            return await self._client.get(self.path, params, lambda body: self._page(body, where))
        except UpstreamRefusedError as error:
            if error.status == 400 and offset and "offset" in str(error):
                return None
            raise


class PositionsV1(_Pairs[OpenRow]):
    """What a wallet holds, dust included; by title, the one order that does not move while prices do."""

    name = "data_v1.positions"
    series = "v1-open"
    path = "/positions"
    most_rows = OPEN_ROWS
    params = {"sizeThreshold": 0, "sortBy": "TITLE"}  # noqa: RUF012 - see above
    _row = msgspec.json.Decoder(OpenRow, strict=False)

    def _decode(self, raw: msgspec.Raw) -> OpenRow:
        return self._row.decode(raw)

    def _figures(self, row: OpenRow) -> tuple[Number, Number, Any]:
        return row.size, row.cash_pnl, None


class ClosedPositionsV1(_Pairs[ClosedRow]):
    """What a wallet does not hold any more, oldest first."""

    name = "data_v1.closed-positions"
    series = "v1-closed"
    path = "/closed-positions"
    most_rows = CLOSED_ROWS
    params = {"sortBy": "TIMESTAMP"}  # noqa: RUF012 - see above
    _row = msgspec.json.Decoder(ClosedRow, strict=False)

    def _decode(self, raw: msgspec.Raw) -> ClosedRow:
        return self._row.decode(raw)

    def _figures(self, row: ClosedRow) -> tuple[Number, Number, Any]:
        return None, None, row.timestamp
