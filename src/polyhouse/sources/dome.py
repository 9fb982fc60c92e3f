"""``dome.orders``: order fills of a wallet from a Dome-compatible host (upstream.md §5).

Rows mean what the same rows of a saved dump mean (``sources.files``), so that both have one natural key. They carry
gross amounts: the host tells neither fees nor refunds. The feed runs backwards; each walk fixes its upper end in time,
because rows that arrive meanwhile would shift the offsets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.errors import (
    AuthError,
    BadInputError,
    CursorRejectedError,
    RowRejectedError,
    UpstreamContractError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from polyhouse.ports import Page, Partition, Position, Reject
from polyhouse.sources.columns import checked, columns, tables
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS, SMALLEST_REPEAT
from polyhouse.sources.files.formats import Format, fields
from polyhouse.sources.files.jsonstream import decode_line
from polyhouse.sources.files.rows import Observation, observation
from polyhouse.sources.http import HttpClient
from polyhouse.sources.http.limits import HostLimits
from polyhouse.sources.walk import PageGuard, SecondCounter

DOME = HostLimits("dome", total=100)
"""Ten requests a second, the smallest plan."""
PATH = "/polymarket/orders"
_MAX_PAGE = 1_000
_RAW_LENGTH = 4_000


class _Pagination(msgspec.Struct):
    has_more: bool
    pagination_key: str | None = None


class _Answer(msgspec.Struct):
    orders: list[msgspec.Raw] | None = None
    pagination: _Pagination | None = None
    error: str | None = None
    message: str | None = None


_answer = msgspec.json.Decoder(_Answer)


def auth_headers(key: str) -> dict[str, str]:
    """The header that carries the key; keys never stand in a URL.

    Raises:
        AuthError: there is no key.
    """
    if not key:
        raise AuthError("Dome needs a key", hint="set POLYHOUSE_DOME_API_KEY")
    return {"Authorization": f"Bearer {key}"}


def _decode(body: bytes) -> tuple[list[msgspec.Raw], _Pagination]:
    answer = _answer.decode(body)
    if answer.orders is None or answer.pagination is None:
        text = answer.error or answer.message
        if text is not None:
            raise UpstreamUnavailableError(f"dome: an error inside a 200: {text[:200]}")
        raise UpstreamContractError("dome: the answer has no orders or no pagination")
    return answer.orders, answer.pagination


class _Reader:
    """Turns the rows of one wallet's pages into observations, counting equal rows across pages."""

    def __init__(self, where: str, wallet: bytes, counter: SecondCounter, now: int) -> None:
        self.counter = counter
        self.newest = 0
        self._where = where
        self._wallet = wallet
        self._now = now

    def read(self, raws: list[msgspec.Raw]) -> tuple[list[tuple[Any, ...]], list[Reject], int]:
        rows: list[tuple[Any, ...]] = []
        rejects: list[Reject] = []
        ignored = 0
        for raw in raws:
            text = bytes(raw).decode("utf-8", "replace")
            try:
                row = self._row(text)
            except (RowRejectedError, BadInputError) as error:
                reason = error.reason if isinstance(error, RowRejectedError) else "bad_value"
                rejects.append(Reject(reason, f"{self._where}: {error}", text[:_RAW_LENGTH]))
                continue
            if row is None:
                ignored += 1
                continue
            if self.counter.ts and row.ts > self.counter.ts:
                raise UpstreamContractError(f"{self._where}: rows are not in descending order of time")
            self.newest = max(self.newest, row.ts)
            self.counter.place(row.ts)
            rows.append((*row, self.counter.ordinal(row.identity())))
        return rows, rejects, ignored

    def _row(self, text: str) -> Observation | None:
        document = decode_line(text)
        if not isinstance(document, dict):
            raise RowRejectedError("shape", "an order is no object")
        row = observation(Format.DOME, fields(document), self._now)
        if row is not None and row.wallet != self._wallet:
            raise RowRejectedError("foreign_wallet", "the row belongs to another wallet")
        return row


class DomeOrders:
    """Stream of a wallet's order fills; partition key = wallet address.

    Args:
        client: of the Dome host, with the headers of ``auth_headers``.
        page_limit: rows per page, at most 1,000.

    Positions: ``{"start", "end", "offset" | "key", "second", "newest"}`` inside a walk, ``{"newest"}`` after it.
    """

    name = "dome.orders"

    def __init__(self, client: HttpClient, *, page_limit: int = _MAX_PAGE) -> None:
        self._client = client
        self._page_limit = min(page_limit, _MAX_PAGE)

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet (``0x…``)."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:
        """A walk whose key expired starts again at its upper end, down to the same lower one."""
        return {"newest": position["start"] + OVERLAP_SECONDS} if position.get("start") else {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        now = int(self._client.clock.time())
        start = int(position.get("start", max(0, int(position.get("newest", 0)) - OVERLAP_SECONDS)))
        end = int(position.get("end", now))
        newest = int(position.get("newest", 0))
        reader = _Reader(
            where, parse_address(partition.key, "wallet"), SecondCounter(position.get("second")), max(now, end)
        )
        same = PageGuard(where, smallest=SMALLEST_REPEAT)
        key: str | None = position.get("key")
        offset = int(position.get("offset", 0))
        while True:
            params = {"user": format_address(parse_address(partition.key)), "limit": self._page_limit,
                      "start_time": start or None, "end_time": end}  # fmt: skip
            params |= {"pagination_key": key} if key else {"offset": offset} if offset else {}
            raws, pagination = await self._get(params)
            same.check([bytes(raw) for raw in raws])
            rows, rejects, ignored = reader.read(raws)
            newest = max(newest, reader.newest)
            offset += len(raws)
            following = pagination.pagination_key or None
            if pagination.has_more and (not raws or (key is not None and following in {key, None})):
                raise UpstreamContractError(f"{where}: more is announced, but the walk would not move on")
            key = following
            after: Position = {"newest": newest}
            if pagination.has_more:
                place: dict[str, Any] = {"key": key} if key else {"offset": offset}
                after = {"start": start, "end": end, "second": reader.counter.dump(), "newest": newest, **place}
            yield checked(
                Page(
                    tables=tables(observations=_columns(rows)),
                    position=after,
                    is_last=not pagination.has_more,
                    fetched=len(raws),
                    rejected=rejects,
                    ignored=ignored,
                ),
                len(rows),
            )
            if not pagination.has_more:
                return

    async def _get(self, params: dict[str, Any]) -> tuple[list[msgspec.Raw], _Pagination]:
        try:
            return await self._client.get(PATH, params, _decode)
        except UpstreamRefusedError as error:
            if error.status in {401, 403}:
                raise AuthError(
                    f"Dome refused the key ({error.status})", hint="check POLYHOUSE_DOME_API_KEY and its plan"
                ) from None
            if error.status == 400 and "pagination_key" in params:
                raise CursorRejectedError(str(error), status=error.status) from None
            raise


def _columns(rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    table = columns((*Observation._fields, "ordinal"), rows, source="dump")
    table["shares_gross"] = list(table["shares"])
    table["flags"] = ["gross"] * len(rows)
    return table
