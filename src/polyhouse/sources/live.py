"""The live trades socket (RTDS): who just traded what, as a hint and never as a row (upstream.md §7).

Nothing is replayed, nothing is guaranteed: messages are lost, repeated and out of order, and whatever happens while the
connection is down is never told. So a message only says which wallet and which condition to look at; the rows come
from the REST feeds. After every interruption a ``Gap`` says since when something may be missing.

One topic that is not open to everybody makes the host refuse the whole subscription; only ``activity/trades`` is
asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import msgspec

from polyhouse.domain.ids import parse_address, parse_condition, parse_hash
from polyhouse.domain.times import MAX_TIME, MIN_TIME
from polyhouse.errors import BadInputError, ConfigError, UpstreamRefusedError
from polyhouse.ports import Clock
from polyhouse.sources.data_api.rows import OVERLAP_SECONDS
from polyhouse.sources.data_api.trades import PATH, TradeRow, decoder
from polyhouse.sources.http import HttpClient
from polyhouse.sources.walk import CursorGuard

TOPIC, TYPE = "activity", "trades"
_SUBSCRIBE = msgspec.json.encode(
    {"action": "subscribe", "subscriptions": [{"topic": TOPIC, "type": TYPE}]}
).decode()  # fmt: skip
_MAX_MESSAGE = 1 << 20
_CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@dataclass(frozen=True, slots=True)
class Hint:
    """A wallet that is said to have traded in a condition; ``tx`` is the transaction, ``ts`` its second."""

    wallet: bytes
    condition: bytes
    tx: bytes
    ts: int


@dataclass(frozen=True, slots=True)
class Gap:
    """The connection was down: what happened since second ``since`` may never have been told."""

    since: int


class _Payload(msgspec.Struct, rename="camel"):
    proxy_wallet: str
    condition_id: str
    transaction_hash: str
    timestamp: int


class _Message(msgspec.Struct, rename={"status_code": "statusCode"}):
    topic: str = ""
    type: str = ""
    payload: msgspec.Raw = msgspec.Raw()
    status_code: int = 0
    message: str = ""


_message = msgspec.json.Decoder(_Message, strict=False)
_payload = msgspec.json.Decoder(_Payload, strict=False)


class _Told(Protocol):
    proxy_wallet: str
    condition_id: str
    transaction_hash: str
    timestamp: int


def _hint(row: _Told) -> Hint:
    """The hint of a row.

    Raises:
        BadInputError: it cannot be read.
    """
    if not MIN_TIME <= row.timestamp <= MAX_TIME:
        raise BadInputError(f"timestamp {row.timestamp} is not a plausible Unix time in seconds")
    return Hint(
        parse_address(row.proxy_wallet),
        parse_condition(row.condition_id),
        parse_hash(row.transaction_hash),
        row.timestamp,
    )


@dataclass(frozen=True, slots=True)
class LiveTiming:
    """Seconds.

    Attributes:
        ping: between two pings.
        silence: without any message, pongs included, after which the connection counts as dead.
        backoff: first pause before a reconnection; doubles, with full jitter, up to ``backoff_cap``.
    """

    ping: float = 5.0
    silence: float = 20.0
    backoff: float = 0.5
    backoff_cap: float = 30.0


class LiveTrades:
    """Hints from the socket, over any number of connections.

    Args:
        url: ``ws://`` or ``wss://`` address.
        clock: time and sleep.
        since: second until which everything is known already; 0 = nobody claims anything, the first ``Gap`` is
            reported as beginning now.
        timing: pings and pauses.
        rng: jitter.

    Attributes:
        counts: messages by fate: ``hints``, ``foreign`` (another topic), ``unreadable``, ``pongs``; and ``connections``
            and ``failures`` to connect.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        since: int = 0,
        timing: LiveTiming | None = None,
        rng: random.Random | None = None,
    ) -> None:
        if not url.startswith(("ws://", "wss://", "http://", "https://")):
            raise ConfigError("the live URL must start with ws:// or wss://")
        self.counts: Counter[str] = Counter()
        self._url = url
        self._clock = clock
        self._timing = timing or LiveTiming()
        self._random = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._heard = since or int(clock.time())

    async def events(self) -> AsyncIterator[Hint | Gap]:
        """Hints and gaps, for ever; a connection that fails is tried again.

        The first event of every connection is the gap before it.

        Raises:
            UpstreamRefusedError: the host refuses the subscription.
        """
        failures = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)) as session:
            while True:
                try:
                    async with session.ws_connect(self._url, max_msg_size=_MAX_MESSAGE) as socket:
                        async for event in self._connection(socket):
                            failures = 0
                            yield event
                except (aiohttp.ClientError, OSError, TimeoutError):
                    self.counts["failures"] += 1
                ceiling = min(self._timing.backoff_cap, self._timing.backoff * 2 ** min(failures, 20))
                failures += 1
                await self._clock.sleep(self._random.uniform(0.0, ceiling))

    async def _connection(self, socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Hint | Gap]:
        await socket.send_str(_SUBSCRIBE)
        await socket.send_str("PING")
        pinger = asyncio.create_task(self._ping(socket))
        try:
            is_open = False
            while True:
                message = await asyncio.wait_for(socket.receive(), self._timing.silence)
                if message.type in _CLOSED:
                    return
                if not is_open:
                    # Subscribed before the first answer, so that what comes from now on is told.
                    is_open = True
                    self.counts["connections"] += 1
                    yield Gap(self._heard)
                hint = self._read(message.data)
                if hint is not None:
                    # Not the time of arrival: what was cut off may be as late as what came last.
                    self._heard = max(self._heard, min(hint.ts, int(self._clock.time())))
                    yield hint
        finally:
            pinger.cancel()

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while not socket.closed:
            await asyncio.sleep(self._timing.ping)
            await socket.send_str("PING")

    def _read(self, data: Any) -> Hint | None:
        if isinstance(data, str) and data.upper() in {"PONG", ""}:
            self.counts["pongs"] += 1
            return None
        try:
            message = _message.decode(data)
            if message.status_code >= 400:
                raise UpstreamRefusedError(
                    f"live: the subscription was refused ({message.status_code}): {message.message[:100]}",
                    status=message.status_code,
                )
            if (message.topic, message.type) != (TOPIC, TYPE):
                self.counts["foreign"] += 1
                return None
            hint = _hint(_payload.decode(message.payload))
        except (msgspec.DecodeError, BadInputError, TypeError, UnicodeDecodeError, RecursionError):
            self.counts["unreadable"] += 1
            return None
        self.counts["hints"] += 1
        return hint


