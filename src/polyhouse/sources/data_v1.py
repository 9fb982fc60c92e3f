"""``data_v1.activity``: the ledger of one wallet from the first version of the Data API (data-api-v1.md).

The rows are those of ``data.activity`` under other names, and become the same observations with the same natural keys.
What differs is the way through them. Pages are offsets, and behind a wall (3,000 rows were seen, 10,000 are documented)
the route refuses. So a walk slides: it starts again, with offset 0, at the second in which it stood, boundary included,
and that second is counted from its beginning once more. The rows of the boundary must show again: where they do not,
the route has moved the start by itself, and rows would be missing. Short of the wall the route may hand out an earlier
page again (accounting §1.10): such a page is recognised, not stored, and taken as a wall.

Rows are asked for in ascending order, because splits and merges do not show in the other one. Only an empty answer
proves the end: the number of rows a page may have is not reliable.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from polyhouse.domain.ids import parse_address
from polyhouse.errors import UpstreamContractError, UpstreamRefusedError, UpstreamUnavailableError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, tables
from polyhouse.sources.data_api.activity import PageReader
from polyhouse.sources.data_api.activity_rows import ActivityRow
from polyhouse.sources.data_api.envelope import RowsPage
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS, Number, observation_columns
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import SecondCounter, digest

PATH = "/activity"
PAGE_ROWS = 500
_START_HORIZON = 1_000 * 86_400  # an older start may be moved to three years ago; stay well inside
_SMALLEST_REPEAT = 100  # equal fills are different fills, so that two small pages may be equal


class ActivityRowV1(msgspec.Struct, rename="camel"):
    """One row on the wire: ``ActivityRow`` under the names of the first version."""

    proxy_wallet: str
    timestamp: int
    type: str
    transaction_hash: str | None = None
    condition_id: str | None = None
    size: Number = None
    usdc_size: Number = None
    price: Number = None
    token_id: str | int | None = msgspec.field(default=None, name="asset")
    side: str | None = None
    outcome_index: int | None = None
    is_combo: bool | None = None


class _Error(msgspec.Struct):
    error: str


_rows = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(ActivityRowV1, strict=False)
_error = msgspec.json.Decoder(_Error)


def decoder(where: str) -> Callable[[bytes], RowsPage[ActivityRow]]:
    """The decode function of one request."""

    def decode(body: bytes) -> RowsPage[ActivityRow]:
        if body.lstrip()[:1] == b"{":
            raise UpstreamUnavailableError(f"{where}: an error inside a 200: {_error.decode(body).error[:200]}")
        raws = _rows.decode(body)
        # The envelope is put around the rows as received, so that rejects are found again by their place.
        page: RowsPage[ActivityRow] = RowsPage([], [], None, where, b'{"data":' + body + b"}")
        for index, raw in enumerate(raws):
            try:
                page.rows.append(cast("ActivityRow", _row.decode(raw)))  # the same attributes
            except msgspec.ValidationError as error:
                page.rows.append(None)
                page.reject(index, "shape", str(error))
        return page

    return decode


def _check_boundary(where: str, run: _Run, page: RowsPage[ActivityRow] | None) -> None:
    """After a slide the rows of the boundary second must come again.

    Raises:
        UpstreamContractError: they do not.
    """
    if not run.slid or run.offset or page is None:
        return
    first = next((row.timestamp for row in page.rows if row is not None), None)
    if first != run.start:
        raise UpstreamContractError(f"{where}: asked from second {run.start} on, the route begins at {first}")


@dataclass(slots=True)
class _Run:
    """One run of offsets, from a start to a wall.

    Attributes:
        start: first second asked for.
        offset: rows read since.
        pages: digests of its full pages.
        slid: it begins at a second that has rows.
    """

    start: int
    offset: int = 0
    slid: bool = False
    pages: list[str] = field(default_factory=list)

    def repeats(self, page: RowsPage[ActivityRow], reached: int) -> bool:
        """Whether this page came before in this run, or leads back behind second ``reached``; remembers it if not."""
        mark = digest(page.body)
        first = next((row.timestamp for row in page.rows if row is not None), reached)
        if self.offset and (first < reached or (page.fetched >= _SMALLEST_REPEAT and mark in self.pages)):
            return True
        self.pages.append(mark)
        return False


class ActivityV1:
    """Stream of wallet ledgers; partition key = wallet address.

    Args:
        client: of the Data API.
        page_limit: rows per page, at most 500.

    Positions: ``{"start", "offset", "pages", "second"}`` inside a walk, ``{"from": newest time}`` after it.
    """

    name = "data_v1.activity"

    def __init__(self, client: HttpClient, *, page_limit: int = PAGE_ROWS) -> None:
        self._client = client
        self._page_limit = min(page_limit, PAGE_ROWS)

    def partition(self, wallet: str) -> Partition:
        """The partition of a wallet (``0x…``)."""
        return Partition(self.name, wallet.lower())

    def restart_position(self, position: Position) -> Position:
        """From the beginning of the second in which the walk stood."""
        second = int(position.get("second", {}).get("ts", 0))
        return {"start": second} if second else {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        where = f"{self.name} {partition.key}"
        wallet = parse_address(partition.key, "wallet")
        reader = PageReader(wallet, SecondCounter(position.get("second")))
        newest = int(position.get("from", 0))
        run = _Run(
            int(position.get("start", self._start(newest))),
            int(position.get("offset", 0)),
            bool(position.get("slid", False)),
            list(position.get("pages", ())),
        )
        while True:
            page = await self._ask(where, partition.key, run)
            _check_boundary(where, run, page)
            at_wall = page is None
            repeated = page is not None and run.repeats(page, reader.counter.ts)
            if page is None or repeated:
                slid = self._slide(where, run, reader)
                if page is not None:
                    yield self._repeated(page, slid)
                run, reader = slid, PageReader(wallet, SecondCounter())
                if at_wall:
                    continue
            else:
                rows, ignored = reader.read(page)
                newest = max(newest, reader.counter.ts)
                run.offset += page.fetched
                yield self._page(page, rows, ignored, run, reader, newest)
                if not page.fetched:
                    return

    @staticmethod
    def _page(
        page: RowsPage[ActivityRow], rows: list[Any], ignored: int, run: _Run, reader: PageReader, newest: int
    ) -> Page:
        is_last = not page.fetched
        after: Position = {"from": newest} if is_last else {
            "start": run.start, "slid": run.slid, "offset": run.offset, "pages": list(run.pages),
            "second": reader.counter.dump(),
        }  # fmt: skip
        return checked(
            Page(
                tables=tables(observations=observation_columns(rows, "activity")),
                position=after,
                is_last=is_last,
                fetched=page.fetched,
                rejected=page.rejects,
                ignored=ignored,
                notes={"zero_rows": ignored} if ignored else {},
            ),
            len(rows),
        )

    @staticmethod
    def _repeated(page: RowsPage[ActivityRow], slid: _Run) -> Page:
        notes = {"repeated_pages": 1}
        return Page(
            {},
            {"start": slid.start, "slid": True},
            is_last=False,
            fetched=page.fetched,
            ignored=page.fetched,
            notes=notes,
        )

    @staticmethod
    def _slide(where: str, run: _Run, reader: PageReader) -> _Run:
        """The next run of offsets, at the second in which this one stood.

        Raises:
            UpstreamContractError: one second holds more rows than a run can reach, or nothing was read at all.
        """
        if reader.counter.ts <= run.start:
            raise UpstreamContractError(
                f"{where}: the route ends {run.offset} rows into second {run.start}; what follows cannot be reached"
            )
        return _Run(reader.counter.ts, slid=True)

    def _start(self, newest: int) -> int:
        """Where a walk begins: ten minutes before the newest known row, or at 1, which reaches back without limit."""
        horizon = int(self._client.clock.time()) - _START_HORIZON
        start = newest - OVERLAP_SECONDS
        return start if start > max(1, horizon) else 1

    async def _ask(self, where: str, wallet: str, run: _Run) -> RowsPage[ActivityRow] | None:
        """One page; None = the wall."""
        params = {
            "user": wallet, "limit": self._page_limit, "offset": run.offset, "start": run.start,
            "sortBy": "TIMESTAMP", "sortDirection": "ASC",
        }  # fmt: skip
        try:
            return await self._client.get(PATH, params, decoder(where))
        except UpstreamRefusedError as error:
            if error.status == 400 and run.offset and "offset" in str(error):
                return None
            raise
