"""The batch writer: the only place that writes pages and moves checkpoints. One per run, one thread.

Pages of many partitions are joined to batches. One batch: rows of each table → manifest rows → *one* state transaction
with the checkpoints of all its pages → the pages are acknowledged. Checkpoints never move before the warehouse
acknowledged, and the pages of one partition are committed in the order in which they were read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

import tenacity

from polyhouse.errors import PolyhouseError, RetryableError, RunInterruptedError
from polyhouse.failpoints import reach
from polyhouse.ports import Clock, Page, PageCommit, Position, Warehouse
from polyhouse.sync.census import Census
from polyhouse.sync.journal import Keeper, NoJournal
from polyhouse.sync.manifest import (
    Delivery,
    accepted_rows,
    batch_token,
    manifest_columns,
    merge_tables,
    row_count,
)

T = TypeVar("T")


class Committer(Protocol):
    """The part of the state store that the writer needs."""

    def doubt(self, partitions: Collection[tuple[str, str]]) -> None:
        """Mark partitions whose rows are about to be written over."""
        ...

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        """Move the checkpoints of all given pages in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is written and how much may wait.

    The defaults hold a loader under 500 MB. On pages of 426 rows batches of 20,000 rows need 18 to 21 µs of CPU a row
    where those of 10,000 need 22 to 23, because the engine has half as many parts to merge; a loader of 1,000 wallets
    had its peak at 356 and 367 MB.

    Attributes:
        rows: a batch is written as soon as so many table rows wait.
        seconds: or when its oldest page has waited so long.
        waiting_rows: rows that may wait or be in the engine's hands; beyond, ``submit`` waits (back-pressure).
        hands: pages that may be fetched, decoded or waiting to be taken in at the same time, over all walks: what
            bounds memory when many walks meet a busy writer.
        attempts: tries of one batch against an unavailable warehouse or state store.
        retry_seconds: cap of the full-jitter pause between tries.
    """

    rows: int = 20_000
    seconds: float = 2.0
    waiting_rows: int = 30_000
    hands: int = 24
    attempts: int = 4
    retry_seconds: float = 5.0


class Lane:
    """The way of one partition's pages through the writer: in order, and closed by the first failure."""

    def __init__(self, writer: BatchWriter, stream: str, partition: str) -> None:
        self._writer = writer
        self._fetching = True
        self._waiting = 0
        self._first_seq = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.stream = stream
        self.partition = partition
        self.failure: PolyhouseError | None = None
        writer.lane_opened()

    async def submit(self, position_from: Position, page: Page, seq: int) -> None:
        """Hand over one page; waits while too many rows are on their way. Raises what stopped this lane."""
        over = not self._first_seq and seq > 1
        self._first_seq = self._first_seq or seq
        is_first = self._first_seq == 1
        await self._writer.submit(self, Delivery(self.stream, self.partition, position_from, page, seq, is_first, over))

    async def settle(self) -> None:
        """No more pages come: wait until all are acknowledged. Raises what stopped this lane."""
        self.close()
        await self._idle.wait()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Say that this lane fetches no longer. When no lane does, the writer stops waiting for more rows."""
        if self._fetching:
            self._fetching = False
            self._writer.lane_closed()

    def page_taken(self) -> None:
        """The writer took one page."""
        self._waiting += 1
        self._idle.clear()

    def page_done(self, failure: PolyhouseError | None) -> None:
        """One page is committed, or failed."""
        self.failure = self.failure or failure
        self._waiting -= 1
        if not self._waiting:
            self._idle.set()


@dataclass(frozen=True, slots=True)
class _Queued:
    lane: Lane
    delivery: Delivery
    weight: int
    mark: int


class BatchWriter:
    """Groups pages to batches and commits them. Use as an async context manager; leaving it flushes.

    Args:
        warehouse: where rows go.
        state: where checkpoints go.
        run: number of the run.
        clock: time and sleep.
        limits: batch sizes.
        before_write: called in the writer's thread with the batch, before anything of it is written (registers the
            wallets that the rows mention: some rows say themselves that they need not be read again). Must be
            idempotent.
        census: counts what is new in each batch.
        journal: keeps pages until they are committed.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        state: Committer,
        run: int,
        clock: Clock,
        limits: BatchLimits | None = None,
        before_write: Callable[[Sequence[Delivery]], None] | None = None,
        census: Census | None = None,
        journal: Keeper | None = None,
    ) -> None:
        self._warehouse = warehouse
        self._state = state
        self._run = run
        self._clock = clock
        self._limits = limits or BatchLimits()
        self._before_write = before_write
        self._census = census
        self._journal = journal or NoJournal()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="polyhouse-writer")
        self._queue: deque[_Queued] = deque()
        self._queued_rows = 0
        self._waiting_rows = 0
        self._room = asyncio.Condition()
        self.hands = asyncio.Semaphore(self._limits.hands)
        self._wake = asyncio.Event()
        self._urgent = False
        self._timer: asyncio.Task[None] | None = None
        self._fetching = 0
        self._closing = False
        self._loop_task: asyncio.Task[None] | None = None
        self.failure: PolyhouseError | None = None
        self.batches = 0
        self.rows = 0

    async def __aenter__(self) -> BatchWriter:
        self._loop_task = asyncio.create_task(self._loop(), name="batch-writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if isinstance(error, asyncio.CancelledError):
            self.failure = self.failure or RunInterruptedError("the run was aborted")
        self._hurry()
        try:
            if self._loop_task is not None:
                await self._loop_task
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._thread.shutdown(wait=True)

    def lane(self, stream: str, partition: str) -> Lane:
        """A new lane for one walk."""
        return Lane(self, stream, partition)

    def lane_opened(self) -> None:
        """One more lane fetches."""
        self._fetching += 1

    def lane_closed(self) -> None:
        """One lane fetches no longer; the last one wakes the writer."""
        self._fetching -= 1
        if not self._fetching:
            self._hurry()

    def _hurry(self) -> None:
        self._urgent = True
        self._wake.set()

    async def call(self, function: Callable[..., T], *args: object) -> T:
        """Run a statement of ours in the writer's thread, in order with the batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args))

    async def submit(self, lane: Lane, delivery: Delivery) -> None:
        """Queue one page, in order, as soon as there is room."""
        weight = max(1, delivery.weight)
        mark = self._journal.append(delivery)
        try:
            await self._make_room(lane, weight)
        except BaseException:
            self._journal.done(mark)
            raise
        lane.page_taken()
        self._queue.append(_Queued(lane, delivery, weight, mark))
        self._queued_rows += weight
        if self._queued_rows >= self._limits.rows:
            self._wake.set()
        else:
            self._start_timer()

    async def _make_room(self, lane: Lane, weight: int) -> None:
        async with self._room:
            while not self._failed(lane) and self._waiting_rows and self._is_full(weight):
                # A batch that is written, or due, makes room by itself. To write the half of one behind it would cost
                # as much as the whole, which is there a moment later.
                if self._waiting_rows == self._queued_rows < self._limits.rows:
                    self._hurry()
                await self._room.wait()
            failure = self._failed(lane)
            if failure is not None:
                raise failure
            self._waiting_rows += weight

    def _is_full(self, weight: int) -> bool:
        return self._waiting_rows + weight > self._limits.waiting_rows

    def _failed(self, lane: Lane) -> PolyhouseError | None:
        return self.failure or lane.failure

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.create_task(self._linger())

    async def _linger(self) -> None:
        await self._clock.sleep(self._limits.seconds)
        self._hurry()

    async def _loop(self) -> None:
        try:
            while not (self._closing and not self._queue):
                await self._wake.wait()
                self._wake.clear()
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                await self._flush_due()
                if self._queue:
                    self._start_timer()
        finally:
            # Nobody will look at the queue again: whoever waits for these pages must hear of it.
            if self._queue:
                await self._acknowledge(self._queue)

    async def _flush_due(self) -> None:
        """Write what is due: everything that waits now if there is a hurry, else only full batches."""
        due = len(self._queue) if self._urgent or self._closing else 0
        self._urgent = False
        while self._queue and (due > 0 or self._queued_rows >= self._limits.rows):
            batch = self._take()
            due -= len(batch)
            await self._flush(batch)

    def _take(self) -> list[_Queued]:
        batch: list[_Queued] = []
        rows = 0
        while self._queue and (not batch or rows + self._queue[0].weight <= self._limits.rows):
            batch.append(self._queue.popleft())
            rows += batch[-1].weight
        self._queued_rows -= rows
        return batch

    async def _flush(self, batch: list[_Queued]) -> None:
        live = [item for item in batch if self._failed(item.lane) is None]
        try:
            if live:
                await self._commit([item.delivery for item in live])
        except RetryableError as error:
            self.failure = error
        except PolyhouseError as error:
            # One page that cannot be stored must not fail its batch mates: write them one by one.
            if len(live) > 1:
                for item in live:
                    await self._flush_one(item)
            else:
                live[0].lane.failure = error
        except BaseException as error:
            self.failure = PolyhouseError(f"the batch writer broke: {error!r}")
            raise
        finally:
            await self._acknowledge(batch)

    async def _flush_one(self, item: _Queued) -> None:
        if self._failed(item.lane) is not None:
            return
        try:
            await self._commit([item.delivery])
        except RetryableError as error:
            self.failure = error
        except PolyhouseError as error:
            item.lane.failure = error

    async def _acknowledge(self, batch: Sequence[_Queued]) -> None:
        for item in batch:
            item.lane.page_done(self._failed(item.lane))
            if self.failure is None:  # what an outage kept from the store is still worth keeping
                self._journal.done(item.mark)
        async with self._room:
            self._waiting_rows -= sum(item.weight for item in batch)
            self._room.notify_all()

    async def _commit(self, deliveries: Sequence[Delivery]) -> None:
        """Write one batch and move its checkpoints; each half is retried as a whole, with the same tokens."""
        counted = None if self._census is None else await self.call(self._census.measure, deliveries)
        # A batch may be written in part and never acknowledged. Whoever reads the same partitions next has to know.
        if over := {(one.stream, one.partition) for one in deliveries if one.writes_over and one.weight}:
            await self._retried(lambda: self._state.doubt(over))
        if (tell := self._before_write) is not None:
            await self._retried(lambda: tell(deliveries))
        await self._retried(lambda: self._write(deliveries))
        await self._retried(lambda: self._move(deliveries))
        if self._census is not None and counted is not None:
            self._census.counts += counted
        self.batches += 1
        self.rows += sum(d.weight for d in deliveries)

    async def _retried(self, step: Callable[[], None]) -> None:
        async def attempt() -> None:
            await self.call(step)

        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._limits.attempts),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=self._limits.retry_seconds),
            retry=tenacity.retry_if_exception_type(RetryableError),
            sleep=self._clock.sleep,
            reraise=True,
        )
        await attempts(attempt)

    def _write(self, deliveries: Sequence[Delivery]) -> None:
        """Runs in the writer's thread: rows, then manifest. Returning means that the warehouse has both."""
        reach("K5")
        digests = [delivery.digest() for delivery in deliveries]
        for index, (table, columns) in enumerate(merge_tables(deliveries).items()):
            if index:
                reach("K6")
            self._insert(table, columns, digests)
            reach("K8")
        reach("K9")
        self._insert("sync_pages", manifest_columns(deliveries, digests, int(self._clock.time())), digests)
        reach("K10")

    def _insert(self, table: str, columns: dict[str, list[object]], digests: Sequence[bytes]) -> None:
        written = self._warehouse.write(table, columns, run=self._run, token=batch_token(table, digests))
        if written != row_count(columns):
            raise PolyhouseError(f"{table}: {row_count(columns)} rows were handed over, {written} acknowledged")

    def _move(self, deliveries: Sequence[Delivery]) -> None:
        """Runs in the writer's thread, only after ``_write`` returned."""
        commits = [
            PageCommit(
                stream=d.stream,
                partition=d.partition,
                position=d.page.position,
                is_last=d.page.is_last,
                rows=accepted_rows(d.page),
                rejected=d.page.rejected,
            )
            for d in deliveries
        ]
        self._state.commit_pages(self._run, commits)
        reach("K12")
