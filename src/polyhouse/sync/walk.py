"""The page loop of one partition: from its checkpoint to the proven end, a bound, a stop or an error.

A walk has two halves. ``fetch`` reads pages and hands them to the writer; it needs one of the run's slots.
``settle`` waits until the last page is committed; it needs none, so that a slow flush never idles the network.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from polyhouse import telemetry
from polyhouse.errors import (
    CursorRejectedError,
    PolyhouseError,
    RetryableError,
    UpstreamContractError,
)
from polyhouse.failpoints import reach
from polyhouse.ports import Checkpoint, Page, Partition, Position, Stream
from polyhouse.sources.walk import without_digest
from polyhouse.sync.manifest import accepted_rows, position_text, row_count
from polyhouse.sync.writer import BatchWriter, Lane
from polyhouse.tables import BY_NAME

_ADDRESS_LENGTH = 42

WalkStatus = Literal["ok", "empty", "partial", "failed", "interrupted"]


UNSUPPORTED = frozenset({"protocol_v2"})
"""Reasons for rejects that are no fault: kinds of rows whose rules the product does not have yet."""


class Known(Protocol):
    """That a checkpoint was looked for."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was found, None: the partition was never read."""
        ...


class Checkpoints(Protocol):
    """The part of the state store that a walk needs."""

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        """The checkpoint of one partition."""
        ...

    def take_ahead(self, stream: str, partition: str) -> Known | None:
        """The checkpoint if it was read shortly before, None if it has to be asked for; waits for nothing."""
        ...

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        """Mark a partition failed; its position stays."""
        ...


@dataclass(frozen=True, slots=True)
class WalkResult:
    """What became of one partition.

    Attributes:
        status: ``ok`` / ``empty`` read to the proven end; ``partial`` stopped by the page bound; ``failed`` with
            ``error``; ``interrupted`` by the stop event. The checkpoint is where the last committed page left it.
        fetched: rows in the answers = rows + rejected + ignored.
        unreadable: rejected rows of kinds that we claim to read.
        trades: fills among the accepted rows.
        retryable: the failure lies outside and the same walk may succeed later.
    """

    partition: Partition
    status: WalkStatus
    pages: int = 0
    fetched: int = 0
    rows: int = 0
    rejected: int = 0
    ignored: int = 0
    unreadable: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    error_code: str = ""
    retryable: bool = False
    trades: int = 0


