"""Runs many walks side by side in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from polyhouse.errors import PolyhouseError
from polyhouse.sync.context import RunContext
from polyhouse.sync.walk import Walk, WalkResult

T = TypeVar("T")

_TAILS_PER_SLOT = 20
_GRACE_SECONDS = 5.0
"""How long a page may still take after a stop: longer waits (a paused host, a long Retry-After) are cut short."""


class Job(Protocol):
    """Work with a half that needs a slot and a half that only waits."""

    async def fetch(self) -> None:
        """Use the network."""
        ...

    async def settle(self) -> None:
        """Wait for the writer and record the outcome."""
        ...


class WalkJob:
    """One walk; its result is recorded and then given to ``then``. Progress advances by ``units``."""

    def __init__(
        self,
        ctx: RunContext,
        walk: Walk,
        then: Callable[[WalkResult], Awaitable[None]] | None = None,
        units: int = 1,
    ) -> None:
        self._ctx = ctx
        self._walk = walk
        self._then = then
        self._units = units

    async def fetch(self) -> None:
        """Read the partition."""
        await self._walk.fetch()
        self._ctx.fetched(self._walk)

    async def settle(self) -> None:
        """Wait for the last commit."""
        result = await self._walk.settle()
        self._ctx.record(result)
        if self._then is not None:
            await self._then(result)
        self._ctx.reporter.advance(self._units, rows=result.rows, failed=int(result.status == "failed"))


async def run_jobs(ctx: RunContext, jobs: AsyncIterator[Job] | Iterable[Job], concurrency: int | None = None) -> None:
    """Run jobs until they are used up, a stop, or the run gives up; at most ``concurrency`` fetch at a time.

    Raises:
        PolyhouseError: the writer is broken; the other jobs are cancelled.
    """
    slots = asyncio.Semaphore(concurrency or ctx.limits.concurrency)
    tails = asyncio.Semaphore((concurrency or ctx.limits.concurrency) * _TAILS_PER_SLOT)

    cuts = _Cuts(ctx.stop)
    watching = asyncio.create_task(cuts.after_stop())

    async def run(job: Job) -> None:
        try:
            try:
                await cuts.fetch(job)
            finally:
                slots.release()
            await job.settle()
        finally:
            tails.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for job in each(jobs):
                await tails.acquire()
                await slots.acquire()
                if ctx.should_end:
                    break
                group.create_task(run(job))
    except BaseExceptionGroup as errors:
        raise first_error(errors) from errors
    finally:
        watching.cancel()


class _Cuts:
    """After a stop each job gets the time of a page and is then cut off where it waits.

    Cutting is safe: what was handed to the writer is settled as usual, what was not is read again by the next run.
    One task watches for all jobs: to have one for each costs more than its page takes to decode.
    """

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._fetching: set[asyncio.Timeout] = set()

    async def after_stop(self) -> None:
        """Wait for the stop, then give those that fetch their last seconds."""
        await self._stop.wait()
        end = asyncio.get_running_loop().time() + _GRACE_SECONDS
        for limit in self._fetching:
            limit.reschedule(end)

    async def fetch(self, job: Job) -> None:
        """Fetch, until the cut at most."""
        limit = asyncio.timeout(_GRACE_SECONDS if self._stop.is_set() else None)
        try:
            async with limit:
                self._fetching.add(limit)
                try:
                    await job.fetch()
                finally:
                    self._fetching.discard(limit)
        except TimeoutError:
            if not limit.expired():
                raise


async def each(items: AsyncIterator[T] | Iterable[T]) -> AsyncIterator[T]:
    """Iterate over either kind of iterable."""
    if isinstance(items, AsyncIterator):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that explains a group best: our bug before an outage, anything before a cancellation."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        else:
            flat.append(error)
    bugs = [error for error in flat if not isinstance(error, PolyhouseError | asyncio.CancelledError)]
    known = [error for error in flat if isinstance(error, PolyhouseError)]
    return (bugs or known or flat)[0]