@dataclass(frozen=True, slots=True)
class Missed:
    """What the REST feed shows of a gap.

    Attributes:
        hints: one per fill since the beginning of the gap.
        is_complete: they reach back to the beginning; if not, a pass over all markets is needed for the rest.
    """

    hints: list[Hint]
    is_complete: bool


async def missed_since(client: HttpClient, since: int, *, max_pages: int = 300) -> Missed:
    """Who traded since second ``since`` (ten minutes of overlap included), from the feed of everyone's newest trades.

    That feed holds the current and the previous month; a gap of more than ``max_pages`` is better filled by a pass over
    all markets, and only its newest part is told. Its first page may be five minutes old where it is cached by
    its address; the page size is varied, so that the address is new.

    Raises:
        UpstreamContractError: the feed walks in a circle.
    """
    stop = since - OVERLAP_SECONDS
    limit = 1_000 - int(client.clock.time()) % 97
    guard = CursorGuard("live gap")
    cursor: str | None = None
    hints: list[Hint] = []
    for _ in range(max_pages):
        params = {"taker_only": False, "filter_type": "TOKENS", "filter_amount": "0.000001", "limit": limit,
                  "cursor": cursor}  # fmt: skip
        page = await client.get(PATH, params, decoder.decoder("live gap"))
        found, oldest = _readable(page.rows)
        hints += [hint for hint in found if hint.ts >= stop]
        if oldest is not None and oldest < stop:
            return Missed(hints, is_complete=True)
        if page.cursor is None:
            break
        cursor = guard.pass_on(page.cursor)
    return Missed(hints, is_complete=False)


def _readable(rows: list[TradeRow | None]) -> tuple[list[Hint], int | None]:
    """The hints of a page, and its oldest second. What cannot be read leads nowhere: it is no row, only no hint."""
    hints = []
    for row in rows:
        if row is not None:
            with suppress(BadInputError):
                hints.append(_hint(row))
    return hints, min((hint.ts for hint in hints), default=None)
