"""Which worker fetches which page.

An errand is one partition on its way through the workers. The worker that fetched its first page keeps the stream open
and gets its next pages too, because streams compare each page with the one before. An errand moves when its worker is
lost, leaves, or is held up by another partition; it goes on at the position after the last page that was handed over.
Requests are served in the order in which they came: a wallet of a thousand pages waits its turn like all others.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from polyhouse.errors import PolyhouseError
from polyhouse.fleet.protocol import Drop, Fetch, More, ProtocolError
from polyhouse.ports import Clock, Page, Partition, Position

PATIENCE_SECONDS = 2.0
"""So long a page waits for the worker that has its partition open before another one takes over."""


class Holder(Protocol):
    """A connected worker, as far as handing out work goes.

    Attributes:
        hands: pages that it may have under way.
        leaving: it gets no new work.
        under_way: errand number → the request that it is working on.
    """

    hands: int
    leaving: bool
    under_way: dict[int, Request]

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message to it."""
        ...


@dataclass(eq=False, slots=True)
class Errand:
    """One partition that is read by workers; ``holder`` has it open."""

    number: int
    stream: str
    partition: Partition
    holder: Holder | None = None


@dataclass(eq=False, slots=True)
class Request:
    """Somebody waits for the page after ``position``; None says that the stream ended without one."""

    errand: Errand
    position: Position
    asked_at: float
    answer: asyncio.Future[Page | None] = field(repr=False)


class Dispatcher:
    """Hands requests to workers and answers to those who wait for them. Lives in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.failure: PolyhouseError | None = None
        self._clock = clock
        self._numbers = itertools.count(1)
        self._errands: dict[int, Errand] = {}
        self._waiting: list[Request] = []
        self._holders: list[Holder] = []

    @property
    def holders(self) -> Sequence[Holder]:
        """The connected workers."""
        return self._holders

    def open(self, stream: str, partition: Partition) -> Errand:
        """Begin an errand; ``close`` ends it."""
        errand = Errand(next(self._numbers), stream, partition)
        self._errands[errand.number] = errand
        return errand

    def close(self, errand: Errand) -> None:
        """No more pages of this errand are wanted."""
        self._errands.pop(errand.number, None)
        self._recall(errand)

    async def page(self, errand: Errand, position: Position) -> Page | None:
        """The page after ``position``, fetched by some worker.

        Raises:
            PolyhouseError: what the stream raised, or that no worker is left.
        """
        if self.failure is not None:
            raise self.failure
        answer: asyncio.Future[Page | None] = asyncio.get_running_loop().create_future()
        request = Request(errand, position, self._clock.monotonic(), answer)
        self._waiting.append(request)
        self.dispatch()
        try:
            return await answer
        finally:
            if request in self._waiting:
                self._waiting.remove(request)

    def join(self, holder: Holder) -> None:
        """One more worker."""
        self._holders.append(holder)
        self.dispatch()

    def leave(self, holder: Holder) -> None:
        """A worker is gone. What it had under way is asked for again, before anything else."""
        self._holders.remove(holder)
        self._waiting[:0] = [request for request in holder.under_way.values() if not request.answer.done()]
        holder.under_way.clear()
        for errand in self._errands.values():
            if errand.holder is holder:
                errand.holder = None
        self.dispatch()

    def answer(self, holder: Holder, number: int, outcome: Page | PolyhouseError | None) -> None:
        """A worker answered a request: with a page, an error, or None for the end of the stream.

        Raises:
            ProtocolError: nobody asked it.
        """
        request = holder.under_way.pop(number, None)
        if request is None:
            raise ProtocolError(f"an answer to errand {number}, which was not asked for")
        if not isinstance(outcome, Page) or outcome.is_last:
            request.errand.holder = None  # the worker has closed the stream by itself
        if not request.answer.done():
            if isinstance(outcome, PolyhouseError):
                request.answer.set_exception(outcome)
            else:
                request.answer.set_result(outcome)
        self.dispatch()

    def fail(self, error: PolyhouseError) -> None:
        """Nobody will fetch anything any more."""
        self.failure = error
        for request in self._waiting:
            if not request.answer.done():
                request.answer.set_exception(error)

    def dispatch(self) -> None:
        """Hand out what can be handed out."""
        for request in list(self._waiting):
            holder = self._choose(request)
            if holder is not None:
                self._waiting.remove(request)
                self._assign(holder, request)

    def _choose(self, request: Request) -> Holder | None:
        bound = request.errand.holder
        if bound is not None and _has_room(bound):
            return bound
        waited = self._clock.monotonic() - request.asked_at
        if bound is not None and not bound.leaving and waited < PATIENCE_SECONDS:
            return None
        free = [holder for holder in self._holders if _has_room(holder)]
        if not free:
            return None
        self._recall(request.errand)
        return min(free, key=lambda holder: len(holder.under_way))

    @staticmethod
    def _recall(errand: Errand) -> None:
        if errand.holder is not None:
            errand.holder.send(Drop(errand.number))
            errand.holder = None

    @staticmethod
    def _assign(holder: Holder, request: Request) -> None:
        errand = request.errand
        holder.under_way[errand.number] = request
        if errand.holder is holder:
            holder.send(More(errand.number))
            return
        errand.holder = holder
        partition = errand.partition
        holder.send(Fetch(errand.number, errand.stream, partition.key, dict(partition.params), dict(request.position)))


def _has_room(holder: Holder) -> bool:
    return not holder.leaving and len(holder.under_way) < holder.hands
