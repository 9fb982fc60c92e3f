"""The owner's side: takes workers on, gives them partitions to read, and grants their requests.

To the rest of the owner a fleet is a set of streams (``Fleet.stream``): page loop, commit protocol and queue do not
know who fetched a page. What a worker handed over is in the owner's hands and is committed; what it had not is
asked for again at another worker. So a worker may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_never

import msgspec

from polyhouse.errors import PolyhouseError
from polyhouse.fleet.budget import Grants
from polyhouse.fleet.children import Children
from polyhouse.fleet.connection import STREAM_BUFFER, Connection
from polyhouse.fleet.dispatch import Dispatcher, Request
from polyhouse.fleet.meeting import Meeting, meeting_place
from polyhouse.fleet.protocol import (
    MAX_FRAME_BYTES,
    MAX_GREETING_BYTES,
    VERSION,
    Acquire,
    Bye,
    Counted,
    Dropped,
    Ended,
    Failed,
    FromWorker,
    Heartbeat,
    Hello,
    PageReady,
    Paused,
    ProtocolError,
    Refused,
    Release,
    Throttled,
    Welcome,
    error_of,
)
from polyhouse.ports import Clock, Page, Partition, Position, Stream
from polyhouse.sources.http.lanes import RouteLanes

GREETING_SECONDS = 5.0
MAX_HANDS = 1_000
_log = logging.getLogger("polyhouse.fleet.owner")
_LOOK_SECONDS = 0.5


class Link:
    """One connected worker (``dispatch.Holder``)."""

    def __init__(self, connection: Connection[FromWorker], hello: Hello, grants: Grants) -> None:
        self.connection = connection
        self.pid = hello.pid
        self.hands = hello.hands
        self.leaving = False
        self.under_way: dict[int, Request] = {}
        self.grants = grants
        self.pages = 0

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message."""
        self.connection.send(message)


class FleetStream:
    """A stream whose pages are fetched by workers (``ports.Stream``).

    Args:
        fleet: the workers.
        stream: the same stream in this process; knows where a walk with a rejected cursor starts again.
    """

    def __init__(self, fleet: Fleet, stream: Stream) -> None:
        self.name = stream.name
        self._fleet = fleet
        self._stream = stream

    def restart_position(self, position: Position) -> Position:
        """See ``ports.Stream``."""
        return self._stream.restart_position(position)

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        """See ``ports.Stream``."""
        dispatcher = self._fleet.dispatcher
        errand = dispatcher.open(self.name, partition)
        try:
            while (page := await dispatcher.page(errand, position)) is not None:
                yield page
                if page.is_last:
                    return
                position = page.position
        finally:
            dispatcher.close(errand)


