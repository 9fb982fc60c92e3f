"""What the operating system says of a disk, in words for the user: full, read-only, failing."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

from polyhouse.errors import DiskError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FAILING = frozenset({errno.EIO, errno.EUCLEAN, errno.ENODEV, errno.ENXIO, errno.ESTALE})
_NUMBER = re.compile(r"errno: (\d+)")
_TEXTS = {
    os.strerror(number).lower(): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
} | {"not enough space": errno.ENOSPC}
_GO_ON = "the same command goes on from what is stored, and a server by itself."


def number_of(error: BaseException) -> int:
    """The operating system's number of an error that the disk caused; 0 = another cause.

    Engines report their disk's errors as text, with or without the number.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno if _is_of_disk(error.errno) else 0
    text = str(error)
    found = _NUMBER.search(text)
    if found is not None and _is_of_disk(int(found[1])):
        return int(found[1])
    lower = text.lower()
    return next((number for words, number in _TEXTS.items() if words in lower), 0)


def disk_error(what: str, folder: Path | None, number: int) -> DiskError:
    """The product's error.

    Args:
        what: whose disk, as in "the warehouse".
        folder: where; it need not exist. None: on another machine.
        number: from ``number_of``.
    """
    where = "" if folder is None else f": {folder}"
    if number in _FULL:
        free = "" if folder is None else f" ({free_bytes(folder) / 1e6:,.1f} MB are free)"
        return DiskError(f"The disk of {what} is full{where}{free}.", hint=f"Make room there; {_GO_ON}")
    if number == errno.EROFS:
        return DiskError(
            f"The disk of {what} is read-only{where}.",
            hint=f"A system does that to a disk that failed, see its log. When it can be written again, {_GO_ON}",
        )
    return DiskError(
        f"The disk of {what} fails ({os.strerror(number)}){where}.",
        hint="See the system's log. Restore a backup on a healthy disk if the store does not open there.",
    )


def free_bytes(folder: Path) -> int:
    """Bytes that a user may still write there, or in the nearest folder above that exists."""
    return shutil.disk_usage(_existing(folder)).free


def is_read_only(folder: Path) -> bool:
    """Whether the file system is mounted so that nobody can write."""
    return bool(os.statvfs(_existing(folder)).f_flag & os.ST_RDONLY)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _is_of_disk(number: int) -> bool:
    return number in _FULL or number in _FAILING or number == errno.EROFS
