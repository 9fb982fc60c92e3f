"""Engine errors in the product's own words (errors.py says what each class means for the caller)."""

from __future__ import annotations

import re
from pathlib import Path

from polyhouse.disk import disk_error, number_of
from polyhouse.errors import AuthError, BadInputError, ConfigError, PolyhouseError, WarehouseUnavailableError
from polyhouse.warehouse.damage import damaged, is_damage
from polyhouse.warehouse.location import without_secrets

# ClickHouse error codes. https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
TIMEOUT = 159
TOO_MANY_ROWS = 396
MEMORY_LIMIT = 241
READONLY = 164
_AUTH = {192, 193, 194, 516}
_UNKNOWN_DATABASE = 81
_TRANSIENT = {
    TIMEOUT, MEMORY_LIMIT, 198, 202, 203, 209, 210, 236, 242, 243, 252, 279, 319, 394, 425, 439, 473, 499, 999, 1000,
    1002,
}  # fmt: skip
_AWAY = {0, 198, 203, 209, 210, 236, 242, 279, 319, 425, 439, 999, 1000, 1002}
"""Of them, those of a server that starts, stops or cannot reach its peers; 0 comes from the network or a proxy."""
_NOBODY_THERE = ("Connection refused", "NewConnectionError", "Name or service not known", "No route to host")
_ADDRESS = re.compile(r"host='([^']+)', port=(\d+)")
_NOT_OPENED = "Unable to open the chdb engine"
_TRAILER = re.compile(r"\s*\(version [^()]*(\([^()]*\))?[^()]*\)")
_PREFIX = re.compile(r"^(?:Code: \d+\. )?(?:DB::Exception: )?(?:Code: \d+\. DB::Exception: )?")
_LONGEST = 1500


def engine_text(error: BaseException) -> str:
    """The engine's own message, without version, prefix and passwords, cut at 1,500 characters."""
    text = _PREFIX.sub("", _TRAILER.sub("", str(error))).strip() or type(error).__name__
    return without_secrets(text)[:_LONGEST]


def engine_code(error: BaseException) -> int:
    """ClickHouse error code; 0 when the failure is not the engine's (connection refused, client closed)."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else 0


def translate(error: Exception, folder: Path | None = None) -> PolyhouseError:
    """The product's error for a failure of one of our own statements.

    Args:
        error: what the client raised.
        folder: of an embedded store.
    """
    code, text = engine_code(error), engine_text(error)
    number = number_of(error)
    if number:
        return disk_error("the warehouse" if folder else "the warehouse's server", folder, number)
    if folder is not None and _NOT_OPENED in text:
        return WarehouseUnavailableError(
            f"The embedded engine cannot open the store {folder}; what it says of it stands above.",
            hint="If a file of it is named there, the store is damaged: polyhouse restore DIR --force.",
        )
    if is_damage(code, text):
        return damaged(str(folder) if folder else "on its server", text)
    if code in _AUTH:
        return AuthError(f"The warehouse refused the user or password: {text}")
    if code == _UNKNOWN_DATABASE:
        return ConfigError(f"The warehouse has no such database: {text}", hint="Create it first: CREATE DATABASE …")
    if code == TIMEOUT:
        return WarehouseUnavailableError(
            f"The warehouse stopped a statement that took too long: {text}",
            hint="Ask for less, or later: it has more to do than it can.",
        )
    if code in _TRANSIENT or code == 0:
        return _unavailable(code, text)
    return PolyhouseError(f"The warehouse refused a statement of ours: {text}")


def _unavailable(code: int, text: str) -> WarehouseUnavailableError:
    if code == 0 and any(words in text for words in _NOBODY_THERE):
        found = _ADDRESS.search(text)
        where = f" at {found[1]}:{found[2]}" if found else ""
        return WarehouseUnavailableError(
            f"The warehouse{where} does not answer: nobody accepts the connection.",
            hint="Start it, or correct POLYHOUSE_WAREHOUSE; the same command then goes on from what is stored.",
            never_arrived=True,
        )
    return WarehouseUnavailableError(f"The warehouse did not do it: {text}", is_away=code in _AWAY)


def translate_user_sql(error: Exception, *, max_rows: int, timeout_seconds: float) -> PolyhouseError:
    """The product's error for a failure of a user's SELECT."""
    code, text = engine_code(error), engine_text(error)
    if code == TOO_MANY_ROWS:
        return BadInputError(f"The query returns more than {max_rows:,} rows.", hint="Add a LIMIT, or raise the limit.")
    if code == TIMEOUT:
        return BadInputError(f"The query took longer than {timeout_seconds:g} s and was stopped.")
    if code == MEMORY_LIMIT:
        return BadInputError(f"The query needs too much memory and was stopped: {text}")
    if code == READONLY:
        return BadInputError(f"Only reading is allowed here: {text}")
    if code in _AUTH or code in _TRANSIENT or code == 0:
        return translate(error)
    return BadInputError(f"The query is wrong: {text}")
