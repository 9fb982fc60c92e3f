"""Appends what a build changed to the feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from polyhouse.feed.events import Change, append, newest_id, standing_changes, take_for_known
from polyhouse.feed.recent import resolution_changes, trade_changes
from polyhouse.feed.standings import flag_places, leaderboard_places
from polyhouse.ports import Warehouse

BEGIN_NOTE = "feed.begin"
"""Note: what happened up to this second (Unix) was known before the feed began."""
LAST_NOTE = "feed.last"
"""Note: the newest id; ids go on from it even where all events were dropped since."""
RECENT_SECONDS = 86_400
"""Trades and resolutions that are older than this, seen from the newest ledger row, are history and no news."""
KEEP_DAYS = 7
"""Events are kept for so many days; readers that come later are told that they missed some."""

_STANDING: dict[str, Callable[[Warehouse], Iterator[Change]]] = {
    "leaderboard": leaderboard_places,
    "flag": flag_places,
}


class Notes(Protocol):
    """The part of the state store that keeps notes."""

    def get_note(self, key: str) -> Any:
        """The value under a key, None if there is none."""
        ...

    def set_note(self, key: str, value: Any) -> None:
        """Store a value under a key."""
        ...


def publish(warehouse: Warehouse, notes: Notes, wallets: Sequence[bytes] | None, *, now: int) -> int:
    """Append what is new since the last call, and drop what is older than a week. Returns the number of events.

    Harmless to repeat, also after a kill in the middle. The first call only remembers how things stand: what is known
    before the feed begins is no news. One at a time (``sync.turns``).

    Args:
        warehouse: with the tables of a finished build.
        notes: where the feed's beginning and its last id are remembered.
        wallets: whose rows the build wrote; None = everybody's.
        now: Unix seconds.
    """
    as_of = int(warehouse.query("SELECT toUnixTimestamp(max(as_of)) FROM builds").rows[0][0])
    begin = notes.get_note(BEGIN_NOTE)
    if begin is None:
        for places in _STANDING.values():
            take_for_known(warehouse, places(warehouse))
        notes.set_note(BEGIN_NOTE, as_of)
        return 0
    noted = int(notes.get_note(LAST_NOTE) or 0)
    first = last = max(noted, newest_id(warehouse))
    since = max(int(begin), as_of - RECENT_SECONDS)
    for changes in _changes(warehouse, wallets, since):
        last = append(warehouse, last, changes, now=now)
    if last != noted:
        notes.set_note(LAST_NOTE, last)
    _drop_old(warehouse, now - KEEP_DAYS * 86_400, since)
    return last - first


def _changes(warehouse: Warehouse, wallets: Sequence[bytes] | None, since: int) -> Iterator[Iterator[Change]]:
    yield trade_changes(warehouse, wallets, since)
    yield resolution_changes(warehouse, since)
    for kind, places in _STANDING.items():
        yield standing_changes(warehouse, kind, places(warehouse))


def _drop_old(warehouse: Warehouse, until: int, since: int) -> None:
    """Days that ended before ``until``, unless trades of after ``since`` are among them: these are still compared."""
    rows = warehouse.query(
        "SELECT toYYYYMMDD(at) AS day FROM feed GROUP BY day"
        " HAVING toUnixTimestamp(max(at)) < {until:UInt32}"
        " AND toUnixTimestamp(maxIf(ts, kind IN ('trade', 'resolution'))) <= {since:UInt32} ORDER BY day",
        {"until": max(until, 0), "since": since},
    ).rows
    for (day,) in rows:
        warehouse.command(f"ALTER TABLE feed DROP PARTITION {int(day)}")