class Fleet:
    """The workers of this process. Made by ``lead``.

    Args:
        meeting: holds the word that workers must know.
        lanes: name of the host → its lanes in this process.
        urls: name of the host → its base URL, for the workers.
        clock: time.
    """

    def __init__(
        self, meeting: Meeting, lanes: Mapping[str, RouteLanes], urls: Mapping[str, str], clock: Clock
    ) -> None:
        self.dispatcher = Dispatcher(clock)
        self.links: set[Link] = set()
        self.pages_of: dict[int, int] = {}
        self._meeting = meeting
        self._lanes = lanes
        self._urls = dict(urls)
        self._clock = clock
        self._sessions: set[asyncio.Task[None]] = set()
        self._orphaned: PolyhouseError | None = None

    def stream(self, stream: Stream) -> FleetStream:
        """The same stream, read by the workers."""
        return FleetStream(self, stream)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first word to its end."""
        session = asyncio.current_task()
        if session is not None:
            self._sessions.add(session)
            session.add_done_callback(self._sessions.discard)
        connection: Connection[FromWorker] = Connection(reader, writer, FromWorker, MAX_GREETING_BYTES)
        try:
            link = await self._greet(connection)
            if link is not None:
                await self._attend(link)
        except EOFError:
            _log.debug("A worker hung up; what it had under way is asked for again.")
        except (TimeoutError, ProtocolError) as error:
            # What it had under way is asked for again, but somebody should hear why a worker was sent away.
            _log.warning("A connection to the fleet was ended: %s", str(error) or "it was silent for too long")
        finally:
            await connection.close()

    async def _greet(self, connection: Connection[FromWorker]) -> Link | None:
        hello = await connection.receive(GREETING_SECONDS)
        reason = ""
        if not isinstance(hello, Hello) or not hmac.compare_digest(hello.token.encode(), self._meeting.token.encode()):
            reason = "the token is not the one of this owner"
        elif hello.version != VERSION:
            reason = f"it speaks version {hello.version} of the protocol, the owner {VERSION}"
        elif not 1 <= hello.hands <= MAX_HANDS:
            reason = f"a worker has 1 to {MAX_HANDS} hands, not {hello.hands}"
        if reason or not isinstance(hello, Hello):
            connection.send(Refused(reason))
            return None
        connection.max_bytes = MAX_FRAME_BYTES
        connection.send(Welcome(self._urls))
        return Link(connection, hello, Grants(self._lanes, connection.send, self._announce))

    async def _attend(self, link: Link) -> None:
        pulse = asyncio.create_task(link.connection.pulse())
        self.links.add(link)
        self.dispatcher.join(link)
        try:
            while True:
                self._take(link, await link.connection.receive())
                if link.leaving and not link.under_way:
                    link.send(Bye())
        finally:
            pulse.cancel()
            self.links.discard(link)
            link.grants.close()
            self.dispatcher.leave(link)
            self._fail_if_alone()

    def _take(self, link: Link, message: FromWorker) -> None:
        match message:
            case PageReady():
                link.pages += 1
                self.pages_of[link.pid] = self.pages_of.get(link.pid, 0) + 1
                self._answered(link, message.errand, message.page)
            case Ended() | Dropped():
                self._answered(link, message.errand, None)
            case Failed():
                self._answered(link, message.errand, error_of(message))
            case Acquire():
                link.grants.acquire(message)
            case Release():
                link.grants.release(message)
            case Throttled():
                link.grants.throttled(message)
            case Paused():
                link.grants.paused(message)
            case Counted():
                link.grants.counted(message)
            case Bye():
                link.leaving = True
                self.dispatcher.dispatch()
            case Hello() | Heartbeat():
                raise ProtocolError("a greeting in the middle of the work")
            case _:
                assert_never(message)

    def _answered(self, link: Link, errand: int, outcome: Page | PolyhouseError | None) -> None:
        self.dispatcher.answer(link, errand, outcome)

    def _announce(self, message: msgspec.Struct) -> None:
        for link in self.links:
            link.send(message)

    def no_child_left(self, error: PolyhouseError) -> None:
        """None of our own workers is started again; those that came by themselves may go on."""
        self._orphaned = error
        self._fail_if_alone()

    def _fail_if_alone(self) -> None:
        if self._orphaned is not None and not self.links:
            self.dispatcher.fail(self._orphaned)

    async def look_after(self) -> None:
        """Move errands that wait too long for their worker, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            self.dispatcher.dispatch()

    def dismiss(self) -> None:
        """Tell all workers that the work is done."""
        self._announce(Bye())

    async def hang_up(self) -> None:
        """End all connections."""
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)


@asynccontextmanager
async def lead(
    home: Path,
    *,
    workers: int,
    lanes: Mapping[str, RouteLanes],
    urls: Mapping[str, str],
    note: Callable[[str], None],
    clock: Clock,
    hands: int = 1,
) -> AsyncIterator[Fleet]:
    """Lead the workers of one home folder: start ``workers`` of our own, take on those that come by themselves.

    Args:
        home: where the socket lies.
        workers: child processes to start, and to start again when they die.
        lanes: name of the host → its lanes in this process: one budget for all.
        urls: name of the host → base URL.
        note: hears of workers that died.
        clock: time and sleep.
        hands: pages that one child may have under way; so many are fetched again when it is killed.

    Raises:
        RetryableError: another process leads the workers of this folder.
    """
    with meeting_place(home) as (listener, meeting):
        fleet = Fleet(meeting, lanes, urls, clock)
        server = await asyncio.start_unix_server(fleet.serve, sock=listener, limit=STREAM_BUFFER)
        children = Children(meeting, hands, fleet.pages_of, note, fleet.no_child_left)
        watch = asyncio.create_task(fleet.look_after())
        try:
            children.start(workers)
            yield fleet
        finally:
            watch.cancel()
            children.expect_end()
            fleet.dismiss()
            await children.stop()
            server.close()
            await fleet.hang_up()
