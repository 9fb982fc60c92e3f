"""Pages that were handed to the writer and are not committed yet, on disk: a killed process does not fetch them again.

A page is in the kernel's hands before ``append`` returns, so that SIGKILL cannot take it back. A power cut can, and so
nothing is believed because it stands here: what is found goes through the writer like any other page, and only if it is
the very next page of its partition. What is torn, stale or missing is simply fetched again.

A folder of segments: frames of length, CRC-32 and one msgpack ``Delivery``. A segment goes when all its pages are
committed.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from polyhouse.errors import RetryableError
from polyhouse.sync.manifest import Delivery

SEGMENT_BYTES = 32 * 1024 * 1024
_FRAME_HEAD = 8
_NOTHING_KEPT = 0
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Delivery).decode


class Keeper(Protocol):
    """The part of a journal that the writer needs."""

    def append(self, delivery: Delivery) -> int:
        """Keep one page; returns the mark with which ``done`` lets go of it."""
        ...

    def done(self, mark: int) -> None:
        """One page of this mark is committed, or not wanted any more."""
        ...


class NoJournal:
    """Keeps nothing."""

    def append(self, delivery: Delivery) -> int:  # noqa: ARG002 - the signature of ``Keeper``
        """Nothing."""
        return _NOTHING_KEPT

    def done(self, mark: int) -> None:
        """Nothing."""


class Journal:
    """The journal of one home folder; one process at a time, its owner.

    Args:
        folder: where the segments lie.
        keeps_pages: False: only what an earlier process left behind is of interest.
        segment_bytes: a new segment is begun above this size.
    """

    def __init__(self, folder: Path, *, keeps_pages: bool, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._keeps_pages = keeps_pages
        self._segment_bytes = segment_bytes
        self._left = sorted(folder.glob("*.pages"))
        self._number = int(self._left[-1].stem) if self._left else 0
        self._file: int | None = None
        self._size = 0
        self._open_pages: Counter[int] = Counter()

    def append(self, delivery: Delivery) -> int:
        """Keep one page; returns the mark with which ``done`` lets go of it.

        Raises:
            RetryableError: the disk is full or not writable.
        """
        if not self._keeps_pages:
            return _NOTHING_KEPT
        body = _encode(delivery)
        frame = len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body
        try:
            if self._file is None or self._size > self._segment_bytes:
                self._begin_segment()
            assert self._file is not None
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise RetryableError(f"The journal of pages cannot be written: {error.strerror}.") from error
        self._size += len(frame)
        self._open_pages[self._number] += 1
        return self._number

    def done(self, mark: int) -> None:
        """One page of this mark is committed, or not wanted any more."""
        if mark == _NOTHING_KEPT:
            return
        self._open_pages[mark] -= 1
        if self._open_pages[mark]:
            return
        if mark == self._number and self._file is not None:
            os.ftruncate(self._file, 0)
            self._size = 0
        else:
            del self._open_pages[mark]
            self._path(mark).unlink(missing_ok=True)

    def left_behind(self) -> Iterator[Delivery]:
        """Pages that an earlier process kept, in the order in which it got them; ends at the first torn one."""
        for path in self._left:
            yield from _frames(path)

    def forget_left_behind(self) -> None:
        """What was left behind is committed, or of no use."""
        for path in self._left:
            path.unlink(missing_ok=True)
        self._left = []

    def close(self) -> None:
        """Let go of the file; pages that are not done stay for the next process."""
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        if not self._open_pages[self._number]:
            self._path(self._number).unlink(missing_ok=True)

    def _begin_segment(self) -> None:
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        self._file = os.open(self._path(self._number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}.pages"


def _frames(path: Path) -> Iterator[Delivery]:
    with path.open("rb") as file:
        while len(head := file.read(_FRAME_HEAD)) == _FRAME_HEAD:
            body = file.read(int.from_bytes(head[:4], "big"))
            if zlib.crc32(body) != int.from_bytes(head[4:], "big"):
                return
            try:
                yield _decode(body)
            except msgspec.DecodeError:  # written by another version
                return
