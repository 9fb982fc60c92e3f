"""When the model tables were last built, and what else tells whether a document is still true."""

from __future__ import annotations

from dataclasses import dataclass

from polyhouse.ports import Warehouse

_CATALOGUE = ("events", "markets", "tokens", "resolutions", "neg_risk_markets")
_MARKS = (
    "SELECT (SELECT (max(build), toUnixTimestamp(max(created_at))) FROM builds) AS newest,"
    " (SELECT sum(last) FROM (SELECT max(max_block_number) AS last FROM system.parts"
    f" WHERE database = currentDatabase() AND active AND table IN {_CATALOGUE} GROUP BY table)) AS catalogue"
)


@dataclass(frozen=True, slots=True)
class Marks:
    """What documents are made from: when a mark moves, those that depend on it are to be made anew.

    Attributes:
        build: number of the newest build, 0 = none yet.
        built_at: when it was published, Unix seconds.
        catalogue: grows with every batch of events, markets, tokens and resolutions.
    """

    build: int
    built_at: int
    catalogue: int


def read_marks(warehouse: Warehouse) -> Marks:
    """The marks as they are now: whatever is committed before the call is behind them."""
    newest, catalogue = warehouse.query(_MARKS).rows[0]
    return Marks(int(newest[0]), int(newest[1]), int(catalogue or 0))


def newest_build_time(warehouse: Warehouse) -> int:
    """``as_of`` of the newest build in Unix seconds: the newest ledger row it saw, where its windows end. 0 = none."""
    rows = warehouse.query("SELECT toUnixTimestamp(as_of) FROM builds ORDER BY build DESC LIMIT 1").rows
    return int(rows[0][0]) if rows else 0
