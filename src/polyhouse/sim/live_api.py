"""The simulated live trades socket: what happens is pushed once, to whoever is connected then (upstream §7)."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from polyhouse.sim.data_api import activity_row
from polyhouse.sim.data_v1_api import camel
from polyhouse.sim.indexer import TRADE
from polyhouse.sim.views import Feed
from polyhouse.sim.world import World

TOPICS = frozenset({("activity", "trades"), ("activity", "orders_matched"), ("comments", "*")})
_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class LiveFaults:
    """How badly the socket behaves; 0 = never.

    Attributes:
        cut_after: a connection is dropped after so many messages.
        drop_every: every n-th message is lost.
        repeat_every: every n-th message is sent twice.
        reorder: messages of one moment are shuffled.
        foreign_every: every n-th message is followed by one of another topic, and by one that is no JSON.
        refuse: so many connection attempts after a cut are refused.
    """

    cut_after: int = 0
    drop_every: int = 0
    repeat_every: int = 0
    reorder: bool = False
    foreign_every: int = 0
    refuse: int = 0


class LiveHub:
    """All connections of the socket.

    Args:
        world: what happens.
        faults: what goes wrong.
        seed: of the shuffling.
    """

    def __init__(self, world: World, faults: LiveFaults | None = None, seed: int = 0) -> None:
        self.faults = faults or LiveFaults()
        self.sent = self.lost = self.connections = self.cuts = 0
        self._world = world
        self._random = random.Random(seed)
        self._subscribers: dict[web.WebSocketResponse, int] = {}
        self._refuse = 0
        self._last = world.views.seq_at(world.now + 1)
        if self._last == 2**62:
            newest = world.views.page(Feed(), 1)
            self._last = newest[0][0] if newest else 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One connection, until it ends."""
        if self._refuse:
            self._refuse -= 1
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._told(socket, message.data)
        finally:
            self._subscribers.pop(socket, None)
        return socket

    async def _told(self, socket: web.WebSocketResponse, text: str) -> None:
        if text.upper() == "PING":
            await socket.send_str("PONG")
            return
        try:
            document: Any = msgspec.json.decode(text)
            wanted = {(entry["topic"], entry["type"]) for entry in document["subscriptions"]}
        except (msgspec.DecodeError, KeyError, TypeError):
            await socket.send_json({"message": "Bad Request", "statusCode": 400})
            return
        if not wanted <= TOPICS:
            # One topic that is not open to everybody spoils the whole batch.
            await socket.send_json({"message": "Unauthorized", "statusCode": 401})
        elif ("activity", "trades") in wanted:
            self._subscribers[socket] = 0

    async def publish(self) -> None:
        """Push what happened since the last time."""
        rows = self._world.views.page(Feed(where=(f"kind = {TRADE}",), after=self._last, ascending=True), _AT_ONCE)
        if not rows:
            return
        self._last = rows[-1][0]
        if self.faults.reorder:
            self._random.shuffle(rows)
        for row in rows:
            message = {
                "topic": "activity", "type": "trades", "timestamp": row[1] * 1000, "connection_id": "sim",
                "payload": camel(activity_row(self._world, row)),
            }  # fmt: skip
            with suppress(ConnectionResetError):  # a subscriber that goes away misses the rest
                await self._push(msgspec.json.encode(message).decode())

    async def _push(self, text: str) -> None:
        self.sent += 1
        faults = self.faults
        if not self._subscribers or (faults.drop_every and self.sent % faults.drop_every == 0):
            self.lost += 1
            return
        for socket in list(self._subscribers):
            await socket.send_str(text)
            if faults.repeat_every and self.sent % faults.repeat_every == 0:
                await socket.send_str(text)
            if faults.foreign_every and self.sent % faults.foreign_every == 0:
                await socket.send_str('{"topic":"crypto_prices","type":"update","payload":{"symbol":"btc","value":1}}')
                await socket.send_str("not a message")
            self._subscribers[socket] = self._subscribers.get(socket, 0) + 1
            if faults.cut_after and self._subscribers[socket] >= faults.cut_after:
                await self.cut()

    async def cut(self) -> None:
        """Drop every connection."""
        self.cuts += 1
        self._refuse = self.faults.refuse
        for socket in list(self._subscribers):
            self._subscribers.pop(socket, None)
            await socket.close(code=1012)