class Walk:
    """One walk over one partition.

    Args:
        stream: the source.
        partition: what to read.
        writer: takes the pages.
        state: tells where to begin.
        run: number of the run.
        stop: set by a signal; the walk ends after its current page.
        max_pages: bound of this walk; reaching it makes the result ``partial``.
        fresh: begin at ``{}`` whatever the checkpoint says (lookups, full re-reads).
        refresh: begin at ``{}`` if the last walk came to its end; an unfinished one goes on.
        since: nothing is asked if a walk came to its end at or after this moment (Unix seconds): an interrupted run of
            the same call made it.
        backwards: the stream is read from the newest row down. A walk that goes on with an interrupted one then reads
            once more from the top, because what came meanwhile lies above its cursor.
    """

    def __init__(
        self,
        stream: Stream,
        partition: Partition,
        *,
        writer: BatchWriter,
        state: Checkpoints,
        run: int,
        stop: asyncio.Event,
        max_pages: int = 100_000,
        fresh: bool = False,
        refresh: bool = False,
        backwards: bool = False,
        since: int | None = None,
    ) -> None:
        self.stream = stream
        self.partition = partition
        self._writer = writer
        self._state = state
        self._run = run
        self._stop = stop
        self._max_pages = max_pages
        self._fresh = fresh
        self._refresh = refresh
        self._backwards = backwards
        self._since = since
        self._resumes = False
        self._was_read = False
        self._lane: Lane | None = None
        self._position: Position = {}
        self._seen: set[str] = set()
        self._seq = 0
        self._had_rows = False
        self._pages = 0
        self._counts: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._end: WalkStatus = "failed"
        self.error: PolyhouseError | None = None

    @property
    def position(self) -> Position:
        """Where the walk stands: after the last page that was handed over."""
        return self._position

    @property
    def was_read_before(self) -> int | None:
        """``since``, if nothing was asked because of it."""
        return self._since if self._was_read else None

    async def fetch(self) -> None:
        """Read pages until the end, the bound, a stop or an error. Errors of the source are kept for ``settle``."""
        with telemetry.bound(**self._named):
            await self._fetch()

    @property
    def _named(self) -> dict[str, str]:
        """What its lines in the log have: the stream, and the wallet or other partition."""
        is_wallet = self.partition.key.startswith("0x") and len(self.partition.key) == _ADDRESS_LENGTH
        return {"stream": self.partition.stream, "wallet" if is_wallet else "partition": self.partition.key}

    async def _fetch(self) -> None:
        lane = self._lane = self._writer.lane(self.partition.stream, self.partition.key)
        try:
            await self._begin()
            if self._was_read:
                self._end = "ok" if self._had_rows else "empty"
                return
            reach("K2")
            self._end = await self._read_restarting(lane)
            if self._backwards and self._resumes and self._end in {"ok", "empty"} and not self._stop.is_set():
                self._end = await self._read_restarting(lane)
        except PolyhouseError as error:
            self.error = error
        except asyncio.CancelledError:
            self._end = "interrupted"
            raise
        finally:
            lane.close()

    async def settle(self) -> WalkResult:
        """Wait until every page is committed, then say how the walk ended.

        Raises:
            PolyhouseError: the writer is broken (warehouse or state unavailable); nothing can go on.
        """
        if self._lane is not None:
            try:
                await self._lane.settle()
            except PolyhouseError as error:
                self.error = self.error or error
        if self._writer.failure is not None:
            raise self._writer.failure
        if self.error is not None:
            self._end = "failed"
            await asyncio.to_thread(
                self._state.fail_partition, self._run, self.partition.stream, self.partition.key, str(self.error)
            )
        return self._result()

    async def _begin(self) -> None:
        stream, key = self.partition.stream, self.partition.key
        ahead = self._state.take_ahead(stream, key)
        checkpoint = ahead.checkpoint if ahead else await asyncio.to_thread(self._state.checkpoint, stream, key)
        if checkpoint is not None:
            self._seq = checkpoint.pages
            self._had_rows = checkpoint.rows > 0
            is_finished = checkpoint.status in {"ok", "empty"}
            self._was_read = is_finished and self._since is not None and checkpoint.updated_at >= self._since
            if not self._fresh and not (self._refresh and is_finished):
                # Rows that are as they were need not be written again, unless others may lie over them.
                known = checkpoint.position
                self._position = without_digest(known) if checkpoint.is_doubtful else known
                self._resumes = not is_finished

    async def _read_restarting(self, lane: Lane) -> WalkStatus:
        try:
            return await self._read(lane)
        except CursorRejectedError:
            # Once: a source that rejects the cursors it has just given out would be read for ever.
            self._position = self.stream.restart_position(self._position)
            self._notes["cursor_restarts"] += 1
            return await self._read(lane)

    async def _read(self, lane: Lane) -> WalkStatus:
        self._seen = {position_text(self._position)}
        pages = self.stream.pages(self.partition, self._position)
        async with aclosing(_closable(pages)) as stream:
            while True:
                async with self._writer.hands:
                    with telemetry.span("page"):
                        page = await anext(stream, None)
                    if page is None:
                        break
                    self._check(page)
                    await lane.submit(self._position, page, self._seq + 1)
                self._count(page)
                if page.is_last:
                    return "ok" if self._counts["rows"] or self._had_rows else "empty"
                if self._stop.is_set():
                    return "interrupted"
                if self._pages >= self._max_pages:
                    return "partial"
        raise UpstreamContractError(f"{self._name} ended without proof that nothing follows")

    def _count(self, page: Page) -> None:
        self._position = page.position
        self._seq += 1
        self._pages += 1
        self._counts["fetched"] += page.fetched
        self._counts["rows"] += accepted_rows(page)
        self._counts["trades"] += _fills(page)
        self._counts["rejected"] += len(page.rejected)
        self._counts["ignored"] += page.ignored
        self._counts["unreadable"] += sum(reject.reason not in UNSUPPORTED for reject in page.rejected)
        self._notes.update(page.notes)

    def _check(self, page: Page) -> None:
        """Page accounting and progress. These stay on in production: stopping is better than going on wrong."""
        check_page(self._name, page)
        if page.is_last:
            return
        text = position_text(page.position)
        if text in self._seen:
            raise UpstreamContractError(f"{self._name} came back to a position it had left: {text[:200]}")
        self._seen.add(text)

    @property
    def _name(self) -> str:
        return f"{self.partition.stream} [{self.partition.key}]"

    def _result(self) -> WalkResult:
        error = self.error
        return WalkResult(
            self.partition,
            self._end,
            pages=self._pages,
            fetched=self._counts["fetched"],
            rows=self._counts["rows"],
            rejected=self._counts["rejected"],
            ignored=self._counts["ignored"],
            unreadable=self._counts["unreadable"],
            notes=dict(self._notes),
            error="" if error is None else str(error),
            error_code="" if error is None else error.code,
            retryable=isinstance(error, RetryableError),
            trades=self._counts["trades"],
        )


def _fills(page: Page) -> int:
    kinds = page.tables.get("observations", {}).get("kind", ())
    return kinds.count("BUY") + kinds.count("SELL")


def check_page(name: str, page: Page) -> None:
    """Hold a page to its own figures: fetched = accepted + rejected + ignored, declared tables, even columns.

    The accepted rows are the rows of some of the tables; the rest are derived from them (an event tells of a neg-risk
    market, but that is no row of the answer).

    Raises:
        PolyhouseError: the source miscounted (our bug).
    """
    accepted = accepted_rows(page)
    if accepted < 0:
        raise PolyhouseError(
            f"{name}: fetched {page.fetched} rows, but rejected {len(page.rejected)} and ignored {page.ignored}"
        )
    sizes: dict[str, int] = {}
    for table, columns in page.tables.items():
        if table not in BY_NAME:
            raise PolyhouseError(f"{name}: unknown table {table!r}")
        sizes[table] = row_count(columns)
        if any(len(values) != sizes[table] for values in columns.values()):
            raise PolyhouseError(f"{name}: columns of {table} differ in length")
    sums = {0}
    for size in sizes.values():
        sums |= {total + size for total in sums}
    if accepted not in sums or (not accepted and any(sizes.values())):
        raise PolyhouseError(f"{name}: {accepted} rows were accepted, but the tables hold {sizes}")


class _Closable(Protocol):
    def __aiter__(self) -> AsyncIterator[Page]: ...

    async def aclose(self) -> None: ...


def _closable(pages: AsyncIterator[Page]) -> Any:
    """The iterator itself if it is a generator, else one that wraps it, so that it can always be closed."""
    if hasattr(pages, "aclose"):
        return cast("_Closable", pages)

    async def wrap() -> AsyncIterator[Page]:
        async for page in pages:
            yield page

    return wrap()
