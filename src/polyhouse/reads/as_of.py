"""Reads as of a moment of the past: the same questions to the database that was built for it (docs/as-of.md)."""

from __future__ import annotations

from typing import Any

from polyhouse.domain.times import format_time, parse_time
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse


class NotKeptError(BadInputError):
    """No models of this moment are kept; making them is work of a command, not of a read."""

    code = "AS_OF_NOT_KEPT"


def at_moment(warehouse: Warehouse, text: Any) -> Warehouse:
    """The store as it was known at a moment.

    Args:
        warehouse: the store.
        text: ISO 8601 with ``Z`` or an offset, a date, or Unix seconds.

    Raises:
        BadInputError: no such time.
        NotKeptError: nothing was built for it, or an older version of Polyhouse did it.
    """
    moment = parse_time(text, "as_of")
    rows = warehouse.query(
        "SELECT database FROM as_of_databases FINAL WHERE toUnixTimestamp(moment) = {moment:UInt32}"
        " AND startsWith(fingerprint, concat(toString((SELECT max(number) FROM schema_migrations)), ' '))",
        {"moment": moment},
    ).rows
    if not rows:
        raise NotKeptError(
            f"no models as of {format_time(moment)} are kept", hint=f"polyhouse metrics --as-of {format_time(moment)}"
        )
    return warehouse.in_database(rows[0][0])


def without_present(document: dict[str, Any], text: Any) -> dict[str, Any]:
    """A document of a moment without what describes the present: the queue, and from where rows were read since.

    It gains ``as_of_moment``; ``as_of`` is, as ever, the newest row that stands behind it.
    """
    for name in ("sync", "coverage_details"):
        if name in document:
            document[name] = None
    return document | {"as_of_moment": format_time(parse_time(text, "as_of"))}
