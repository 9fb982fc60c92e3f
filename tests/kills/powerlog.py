"""What a power cut would leave of a folder: the system calls of its writers, recorded, and a copy without what was
not synced.

The model is a journalling file system (ext4, xfs): names (files made, renamed, removed) become durable in their order,
with any sync of anything made after them; contents only by a sync of their own file. What was written to a page of
4 KiB after the last sync of its file may be anything: here it is gone, or zeros, or there (torn). Bytes beside it in
the same page stay what they were: SQLite counts on that ("powersafe overwrite"), and disks write whole sectors.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4_096
TRACED = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,lseek,rename,renameat,renameat2,"
    "link,linkat,mkdir,mkdirat,fsync,fdatasync,msync,copy_file_range,sendfile"
)
_CALL = re.compile(r"^(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+)(?:<(.*?)>)?")
_FD = re.compile(r"^(\d+)<(.*?)>(?:\(deleted\))?$")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: its moment, name, arguments as strace prints them, result."""

    moment: float
    name: str
    arguments: str
    result: int
    path: str

    def file(self) -> str:
        """Path of the file behind the first argument."""
        found = _FD.match(self.arguments.split(", ", 1)[0])
        return found[2] if found else ""

    def paths(self) -> list[str]:
        """Paths in quotes."""
        return _TEXT.findall(self.arguments)


def recorded(logs: Path, prefix: str) -> list[Call]:
    """All calls that succeeded, of all threads, in order."""
    calls = []
    for log in logs.glob(f"{prefix}.*"):
        for line in log.read_text(errors="replace").splitlines():
            found = _CALL.match(line)
            if found and int(found[4]) >= 0:
                calls.append(Call(float(found[1]), found[2], found[3], int(found[4]), found[5] or ""))
    return sorted(calls, key=lambda call: call.moment)


@dataclass
class Contents:
    """What of one file is on the disk for sure: ``dirty`` has, by page, the bytes of it that are not (from, to)."""

    size: int = 0
    dirty: dict[int, tuple[int, int]] = field(default_factory=dict)
    was_synced: bool = False

    def write(self, start: int, end: int) -> None:
        """Bytes from ``start`` to before ``end`` were written."""
        self.size = max(self.size, end)
        for page in range(start // PAGE, (max(end, start + 1) - 1) // PAGE + 1):
            first, last = max(start - page * PAGE, 0), min(end - page * PAGE, PAGE)
            low, high = self.dirty.get(page, (first, last))
            self.dirty[page] = min(low, first), max(high, last)


class PowerCut:
    """The state of a folder on its disk after these calls.

    Args:
        calls: everything that happened below the folder.
        folder: the folder.
    """

    def __init__(self, calls: list[Call], folder: Path) -> None:
        self._folder = str(folder)
        self.files: dict[str, Contents] = {}
        self.last_sync = -1
        self.named: dict[str, int] = {}
        self._place: dict[tuple[str, str], int] = {}
        for number, call in enumerate(calls):
            self._take(number, call)

    def _take(self, number: int, call: Call) -> None:
        if call.name in {"fsync", "fdatasync"}:
            self.last_sync = number
            contents = self.files.get(call.file())
            if contents is not None:
                contents.dirty.clear()
                contents.was_synced = True
        elif call.name in {"open", "openat", "creat"}:
            if call.path.startswith(self._folder) and ("O_CREAT" in call.arguments or call.name == "creat"):
                contents = self.files.setdefault(call.path, Contents())
                if "O_TRUNC" in call.arguments:
                    contents.size, contents.was_synced = 0, False
                self.named.setdefault(call.path, number)
        elif call.name in {"rename", "renameat", "renameat2"}:
            self._rename(number, *call.paths()[:2])
        elif call.name in {"mkdir", "mkdirat"}:
            self.named.setdefault(call.paths()[0], number)
        elif call.file().startswith(self._folder):
            self._written(call)

    def _rename(self, number: int, old: str, new: str) -> None:
        for path in [path for path in self.files if path == old or path.startswith(old + "/")]:
            self.files[new + path[len(old) :]] = self.files.pop(path)
            self.named.pop(path, None)
        self.named[new] = number

    def _written(self, call: Call) -> None:
        contents = self.files.setdefault(call.file(), Contents())
        words = call.arguments.rsplit(", ", 1)
        if call.name in {"write", "writev"}:
            # Engines append with these; a file that is written anew in its middle is written with an offset.
            start = contents.size
        elif call.name in {"pwrite64", "pwritev", "pwritev2"}:
            start = int(words[-1])
        else:
            return
        contents.write(start, start + call.result)

    def unsynced(self) -> Iterator[str]:
        """Files of which something may be lost."""
        return (path for path, contents in self.files.items() if contents.dirty)

    def forgotten(self) -> Iterator[str]:
        """Files and folders whose names may be lost."""
        return (path for path, number in self.named.items() if number > self.last_sync)

    def apply(self, copy: Path, seed: int) -> int:
        """Take from a copy of the folder what the cut takes; returns how many files and names it touched."""
        chance, touched = random.Random(seed), 0
        for path in sorted(self.forgotten(), key=len, reverse=True):
            target = self._in(copy, path)
            if target.is_dir() and not target.is_symlink() and chance.random() < 0.7:
                shutil.rmtree(target)
                touched += 1
            elif target.is_file() and chance.random() < 0.7:
                target.unlink()
                touched += 1
        for path in list(self.unsynced()):
            target = self._in(copy, path)
            if target.is_file():
                touched += 1
                self._tear(target, self.files[path], chance)
        return touched

    def _in(self, copy: Path, path: str) -> Path:
        return copy / path[len(self._folder) + 1 :]

    @staticmethod
    def _tear(target: Path, contents: Contents, chance: random.Random) -> None:
        size = target.stat().st_size
        way = chance.choice(("gone", "zeros", "torn"))
        with target.open("r+b") as file:
            for page in sorted(contents.dirty):
                if page * PAGE >= size or (way == "torn" and chance.random() < 0.5):
                    continue
                low, high = contents.dirty[page]
                file.seek(page * PAGE + low)
                file.write(bytes(max(min(high, size - page * PAGE) - low, 0)))
            first = min(contents.dirty)
            clean = max((page for page in range(-(-size // PAGE)) if page not in contents.dirty), default=-1)
            low, high = contents.dirty[first]
            if way == "gone" and clean < first and first * PAGE + high >= min(size, (first + 1) * PAGE):
                file.truncate(first * PAGE + low)
