"""One rate budget for all loaders of an address: the owner counts, the workers ask (see ``sources.http.lanes``)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from polyhouse.errors import RateLimitedError
from polyhouse.fleet.protocol import (
    Acquire,
    Counted,
    Denied,
    Granted,
    Paused,
    ProtocolError,
    Release,
    Throttled,
)
from polyhouse.ports import Clock
from polyhouse.sources.http.lanes import RouteLane, RouteLanes
from polyhouse.sources.http.limits import HostLimits
from polyhouse.sources.http.metrics import RouteStats

Send = Callable[[msgspec.Struct], None]


class Grants:
    """The owner's side: the places that one worker holds or waits for.

    Args:
        hosts: name of the host → its lanes, the very ones that the owner's own requests pass.
        send: sends to this worker.
        announce: sends to all workers.
    """

    def __init__(self, hosts: Mapping[str, RouteLanes], send: Send, announce: Send) -> None:
        self._hosts = hosts
        self._send = send
        self._announce = announce
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, tuple[RouteLane, list[Any]]] = {}

    def acquire(self, message: Acquire) -> None:
        """Grant the request as soon as the budget allows."""
        lane = self._lane(message.host, message.lane)
        if message.ticket in self._waiting or message.ticket in self._held:
            raise ProtocolError(f"ticket {message.ticket} was used before")
        self._waiting[message.ticket] = asyncio.create_task(self._wait(message.ticket, lane))

    def release(self, message: Release) -> None:
        """The place of a ticket is used up, or not wanted any more."""
        task = self._waiting.pop(message.ticket, None)
        if task is not None:
            task.cancel()
        lane, places = self._held.pop(message.ticket, (None, []))
        if lane is not None:
            lane.give_back(places, sent=message.sent)

    def throttled(self, message: Throttled) -> None:
        """The upstream refused one worker for load: all of them wait and go on more slowly."""
        lane = self._lane(message.host, message.lane)
        lane.throttled(message.retry_after)
        self._announce(Paused(message.host, message.lane, lane.pause_left))

    def paused(self, message: Paused) -> None:
        """The upstream asked one worker to wait: all of them do."""
        lane = self._lane(message.host, message.lane)
        lane.pause(message.seconds)
        self._announce(Paused(message.host, message.lane, lane.pause_left))

    def counted(self, message: Counted) -> None:
        """Add a worker's figures to ours."""
        lane = self._lane(message.host, message.lane)
        stats = lane.stats
        stats.requests += message.requests
        stats.errors += message.errors
        stats.retries += message.retries
        stats.bytes += message.body_bytes
        stats.seconds += message.seconds
        if message.answered:
            lane.answered()

    def close(self) -> None:
        """The worker is gone: what it was granted may have been sent, and expires one window from now."""
        for task in self._waiting.values():
            task.cancel()
        for lane, places in self._held.values():
            lane.stats.requests += 1
            lane.give_back(places, sent=True)
        self._waiting.clear()
        self._held.clear()

    async def _wait(self, ticket: int, lane: RouteLane) -> None:
        try:
            places = await lane.acquire()
        except RateLimitedError as error:
            self._send(Denied(ticket, str(error), error.retry_after_seconds))
        else:
            self._held[ticket] = (lane, places)
            self._send(Granted(ticket))
        self._waiting.pop(ticket, None)

    def _lane(self, host: str, name: str) -> RouteLane:
        try:
            return self._hosts[host].lane("", name)
        except KeyError:
            raise ProtocolError(f"there is no route class {host}.{name}") from None


class Tickets:
    """The worker's side: asks for permissions and waits for them."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def take(self, host: str, lane: str) -> int:
        """Wait for the permission to send one request and return its ticket.

        Raises:
            RateLimitedError: the upstream asked for a longer pause than anybody should wait.
        """
        ticket = next(self._numbers)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = granted
        self.send(Acquire(ticket, host, lane))
        try:
            await granted
        except asyncio.CancelledError:
            self.send(Release(ticket, sent=False))
            raise
        finally:
            del self._waiting[ticket]
        return ticket

    def granted(self, message: Granted) -> None:
        """The owner said yes."""
        waiting = self._waiting.get(message.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def denied(self, message: Denied) -> None:
        """The owner said no."""
        waiting = self._waiting.get(message.ticket)
        if waiting is not None and not waiting.done():
            waiting.set_exception(RateLimitedError(message.message, retry_after_seconds=message.retry_after))


class RemoteLane:
    """One route class whose requests the owner grants (``sources.http.lanes.RouteLane``)."""

    def __init__(self, host: str, name: str, tickets: Tickets, clock: Clock) -> None:
        self.stats = RouteStats(f"{host}.{name}")
        self._host = host
        self._name = name
        self._tickets = tickets
        self._clock = clock
        self._told = replace(self.stats)
        self._answered = False
        self._paused_until = 0.0

    async def acquire(self) -> list[Any]:
        """Wait for the owner's permission."""
        return [await self._tickets.take(self._host, self._name)]

    def answer_began(self, places: list[Any]) -> None:
        """The server has counted the request."""
        self._release(places, sent=True)

    def give_back(self, places: list[Any], *, sent: bool) -> None:
        """The request is over, or was never sent."""
        self._release(places, sent=sent)
        now, before = self.stats, self._told
        self._tickets.send(
            Counted(
                self._host, self._name, now.requests - before.requests, now.errors - before.errors,
                now.retries - before.retries, now.bytes - before.bytes, now.seconds - before.seconds, self._answered,
            )
        )  # fmt: skip
        self._told, self._answered = replace(now), False

    def _release(self, places: list[Any], *, sent: bool) -> None:
        for ticket in places:
            self._tickets.send(Release(ticket, sent))
        places.clear()

    @property
    def is_paused(self) -> bool:
        """Whether the upstream asked this route to wait."""
        return self.pause_left > 0

    @property
    def pause_left(self) -> float:
        """Seconds until requests of this route may go on."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def pause(self, seconds: float) -> None:
        """All tasks of this route wait, here and elsewhere."""
        self.note_pause(seconds)
        self._tickets.send(Paused(self._host, self._name, seconds))

    def note_pause(self, seconds: float) -> None:
        """The owner says that this route waits."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def throttled(self, retry_after: float | None) -> None:
        """429: the owner decides how long everybody waits, and says so before it grants the next request."""
        self.stats.throttled += 1
        self._tickets.send(Throttled(self._host, self._name, retry_after))

    def answered(self) -> None:
        """A proper answer."""
        self._answered = True


class RemoteLanes:
    """All lanes of one host, granted by the owner (``sources.http.lanes.RouteLanes``)."""

    def __init__(self, limits: HostLimits, tickets: Tickets, clock: Clock) -> None:
        self._limits = limits
        names = [*(route.name for route in limits.routes), "other"]
        self._lanes = {name: RemoteLane(limits.name, name, tickets, clock) for name in names}

    def lane(self, path: str, route: str | None) -> RemoteLane:
        """The lane of a path, or of the route class with this name."""
        return self._lanes[route if route is not None else self._limits.class_of(path).name]

    def snapshot(self) -> list[RouteStats]:
        """The counters of this process."""
        return [replace(lane.stats) for lane in self._lanes.values() if lane.stats.requests]
