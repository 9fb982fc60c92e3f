"""Rows of a user's SQL as a document: ids readable, numbers exact."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse

MAX_ROWS = 100_000
_MOST_ROWS = 10**9
TIMEOUT_SECONDS = 30.0


def sql(
    warehouse: Warehouse,
    statement: str,
    *,
    max_rows: int = MAX_ROWS,
    timeout_seconds: float | Decimal = TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """Run one read-only SELECT: ``{"columns": […], "rows": [[…]], "row_count": n}``.

    More than ``max_rows`` rows, or more than ``timeout_seconds``, is an error of the warehouse, never a cut answer.

    Raises:
        BadInputError: no text, no number, a statement that is refused, or a limit that was met.
    """
    if not isinstance(statement, str):
        raise BadInputError("a statement is a text")
    if type(max_rows) is not int or not 1 <= max_rows <= _MOST_ROWS:
        raise BadInputError(f"max_rows is a whole number from 1 to {_MOST_ROWS:,}")
    if isinstance(timeout_seconds, bool) or not isinstance(timeout_seconds, int | float | Decimal):
        raise BadInputError("timeout_seconds is a number")
    result = warehouse.query_readonly(statement, max_rows=max_rows, timeout_seconds=float(timeout_seconds))
    rows = [[readable(value) for value in row] for row in result.rows]
    return {"columns": list(result.columns), "rows": rows, "row_count": len(rows)}


def readable(value: Any) -> Any:
    """One cell: bytes as ``0x`` hex, times as ISO 8601, floats by their shortest digits, NaN and infinity as None."""
    if value is None or isinstance(value, str | bool | int | Decimal):
        return None if isinstance(value, Decimal) and not value.is_finite() else value
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray | memoryview):
        return f"0x{bytes(value).hex()}"
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [readable(item) for item in value]
    return readable(value.item()) if hasattr(value, "item") else str(value)


def _iso(value: datetime) -> str:
    """ClickHouse times without a zone are UTC."""
    in_utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return in_utc.isoformat().replace("+00:00", "Z")
