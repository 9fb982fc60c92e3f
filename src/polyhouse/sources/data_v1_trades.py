"""``data_v1.trades``: fills from the first version of the Data API, of one wallet or one market, newest first.

The route has no filter by time: it is read by offsets from its newest row down to what the last walk already has, or to
the empty answer that proves the end. Three things stand in the way (data-api-v1.md, accounting §1.10):

- Rows that arrive meanwhile push all others on. So every page asks again for the last rows of the one before and goes
  on behind them; how far they moved does not matter.
- Past some offset the route may hand out an earlier page once more. Such a page brings nothing new; it is recognised,
  not stored, and taken as a wall.
- Behind a wall the route refuses. Then purchases and sales are read by themselves, each to its own wall. What is older
  than that cannot be had here: the walk says so every time and fails, while newer rows go on being read.

Rows tell neither their place inside a second nor who was the taker; the same fills from better sources win.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from polyhouse.domain.ids import parse_address, parse_condition
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import UpstreamContractError, UpstreamRefusedError, UpstreamUnavailableError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sources.columns import checked, tables
from polyhouse.sources.data_api.envelope import RowsPage
from polyhouse.sources.data_api.rows import OBSERVATION_NAMES, OVERLAP_SECONDS, Number, observation_columns
from polyhouse.sources.data_api.trades import PageReader, TradeRow
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import SecondCounter, digest

PATH = "/trades"
PAGE_ROWS = 1_000
_AGAIN = 50  # rows of the page before that are asked for again
_ADDRESS_DIGITS = 42
_PLACE = OBSERVATION_NAMES.index("pos")
_RESTARTS = 5
_SIDES_AFTER = {
    ("", True): None, ("", False): "BUY", ("BUY", True): "SELL", ("BUY", False): "SELL", ("SELL", True): None,
    ("SELL", False): None,
}  # fmt: skip
"""(side of a run, whether it was complete) → side of the next one."""


class TradeRowV1(msgspec.Struct, rename="camel"):
    """One row on the wire: ``TradeRow`` under the names of the first version."""

    proxy_wallet: str
    timestamp: int
    side: str
    condition_id: str
    token_id: str | int = msgspec.field(name="asset")
    transaction_hash: str
    size: Number = None
    price: Number = None
    outcome_index: int | None = None


class _Error(msgspec.Struct):
    error: str


_raws = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(TradeRowV1, strict=False)
_error = msgspec.json.Decoder(_Error)


@dataclass(slots=True)
class _Answer:
    """One answer: rows as received, and a mark of each that does not change when profiles do."""

    raws: list[msgspec.Raw]
    marks: list[str]


@dataclass(slots=True)
class _Run:
    """One run of offsets from the newest row on.

    Attributes:
        side: BUY or SELL; "" = both.
        offset: rows read, counted from the newest one at the beginning.
        tail: marks of the last rows.
        seen: marks of all rows since the run was begun or taken up.
        is_complete: it came to the end or to the time to stop at; else to a wall.
        repeated: rows of the page that came a second time and was taken as a wall.
    """

    side: str
    offset: int = 0
    tail: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    is_complete: bool = False
    repeated: int = 0

    def begin_again(self) -> None:
        """Back to the newest row."""
        self.offset, self.tail = 0, []
        self.seen.clear()

    def behind(self, answer: _Answer, width: int) -> int | None:
        """Index of the first row behind the last ``width`` rows read; None if those are not in the answer."""
        wanted = self.tail[len(self.tail) - width :]
        for start in range(len(answer.marks) - width + 1):
            if answer.marks[start : start + width] == wanted:
                return start + width
        return None

    def take(self, marks: Sequence[str], moved: int) -> None:
        """Go on behind these rows; all rows had moved so far since they were asked for first."""
        self.offset += len(marks) + moved
        self.tail = [*self.tail, *marks][-_AGAIN:]
        self.seen.update(marks)


@dataclass(slots=True)
class _Walk:
    """One call of ``pages``.

    Attributes:
        where: for errors.
        selection: the parameter that names wallet or market.
        stop: rows before this second are known.
        head: newest second seen.
        gap: second before which rows cannot be reached, 0 = all can.
        reader: turns rows into observations.
    """

    where: str
    selection: dict[str, str]
    stop: int
    head: int
    gap: int
    reader: PageReader

    def position(self, run: _Run) -> Position:
        """Inside the walk."""
        return {
            "side": run.side, "offset": run.offset, "tail": list(run.tail), "stop": self.stop, "head": self.head,
            "gap": self.gap, "second": self.reader.counter.dump(),
        }  # fmt: skip

    def begin(self) -> None:
        """Seconds are counted from their newest row again."""
        self.reader = PageReader(SecondCounter(), None, self.where)


class TradesV1:
    """Stream of fills; partition key = wallet (``0x`` and 40 digits) or condition (``0x`` and 64 digits).

    Args:
        client: of the Data API.
        page_limit: rows per page.

    Positions: ``{"side", "offset", "tail", "stop", "head", "gap", "second"}`` inside a walk, ``{"head_ts", "gap"}``
    after it.
    """

    name = "data_v1.trades"

    def __init__(self, client: HttpClient, *, page_limit: int = PAGE_ROWS) -> None:
        self._client = client
        self._page_limit = page_limit

    def partition(self, key: str) -> Partition:
        """The partition of a wallet or a condition."""
        return Partition(self.name, key.lower())

    def restart_position(self, position: Position) -> Position:
        """From the newest row, down to the same stop."""
        return {name: position[name] for name in ("stop", "gap") if position.get(name)}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``.

        Raises:
            UpstreamContractError: after the last page, if rows cannot be reached; or the rows move too fast.
        """
        where = f"{self.name} {partition.key}"
        head = int(position.get("head", position.get("head_ts", 0)))
        stop = int(position.get("stop", 0) or max(0, int(position.get("head_ts", 0)) - OVERLAP_SECONDS))
        reader = PageReader(SecondCounter(position.get("second")), None, where)
        walk = _Walk(where, _selection(partition.key), stop, head, int(position.get("gap", 0)), reader)
        run = _Run(str(position.get("side", "")), int(position.get("offset", 0)), list(position.get("tail", ())))
        while True:
            async for page in self._run(walk, run):
                yield page
            if not run.is_complete and run.side:
                walk.gap = max(walk.gap, walk.reader.counter.ts)
            following, repeated = _SIDES_AFTER[run.side, run.is_complete], run.repeated
            if following is None:
                break
            walk.begin()
            run = _Run(following)
            if repeated:
                yield _without_rows(walk.position(run), repeated, is_last=False)
        yield _without_rows({"head_ts": walk.head, "gap": walk.gap}, repeated, is_last=not walk.gap)
        if walk.gap:
            raise UpstreamContractError(
                f"{where}: fills before second {walk.gap} lie behind the route's wall; the ledgers of wallets (data-v1)"
                " or the chain have them"
            )

    async def _run(self, walk: _Walk, run: _Run) -> AsyncIterator[Page]:
        """The pages of one run; at its end ``run.is_complete`` is set unless it came to a wall."""
        restarts = 0
        while True:
            width = min(len(run.tail), self._page_limit // 2)
            answer = await self._ask(walk, run, run.offset - width)
            if answer is None:
                return
            first = run.behind(answer, width)
            if first is None:
                if answer.marks and run.seen.issuperset(answer.marks):
                    run.repeated = len(answer.marks)
                    return
                restarts += 1
                if restarts > _RESTARTS:
                    raise UpstreamContractError(f"{walk.where}: rows arrive faster than they can be read")
                run.begin_again()
                walk.begin()
                continue
            if first < len(answer.raws):
                yield self._page(walk, run, answer, first, moved=first - width)
            else:
                run.take((), first - width)
            if 0 < walk.reader.counter.ts < walk.stop:
                run.is_complete = True
                return
            if len(answer.raws) < self._page_limit:
                # Only an empty answer behind the last row proves the end.
                beyond = await self._ask(walk, run, run.offset)
                if beyond is None or (beyond.marks and run.seen.issuperset(beyond.marks)):
                    run.repeated = 0 if beyond is None else len(beyond.marks)
                    return
                if not beyond.marks:
                    run.is_complete = True
                    return

    def _page(self, walk: _Walk, run: _Run, answer: _Answer, first: int, *, moved: int) -> Page:
        raws, marks = answer.raws[first:], answer.marks[first:]
        body = b'{"data":[' + b",".join(bytes(raw) for raw in raws) + b"]}"
        page: RowsPage[TradeRow] = RowsPage([], [], None, walk.where, body)
        for index, raw in enumerate(raws):
            try:
                page.rows.append(cast("TradeRow", _row.decode(raw)))  # the same attributes
            except msgspec.ValidationError as error:
                page.rows.append(None)
                page.reject(index, "shape", str(error))
        rows, ignored = walk.reader.read(page)
        times = [row.timestamp for row in page.rows if row is not None and MIN_TIME <= row.timestamp <= MAX_TIME]
        walk.head = max([walk.head, *times])
        run.take(marks, moved)
        # Counted among the rows of one wallet or one side, a place says nothing.
        placed = [(*row[:_PLACE], 0, *row[_PLACE + 1 :]) for row in rows]
        return checked(
            Page(
                tables=tables(observations=observation_columns(placed, "trades")),
                position=walk.position(run),
                is_last=False,
                fetched=len(answer.raws),
                rejected=page.rejects,
                ignored=ignored + first,
                notes={"rows_again": first} if first else {},
            ),
            len(rows),
        )

    async def _ask(self, walk: _Walk, run: _Run, offset: int) -> _Answer | None:
        """One answer; None = the wall."""
        params: dict[str, Any] = {
            **walk.selection, "takerOnly": False, "limit": self._page_limit, "offset": offset,
            "side": run.side or None,
        }  # fmt: skip
        try:
            return await self._client.get(PATH, params, lambda body: _answer(body, walk.where))
        except UpstreamRefusedError as error:
            if error.status == 400 and offset and "offset" in str(error):
                return None
            raise


def _selection(key: str) -> dict[str, str]:
    if len(key) == _ADDRESS_DIGITS:
        parse_address(key, "wallet")
        return {"user": key}
    parse_condition(key, "condition")
    return {"market": key}


def _answer(body: bytes, where: str) -> _Answer:
    if body.lstrip()[:1] == b"{":
        raise UpstreamUnavailableError(f"{where}: an error inside a 200: {_error.decode(body).error[:200]}")
    raws = _raws.decode(body)
    return _Answer(raws, [_mark(raw) for raw in raws])


def _mark(raw: msgspec.Raw) -> str:
    """What tells a row apart and does not change, as names and pictures of profiles do."""
    try:
        row = _row.decode(raw)
    except msgspec.ValidationError:
        return digest(bytes(raw))
    return digest((
        row.transaction_hash, row.proxy_wallet, row.token_id, row.side, row.timestamp, str(row.size), str(row.price),
    ))  # fmt: skip


def _without_rows(position: Position, repeated: int, *, is_last: bool) -> Page:
    """A page that only moves the position; a repeated one is counted here."""
    notes = {"repeated_pages": 1} if repeated else {}
    return Page({}, position, is_last=is_last, fetched=repeated, ignored=repeated, notes=notes)
