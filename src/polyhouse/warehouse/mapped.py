"""Gives the pages of a loaded library back that only loading it has touched.

Loading the embedded engine reads its relocation and symbol tables: some 150 MB of a file of 550 MB become resident and
are never looked at again. They are clean pages of the file, so the system takes them back when memory is short; until
then they count as ours, on a machine's monitor and against a container's limit.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MADV_DONTNEED = 4
_PAGE = 4096
_PT_LOAD = 1
_WRITABLE = 2
_ELF64 = b"\x7fELF\x02\x01"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a library that is mapped and never written: start relative to the first mapping, and size, in bytes."""

    start: int
    size: int


class LoadedLibrary:
    """A library of this process whose file pages can be given back.

    Args:
        name: beginning of the library's file name, e.g. ``_chdb``.
        seconds_between: how often ``release_in_turn`` gives back at most.
    """

    def __init__(self, name: str, *, seconds_between: float = 0.0) -> None:
        self._name = name
        self._pause = seconds_between
        self._released_at = -seconds_between

    def release_in_turn(self) -> None:
        """Give back, unless that was done a moment ago."""
        if time.monotonic() - self._released_at >= self._pause:
            self.release()

    def release(self) -> int:
        """Give the pages back; they return from the file when they are needed.

        Returns:
            Bytes of the mappings that were given back; 0 where the system is no Linux or the library is not loaded.
        """
        self._released_at = time.monotonic()
        found = _loaded(self._name)
        advise = _madvise()
        if found is None or advise is None:
            return 0
        base, path = found
        released = 0
        for segment in _read_only_segments(path):
            start = (base + segment.start) & -_PAGE
            size = (base + segment.start + segment.size - start) & -_PAGE
            # Only segments that the file itself declares read-only: their pages cannot hold anything but the file.
            if size and advise(ctypes.c_void_p(start), ctypes.c_size_t(size), _MADV_DONTNEED) == 0:
                released += size
        return released


def _loaded(name: str) -> tuple[int, Path] | None:
    """Lowest address and file of the loaded library."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return None
    # Asked after every batch, of hundreds of mappings: only lines that name the library are taken apart.
    mapped = [line.split(maxsplit=5) for line in lines if "/" + name in line]
    addresses = [(int(span.partition("-")[0], 16), Path(path)) for span, *_, path in mapped]
    addresses = [(address, path) for address, path in addresses if path.name.startswith(name)]
    return min(addresses) if addresses else None


def _read_only_segments(path: Path) -> Iterator[Segment]:
    try:
        with path.open("rb") as file:
            header = file.read(64)
            if not header.startswith(_ELF64):
                return
            (offset,) = struct.unpack_from("<Q", header, 32)
            entry, count = struct.unpack_from("<HH", header, 54)
            file.seek(offset)
            for _ in range(count):
                kind, flags, _, address, _, size = struct.unpack_from("<IIQQQQ", file.read(entry))
                if kind == _PT_LOAD and not flags & _WRITABLE:
                    yield Segment(address, size)
    except (OSError, struct.error):
        return


def _madvise() -> ctypes._NamedFuncPointer | None:
    try:
        return getattr(ctypes.CDLL(None), "madvise", None)
    except OSError:
        return None
