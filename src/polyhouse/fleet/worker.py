"""The worker's side: fetches and decodes pages for the owner, and asks it before each request.

It opens no store and writes no file. A page is handed over as soon as it is decoded; until then it is in this process's
hands, and is fetched again by another worker if this one dies.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from typing import assert_never

from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.fleet.budget import RemoteLanes, Tickets
from polyhouse.fleet.connection import STREAM_BUFFER, Connection
from polyhouse.fleet.meeting import Meeting
from polyhouse.fleet.protocol import (
    MAX_FRAME_BYTES,
    VERSION,
    Bye,
    Denied,
    Drop,
    Dropped,
    Ended,
    Failed,
    Fetch,
    FromOwner,
    Granted,
    Heartbeat,
    Hello,
    More,
    PageReady,
    Paused,
    ProtocolError,
    Refused,
    Welcome,
    failed,
)
from polyhouse.ports import Clock, Page, Partition, Stream
from polyhouse.sources.data_api import Activity, Holders, Positions, Values
from polyhouse.sources.http import DATA, HttpClient, SystemClock

_WELCOME_SECONDS = 10.0


async def work(meeting: Meeting, *, hands: int, stop: asyncio.Event) -> int:
    """Work for the owner until it says good-bye; returns how many pages were handed over.

    Args:
        meeting: where the owner listens.
        hands: pages under way at the same time.
        stop: set by a signal; the pages under way are handed over, then the worker leaves.

    Raises:
        RetryableError: no owner answers, it refused this worker, or it is gone.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(meeting.socket, limit=STREAM_BUFFER)
    except OSError as error:
        raise RetryableError(f"No owner answers at {meeting.socket}: {error.strerror or error}.") from error
    connection: Connection[FromOwner] = Connection(reader, writer, FromOwner, MAX_FRAME_BYTES)
    clock = SystemClock()
    tickets = Tickets(connection.send)
    lanes = {DATA.name: RemoteLanes(DATA, tickets, clock)}
    try:
        urls = await _introduce(connection, meeting.token, hands)
        client = HttpClient(urls[DATA.name], DATA, clock=clock, connections=hands, lanes=lanes[DATA.name])
        async with client:
            worker = Worker(connection, worker_streams(client), tickets, lanes, clock)
            return await worker.run(stop)
    except (EOFError, TimeoutError) as error:
        raise RetryableError(
            f"The owner of the store (pid {meeting.pid}) is gone.",
            hint="Start it again; what was handed over is safe.",
        ) from error
    except ProtocolError as error:
        raise RetryableError(f"The owner speaks another protocol: {error}.") from error
    finally:
        await connection.close()


def worker_streams(data: HttpClient) -> dict[str, Stream]:
    """The streams that a worker can read, by name."""
    streams: tuple[Stream, ...] = (Activity(data), Positions(data), Values(data), Holders(data))
    return {stream.name: stream for stream in streams}


async def _introduce(connection: Connection[FromOwner], token: str, hands: int) -> Mapping[str, str]:
    connection.send(Hello(token, VERSION, os.getpid(), hands))
    answer = await connection.receive(_WELCOME_SECONDS)
    if isinstance(answer, Refused):
        raise RetryableError(f"The owner refused this worker: {answer.reason}.")
    if not isinstance(answer, Welcome) or DATA.name not in answer.urls:
        raise ProtocolError("no welcome")
    return answer.urls


class Worker:
    """The conversation after the welcome."""

    def __init__(
        self,
        connection: Connection[FromOwner],
        streams: Mapping[str, Stream],
        tickets: Tickets,
        lanes: Mapping[str, RemoteLanes],
        clock: Clock,
    ) -> None:
        self._pages = 0
        self._connection = connection
        self._streams = streams
        self._tickets = tickets
        self._lanes = lanes
        self._clock = clock
        self._open: dict[int, AsyncIterator[Page]] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> int:
        """Serve until the owner's good-bye; returns the pages handed over."""
        helpers = [asyncio.create_task(self._connection.pulse()), asyncio.create_task(self._leave(stop))]
        try:
            while True:
                message = await self._connection.receive()
                if isinstance(message, Bye):
                    return self._pages
                await self._take(message)
        finally:
            tasks = [*helpers, *self._under_way.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for number in list(self._open):
                await self._close(number)

    async def _leave(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._connection.send(Bye())

    async def _take(self, message: FromOwner) -> None:
        match message:
            case Fetch():
                self._begin(message)
            case More():
                self._next(message.errand)
            case Drop():
                await self._drop(message.errand)
            case Granted():
                self._tickets.granted(message)
            case Denied():
                self._tickets.denied(message)
            case Paused():
                self._lanes[message.host].lane("", message.lane).note_pause(message.seconds)
            case Welcome() | Refused() | Bye() | Heartbeat():
                raise ProtocolError("a welcome in the middle of the work")
            case _:
                assert_never(message)

    def _begin(self, order: Fetch) -> None:
        stream = self._streams.get(order.stream)
        if stream is None:
            self._connection.send(
                Failed(order.errand, PolyhouseError.code, f"workers do not know the stream {order.stream!r}")
            )
            return
        self._open[order.errand] = stream.pages(Partition(order.stream, order.key, order.params), order.position)
        self._next(order.errand)

    def _next(self, number: int) -> None:
        if number not in self._open or number in self._under_way:
            raise ProtocolError(f"errand {number} is not open, or asked for twice")
        self._under_way[number] = asyncio.create_task(self._fetch(number))

    async def _fetch(self, number: int) -> None:
        """One page, and exactly one answer."""
        is_over = True
        try:
            page = await anext(self._open[number], None)
            if page is None:
                self._connection.send(Ended(number))
            else:
                is_over = page.is_last
                self._connection.send(PageReady(number, page))
                self._pages += 1
        except PolyhouseError as error:
            self._connection.send(failed(number, error))
        except asyncio.CancelledError:
            self._connection.send(Dropped(number))
            raise
        except Exception as error:  # noqa: BLE001 - our bug fails one wallet, named in the report, not the run
            self._connection.send(Failed(number, PolyhouseError.code, f"{type(error).__name__}: {error}"))
        finally:
            del self._under_way[number]
            if is_over:
                await self._close(number)
        await self._connection.drain()

    async def _drop(self, number: int) -> None:
        task = self._under_way.get(number)
        if task is not None:
            task.cancel()  # it answers and closes the stream
        else:
            await self._close(number)

    async def _close(self, number: int) -> None:
        pages = self._open.pop(number, None)
        close = getattr(pages, "aclose", None)
        if close is not None:
            await close()
