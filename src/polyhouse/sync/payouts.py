"""Payouts that the upstream took back or corrected.

``resolutions`` holds what was said, one row per (condition, source, time, place). The chain never corrects itself;
the upstream's own list does: a payout is replaced by another, or a market is opened again. What it says now is the
row that was written last, and the market's state beside it. Older rows are *withdrawn*: written again without
numerators and marked provisional, so that no reader takes them for a payout. Nothing is deleted, and repeating it
changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polyhouse.ports import Warehouse
from polyhouse.tables import Columns

SOURCE = "resolutions"
_RESOLVED = "resolved"
_GIVEN = """(
    SELECT unhex(arrayJoin(splitByChar(',', {given:String}))))
"""
_LIVE = f"source = '{SOURCE}' AND NOT provisional AND notEmpty(numerators)"


@dataclass(frozen=True, slots=True)
class Payout:
    """What a condition pays according to the upstream's list: numerators, and the second in which it was decided."""

    numerators: tuple[int, ...]
    ts: int


def payouts(warehouse: Warehouse, conditions: Sequence[bytes]) -> dict[bytes, Payout]:
    """What the list said last about these conditions; those without a payout are left out."""
    if not conditions:
        return {}
    rows = warehouse.query(
        f"""
        SELECT condition, argMax((numerators, toUnixTimestamp(ts)), version) FROM resolutions_current
        WHERE {_LIVE} AND condition IN {_GIVEN} GROUP BY condition
        """,
        {"given": ",".join(condition.hex() for condition in conditions)},
    ).rows
    return {bytes(condition): Payout(tuple(int(n) for n in told[0]), int(told[1])) for condition, told in rows}


def withdraw(warehouse: Warehouse, run: int, conditions: Sequence[bytes] | None = None) -> int:
    """Withdraw every payout that a newer one replaced, and those of markets that are open again; returns how many rows.

    A market is open again when its newest state, told after the payout, is another one than resolved.

    Args:
        warehouse: with resolutions and states.
        run: number of the run.
        conditions: look at these only; None = at all.
    """
    if conditions is not None and not conditions:
        return 0
    scope = "1" if conditions is None else f"condition IN {_GIVEN}"
    rows = warehouse.query(
        f"""
        WITH not_resolved AS (
            SELECT condition, version AS told FROM market_states_current
            WHERE status NOT IN ('', '{_RESOLVED}') AND {scope})
        SELECT condition, toUnixTimestamp(ts), block, pos, version, told > version FROM resolutions_current AS r
        LEFT JOIN not_resolved AS s ON s.condition = r.condition
        WHERE {_LIVE} AND {scope} AND (told > version OR condition IN (
            SELECT condition FROM resolutions_current WHERE {_LIVE} AND {scope}
            GROUP BY condition HAVING count() > 1 SETTINGS optimize_aggregation_in_order = 1))
        ORDER BY condition, version DESC
        """,
        {} if conditions is None else {"given": ",".join(condition.hex() for condition in conditions)},
    ).rows
    # The first of a condition is what was said last: it stays, unless the market is open again.
    rows = [row for place, row in enumerate(rows) if row[5] or (place and bytes(rows[place - 1][0]) == bytes(row[0]))]
    if not rows:
        return 0
    columns: Columns = {
        "condition": [bytes(row[0]) for row in rows],
        "source": [SOURCE] * len(rows),
        "ts": [int(row[1]) for row in rows],
        "block": [int(row[2]) for row in rows],
        "pos": [int(row[3]) for row in rows],
        "numerators": [[] for _ in rows],
        "provisional": [True] * len(rows),
    }
    return warehouse.write("resolutions", columns, run=run, token=f"withdrawn:{run}:{rows[0][0].hex()}")


def holders(warehouse: Warehouse, conditions: Sequence[bytes]) -> int:
    """How many wallets ever moved shares of these conditions."""
    if not conditions:
        return 0
    return int(
        warehouse.query(
            f"""
            SELECT uniqExact(wallet) FROM observations
            WHERE condition IN {_GIVEN}
               OR token IN (SELECT token FROM tokens_current WHERE condition IN {_GIVEN})
            """,
            {"given": ",".join(condition.hex() for condition in conditions)},
        ).rows[0][0]
    )
