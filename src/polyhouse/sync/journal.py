"""Pages that were handed to the writer and are not committed yet, on disk: a killed process does not fetch them again.

A page is in the kernel's hands before ``append`` returns, so that SIGKILL cannot take it back. A power cut can, and so
nothing is believed because it stands here: what is found goes through the writer like any other page, and only if it is
the very next page of its partition. What is torn, stale or missing is simply fetched again.

A folder of segments: frames of length, CRC-32 and one msgpack ``Delivery``. A segment goes when all its pages are
committed. Its process holds a lock on it, which the kernel releases when the process ends, however it ends: only what
nobody holds was left behind.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from polyhouse.disk import disk_error, number_of
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
    """The journal of one home folder.

    Args:
        folder: where the segments lie.
        keeps_pages: False: only what an earlier process left behind is of interest.
        segment_bytes: a new segment is begun above this size.
    """

    def __init__(self, folder: Path, *, keeps_pages: bool, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._keeps_pages = keeps_pages
        self._segment_bytes = segment_bytes
        self._left: dict[Path, int] = {}
        self._files: dict[int, int] = {}
        self._current = _NOTHING_KEPT
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
            if self._current == _NOTHING_KEPT or self._size > self._segment_bytes:
                self._begin_segment()
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._files[self._current], rest) :]
        except OSError as error:
            if number := number_of(error):
                raise disk_error("the journal of pages", self._folder, number) from error
            raise RetryableError(f"The journal of pages cannot be written: {error.strerror}.") from error
        self._size += len(frame)
        self._open_pages[self._current] += 1
        return self._current

    def done(self, mark: int) -> None:
        """One page of this mark is committed, or not wanted any more."""
        if mark == _NOTHING_KEPT:
            return
        self._open_pages[mark] -= 1
        if self._open_pages[mark]:
            return
        if mark == self._current:
            os.ftruncate(self._files[mark], 0)
            self._size = 0
        else:
            self._end_segment(mark)

    def left_behind(self) -> Iterator[Delivery]:
        """Pages that an earlier process kept, in the order in which it got them; a segment ends at its first torn one.

        From now on no other process finds them.
        """
        for path in sorted(self._folder.glob("*.pages")):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if _lock(descriptor):
                self._left[path] = descriptor
            else:
                os.close(descriptor)
        for path in self._left:
            yield from _frames(path)

    def forget_left_behind(self) -> None:
        """What was left behind is committed, or of no use."""
        for path, descriptor in self._left.items():
            path.unlink(missing_ok=True)
            os.close(descriptor)
        self._left = {}

    def close(self) -> None:
        """Let go of the files; pages that are not done stay for the next process."""
        for number in list(self._files):
            self._end_segment(number)
        self._current = _NOTHING_KEPT
        for descriptor in self._left.values():
            os.close(descriptor)
        self._left = {}

    def _begin_segment(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = max([0, *(int(path.stem) for path in self._folder.glob("*.pages"))]) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path(number), flags, 0o600)
        _lock(descriptor)
        before, self._current = self._current, number
        self._files[number], self._size = descriptor, 0
        if before != _NOTHING_KEPT and not self._open_pages[before]:
            self._end_segment(before)

    def _end_segment(self, number: int) -> None:
        if not self._open_pages[number]:
            self._path(number).unlink(missing_ok=True)
        os.close(self._files.pop(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}.pages"


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
