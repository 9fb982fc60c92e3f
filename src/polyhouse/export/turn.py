"""One export at a time to one target: two would write each other's parts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyhouse.errors import RetryableError


class TargetInUseError(RetryableError):
    """Another export writes the target."""

    code = "TARGET_IN_USE"


@contextmanager
def alone_at(target: Path) -> Iterator[None]:
    """Meanwhile no other process exports to ``target``; a killed one leaves it free.

    Raises:
        TargetInUseError: somebody else does.
    """
    path = target.with_name(f".{target.name}.export.lock")
    descriptor = _locked(path)
    if descriptor is None:
        raise TargetInUseError(f"another export writes {target}", hint="wait for it to end, or choose another file")
    try:
        yield
    finally:
        path.unlink()
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _stands_at(path, descriptor):
            return descriptor
        # Whoever had it before took the file away between our opening and our locking it.
        os.close(descriptor)


def _stands_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
