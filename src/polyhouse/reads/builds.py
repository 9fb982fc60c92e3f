"""When the model tables were last built, and what else tells whether a document is still true."""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.ports import Warehouse
from polyhouse.reads.unchanged import while_unchanged

_BUILD = "SELECT max(build), toUnixTimestamp(max(created_at)) FROM builds"
_BATCHES = (
    "SELECT cityHash64(groupArray((table, last))) FROM (SELECT table, max(max_block_number) AS last FROM system.parts"
    " WHERE database = currentDatabase() AND active AND NOT match(table, '__(next|previous)$')"
    " GROUP BY table ORDER BY table)"
)


@dataclass(frozen=True, slots=True)
class Marks:
    """What documents are made from: when a mark moves, those that depend on it are to be made anew.

    Attributes:
        build: number of the newest build, 0 = none yet.
        built_at: when it was published, Unix seconds.
        batches: another number after every batch of rows.
    """

    build: int
    built_at: int
    batches: int


def read_marks(warehouse: Warehouse, batches: int | None = None) -> Marks:
    """The marks as they are now: whatever is committed before the call is behind them.

    Args:
        warehouse: the open warehouse.
        batches: a number that moves with every batch, if the caller has one; else the engine's parts tell.
    """
    if batches is None:
        batches = int(warehouse.query(_BATCHES).rows[0][0])
    build, built_at = warehouse.query(_BUILD).rows[0]
    return Marks(int(build), int(built_at), batches)


def newest_build(warehouse: Warehouse) -> tuple[int, int]:
    """Number and ``as_of`` (Unix seconds) of the newest build; zeros before the first.

    Nearly every page asks for it.
    """
    return while_unchanged(warehouse, "newest build", ("builds",), lambda: _newest_build(warehouse))


def newest_build_time(warehouse: Warehouse) -> int:
    """``as_of`` of the newest build in Unix seconds: the newest ledger row it saw, where its windows end. 0 = none."""
    return newest_build(warehouse)[1]


def _newest_build(warehouse: Warehouse) -> tuple[int, int]:
    rows = warehouse.query("SELECT build, toUnixTimestamp(as_of) FROM builds ORDER BY build DESC LIMIT 1").rows
    return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)
