"""When the model tables were last built."""

from __future__ import annotations

from polyhouse.ports import Warehouse


def newest_build_time(warehouse: Warehouse) -> int:
    """``as_of`` of the newest build in Unix seconds: the newest ledger row it saw, where its windows end. 0 = none."""
    rows = warehouse.query("SELECT toUnixTimestamp(as_of) FROM builds ORDER BY build DESC LIMIT 1").rows
    return int(rows[0][0]) if rows else 0
