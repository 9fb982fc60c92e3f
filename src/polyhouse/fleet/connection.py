"""One end of the socket between owner and worker: frames in, frames out, and a pulse."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

import msgspec

from polyhouse.fleet.protocol import (
    HEARTBEAT_SECONDS,
    MAX_FRAME_BYTES,
    SILENCE_SECONDS,
    Heartbeat,
    ProtocolError,
)

T = TypeVar("T")

_PREFIX_BYTES = 4
STREAM_BUFFER = 1 << 20


class Connection(Generic[T]):
    """Sends messages and receives those of type ``T``.

    Args:
        reader: from asyncio.
        writer: from asyncio.
        incoming: union of the message types that the other side may send.
        max_bytes: largest frame that is taken; may be changed.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, incoming: Any, max_bytes: int
    ) -> None:
        self.max_bytes = max_bytes
        self._reader = reader
        self._writer = writer
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(incoming)

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message; nothing happens if the other side is gone (``receive`` tells)."""
        body = self._encode(message)
        if len(body) > MAX_FRAME_BYTES:
            raise ProtocolError(f"a message of {len(body):,} bytes is larger than the protocol allows")
        if not self._writer.is_closing():
            self._writer.write(len(body).to_bytes(_PREFIX_BYTES, "big"))
            self._writer.write(body)

    async def drain(self) -> None:
        """Wait until the other side has taken most of what was queued."""
        await self._writer.drain()

    async def receive(self, seconds: float | None = None) -> T:
        """The next message; heartbeats are passed over. Without ``seconds`` a silence may last as the protocol says.

        Raises:
            EOFError: the other side is gone.
            TimeoutError: it said nothing for so many seconds.
            ProtocolError: a frame that is too large or no message.
        """
        while True:
            async with asyncio.timeout(SILENCE_SECONDS if seconds is None else seconds):
                body = await self._frame()
            try:
                message = self._decoder.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ProtocolError(f"not a message of this protocol: {error}") from None
            if not isinstance(message, Heartbeat):
                return message

    async def _frame(self) -> bytes:
        try:
            size = int.from_bytes(await self._reader.readexactly(_PREFIX_BYTES), "big")
            if size > self.max_bytes:
                raise ProtocolError(f"a frame of {size:,} bytes, {self.max_bytes:,} are allowed")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise EOFError("the other side is gone") from error

    async def pulse(self) -> None:
        """Say regularly that this side lives, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.send(Heartbeat())

    async def close(self) -> None:
        """Send what is queued and hang up."""
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
