"""Times as integer Unix seconds (UTC), in the spellings that Polymarket's upstreams use (upstream §1)."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from polyhouse.domain.ids import shown
from polyhouse.errors import BadInputError

MIN_TIME = 1_420_070_400
"""2015-01-01T00:00:00Z, before the first block of any chain we read."""
MAX_TIME = 4_133_980_799
"""2100-12-31T23:59:59Z."""

_DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?"
    r"(?:(Z)|([+-])(\d{2})(?::?(\d{2}))?))?",
    re.ASCII,
)


def parse_time(value: Any, what: str = "time") -> int:
    """Unix seconds of epoch seconds (int or digits) or ISO text; fractions of a second are cut off.

    ISO text is a bare date (midnight UTC), or date and time with ``Z`` or an offset (``+00``, ``+00:00``); a time
    without an offset is refused, because nothing says which clock it shows.

    Raises:
        BadInputError: anything else, milliseconds or finer, and years outside 2015–2100.
    """
    if type(value) is int:
        return _checked(value, value, what)
    if type(value) is str and len(value) <= 40 and value.isascii():
        if value.isdigit():
            return _checked(int(value), value, what)
        match = _ISO.fullmatch(value)
        if match:
            return _checked(_from_iso(match, value, what), value, what)
    raise BadInputError(
        f"{what} {shown(value)} is not valid: expected Unix seconds or ISO 8601 in UTC such as 2026-11-21T11:00:00Z"
    )


def _from_iso(match: re.Match[str], value: str, what: str) -> int:
    year, month, day, hour, minute, second = (int(group or 0) for group in match.groups()[:6])
    sign, offset_hours, offset_minutes = match.group(8, 9, 10)
    try:
        offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        raise BadInputError(f"{what} {shown(value)} is not valid: there is no such date or time") from None


def _checked(seconds: int, value: Any, what: str) -> int:
    if MIN_TIME <= seconds <= MAX_TIME:
        return seconds
    if seconds > MAX_TIME and seconds // 1000 >= MIN_TIME:
        raise BadInputError(f"{what} {shown(value)} is not valid: it looks like milliseconds or finer; give seconds")
    raise BadInputError(f"{what} {shown(value)} is not valid: the year is outside 2015 to 2100")


def format_time(seconds: int) -> str:
    """ISO 8601 in UTC with a ``Z``: 1795258800 → ``"2026-11-21T11:00:00Z"``."""
    if type(seconds) is not int:
        raise BadInputError(f"time {shown(seconds)} is not valid: expected whole Unix seconds")
    days, second = divmod(seconds, _DAY_SECONDS)
    try:
        day = _day(days)
    except (ValueError, OverflowError):
        raise BadInputError(f"time {shown(seconds)} is not valid: it is outside the calendar") from None
    minute, second = divmod(second, 60)
    return f"{day}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}Z"


@lru_cache(maxsize=10_000)
def _day(days: int) -> str:
    """The date so many days after 1970-01-01. Documents have many times of few days."""
    return date.fromordinal(_EPOCH + days).isoformat()
