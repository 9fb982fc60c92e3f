"""One process per embedded store, and who it is.

The engine refuses a second process by itself, but cannot say who the first one is. So our own lock is taken before the
engine is opened: ``flock`` on a file beside the store, which the kernel releases whenever its process ends, however it
ends. The file's text only describes the holder; it is never trusted to decide whether the store is free.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from polyhouse.disk import disk_error, number_of
from polyhouse.errors import ConfigError, StoreInUseError
from polyhouse.warehouse.location import Embedded, parse_location, without_secrets

# `holder` takes the lock shared for an instant; an opener that meets it must not report the store as busy.
_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class HolderInfo:
    """The process that has a store open.

    Attributes:
        pid: process id; 0 if the lock file could not be read.
        command: its command line, passwords masked.
        started_at: when it took the store, Unix seconds.
        url: address of its HTTP API if it is ``polyhouse serve``, else ``""``.
        token_file: file (readable by its owner only) with the key for that API, else ``""``.
    """

    pid: int
    command: str = ""
    started_at: int = 0
    url: str = ""
    token_file: str = ""

    def describe(self) -> str:
        """One phrase for error messages: command, pid and since when."""
        if not self.pid:
            return "another process"
        since = datetime.fromtimestamp(self.started_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"`{self.command}` (pid {self.pid}, since {since})"


class StoreLock:
    """The exclusive lock of this process on one embedded store."""

    def __init__(self, path: Path, descriptor: int, info: HolderInfo) -> None:
        self._path = path
        self._descriptor = descriptor
        self._info = info

    @classmethod
    def acquire(cls, location: Embedded) -> StoreLock:
        """Take the lock; a lock of a process that has ended is taken over.

        Raises:
            StoreInUseError: another process has it; the message names it.
            ConfigError: the folder cannot be created or written.
        """
        path = location.lock_path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if number := number_of(error):
                raise disk_error("the warehouse", path.parent, number) from error
            raise ConfigError(f"The warehouse folder cannot be used: {error.strerror}: {path}.") from error
        if not _lock(descriptor):
            info = _read(descriptor) or HolderInfo(pid=0)
            os.close(descriptor)
            raise in_use(location.path, info)
        lock = cls(path, descriptor, HolderInfo(pid=os.getpid(), command=_command(), started_at=int(time.time())))
        try:
            lock._write(asdict(lock._info))
        except OSError as error:
            lock.release()
            raise disk_error("the warehouse", path.parent, number_of(error) or errno.EIO) from error
        return lock

    @property
    def info(self) -> HolderInfo:
        """What others read about this process."""
        return self._info

    def set_server_url(self, url: str, token_file: str = "") -> None:
        """Tell other processes where to ask instead of opening the store themselves.

        Args:
            url: address of the HTTP API; ``""`` when it stops.
            token_file: path of the file with its key.

        Raises:
            ConfigError: the key file can be read by other users.
        """
        if token_file and Path(token_file).stat().st_mode & 0o077:
            raise ConfigError(f"The key file {token_file} can be read by other users.", hint=f"chmod 600 {token_file}")
        info = self._info
        self._info = HolderInfo(info.pid, info.command, info.started_at, url, token_file)
        self._write(asdict(self._info))

    def release(self) -> None:
        """Give the store free. The file stays: removing it would race with the next opener."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, document: Mapping[str, Any]) -> None:
        data = json.dumps(document).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)
        os.fsync(self._descriptor)


def holder(where: str | Path) -> HolderInfo | None:
    """Who has the embedded store open.

    Args:
        where: a ``chdb:///…`` URL or the store's folder.

    Returns:
        None if nobody has, or if the URL is a server's (servers have many users).
    """
    location = parse_location(where) if isinstance(where, str) and "://" in where else Embedded(Path(where).resolve())
    if not isinstance(location, Embedded):
        return None
    try:
        descriptor = os.open(location.lock_path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody, or nobody can have it there: whoever opens the store is told why
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor) or HolderInfo(pid=0)
    else:
        return None
    finally:
        os.close(descriptor)


def in_use(path: Path, info: HolderInfo) -> StoreInUseError:
    """The error for a store that ``info`` has open."""
    hint = (
        f"It serves the store at {info.url}; read commands ask it by themselves."
        if info.url
        else "Wait for it to end, or let one `polyhouse serve` own the store: commands then ask it."
    )
    who = "this process" if info.pid == os.getpid() else info.describe()
    return StoreInUseError(f"The store {path} is open in {who}.", hint=hint)


def _lock(descriptor: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def _read(descriptor: int) -> HolderInfo | None:
    # The holder rewrites the text in place, so a reader may meet it half written.
    for _ in range(10):
        try:
            document = json.loads(os.pread(descriptor, 65536, 0))
            return HolderInfo(**{name: document[name] for name in HolderInfo.__slots__})
        except (ValueError, KeyError, TypeError):
            time.sleep(0.01)
    return None


def _command() -> str:
    program, *arguments = sys.argv or ["python"]
    return without_secrets(" ".join([Path(program).name or "python", *arguments]))[:500]
