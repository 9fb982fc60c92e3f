"""What a database error means for the user, without statement text, values or passwords."""

from __future__ import annotations

import errno
from pathlib import Path

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from polyhouse.disk import disk_error, free_bytes, is_read_only
from polyhouse.errors import AuthError, ConfigError, PolyhouseError, RetryableError

_RESTORE_HINT = (
    "Move the file away: a fresh one is rebuilt from the warehouse's manifest, nothing that was read is read wrong."
)
_RIGHTS_HINT = "The user needs CREATE on the database (once, for the schema `polyhouse`) and its tables."
_DAMAGED = ("malformed", "not a database", "file is encrypted")
_UNUSABLE = ("unable to open", "readonly database")
# The server's answers to a connection attempt carry no code, only English text (libpq).
_REFUSED = ("password authentication failed", "no pg_hba.conf entry", "no password supplied", "authentication failed")
_WRONG_PLACE = ("does not exist", "invalid connection option", "invalid sslmode", "server does not support ssl")
_LEAST_FREE = 1 << 20
"""SQLite needs a shared-memory file and room in its log to open at all."""
_RETRYABLE_CLASSES = ("08", "25", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, read-only standby, rollback (deadlock), resources, locks and time-outs, shutdown,
system errors."""


def translate(error: DBAPIError, password: object = None, file: Path | None = None) -> PolyhouseError:
    """The product's error for a driver's error.

    Args:
        error: the driver's.
        password: masked wherever the driver repeats it.
        file: of a SQLite store.
    """
    text = _text(error, password)
    lower = text.lower()
    number = disk_number(text, file) if file is not None else 0
    if file is not None and number:
        return disk_error("the state store", file.parent, number)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if any(words in lower for words in _DAMAGED):
        return ConfigError(f"The state store is damaged: {text}.", hint=_RESTORE_HINT)
    if state.startswith("28") or (not state and any(words in lower for words in _REFUSED)):
        return AuthError("The state store refused the user or password.")
    if state == "42501":
        return ConfigError(f"The state store refuses us a right: {text}.", hint=_RIGHTS_HINT)
    if state.startswith("3D") or (not state and any(words in lower for words in (*_UNUSABLE, *_WRONG_PLACE))):
        return ConfigError(f"The state store cannot be used: {text}.")
    is_outside = error.connection_invalidated or state[:2] in _RETRYABLE_CLASSES
    if is_outside or (not state and isinstance(error, OperationalError | InterfaceError)):
        return RetryableError(f"The state store is unavailable: {text}.")
    if isinstance(error, DatabaseError):
        return PolyhouseError(f"The state store refused a statement of ours: {text}.")
    return PolyhouseError(f"The state store failed: {text}.")


def disk_number(text: str, file: Path) -> int:
    """Number of a disk's error for ``disk.disk_error``; 0 = not the disk's fault.

    SQLite says what it could not do; why is asked of the file system.

    Args:
        text: what SQLite said.
        file: its database.
    """
    text = text.lower()
    if "disk is full" in text:
        return errno.ENOSPC
    if not any(words in text for words in (*_UNUSABLE, "disk i/o error")):
        return 0
    if is_read_only(file.parent):
        return errno.EROFS
    if free_bytes(file.parent) < _LEAST_FREE:
        return errno.ENOSPC
    return errno.EIO if "disk i/o error" in text else 0


def _text(error: DBAPIError, password: object) -> str:
    """The first line of what the driver says: later ones repeat the statement."""
    lines = str(error.orig).strip().splitlines()
    text = (lines[0] if lines else type(error).__name__).rstrip(".")
    secret = str(password or "")
    return text.replace(secret, "***") if secret else text
