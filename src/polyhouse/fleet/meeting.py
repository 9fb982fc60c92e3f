"""Where owner and workers meet: a socket that only this user may open, and a file that says where and with which word.

The socket lies in the home folder, or in a folder of its own where the home folder's path is too long for a socket.
``workers.json`` beside it (mode 0600) names both for ``polyhouse worker``; children get them through a pipe, so that no
argument list and no environment ever holds the token.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from polyhouse.errors import RetryableError

SOCKET_NAME = "workers.sock"
FILE_NAME = "workers.json"
_LONGEST_PATH = 100
_BACKLOG = 64


class Meeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to knock, and the word to say."""

    socket: str
    token: str
    pid: int


@contextmanager
def meeting_place(home: Path) -> Iterator[tuple[socket.socket, Meeting]]:
    """Listen in ``home``; socket and file are removed at the end.

    Raises:
        RetryableError: another process leads the workers of this home folder.
    """
    with contextlib.ExitStack() as stack:
        path = home / SOCKET_NAME
        if len(os.fsencode(path)) > _LONGEST_PATH:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyhouse-"))) / SOCKET_NAME
        earlier = find_meeting(home)
        if earlier is not None and is_open(earlier):
            raise RetryableError(
                f"Another process (pid {earlier.pid}) leads the workers of {home}.",
                hint="`polyhouse worker` joins it; or wait until it is done.",
            )
        listener = stack.enter_context(_listen(path))
        stack.callback(path.unlink, missing_ok=True)
        meeting = Meeting(str(path), secrets.token_hex(32), os.getpid())
        stack.enter_context(_published(home / FILE_NAME, meeting))
        yield listener, meeting


def find_meeting(home: Path) -> Meeting | None:
    """Where the owner of ``home`` listens, None if nobody left a readable note."""
    try:
        return msgspec.json.decode((home / FILE_NAME).read_bytes(), type=Meeting)
    except (OSError, msgspec.DecodeError):
        return None


def is_open(meeting: Meeting) -> bool:
    """Whether somebody listens there; a process that was killed leaves its note behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(meeting.socket)
        except OSError:
            return False
        return True


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left by a process that was killed: nobody answers there
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(_BACKLOG)
    listener.setblocking(False)  # noqa: FBT003 - the signature of the standard library
    return listener


@contextmanager
def _published(path: Path, meeting: Meeting) -> Iterator[None]:
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(meeting))
    beside.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
