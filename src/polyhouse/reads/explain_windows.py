"""What of a position's numbers belongs to a window: the difference between now and its start (accounting §3.8).

The start is found by folding the ledger again and stopping there; its marks are the last prices before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.ledger.fold import fold_wallet
from polyhouse.ports import Warehouse
from polyhouse.reads.explain_ledger import load_ledger
from polyhouse.reads.explain_scope import Scope, query

WINDOWED = ("realized", "unrealized", "unrealized_marked", "unmarked", "bought_cost")
"""Numbers of which a window has its own part; what else has windows is counted by the times of rows."""

_ONE = 1_000_000
# Place and price of the newest fill up to the window's start, as models/fill_marks.sql finds it.
_LAST = (
    "max((bitShiftLeft(toUInt128(toUInt32(ts)), 80) + bitShiftLeft(toUInt128(block), 48)"
    " + bitShiftLeft(toUInt128(tx_index), 32) + pos, price_e6))"
)


@dataclass(frozen=True, slots=True)
class WindowPart:
    """One position's part of a window in micro-USDC.

    ``unrealized`` is None where a mark is missing now or at the start; ``value_before`` is what the shares open then
    were worth.
    """

    unit: bytes
    realized: int
    bought_cost: int
    unrealized: int | None
    value_before: int


def window_parts(warehouse: Warehouse, scope: Scope) -> dict[bytes, WindowPart]:
    """Token → its part of the window, for the positions of the scope."""
    held = query(
        warehouse,
        f"SELECT token, unit, realized, bought_cost, unrealized FROM ({scope.positions()})",
        scope.bound(),
    )
    ledger = load_ledger(warehouse, scope, [bytes(row["token"]) for row in held] if scope.unit or scope.token else None)
    folded = fold_wallet(ledger.fold_rows(), ledger.settlements, [scope.begin])
    marks = _marks(warehouse, scope, [bytes(row["token"]) for row in held])
    parts = {}
    for row in held:
        token = bytes(row["token"])
        then, settlement = folded[token].snapshots[0], ledger.settlements.get(token)
        before: int | None = 0
        value = then.cost
        if then.held and not (settlement is not None and settlement.ts <= scope.begin):
            mark = marks.get(token)
            value = 0 if mark is None else then.held * mark // _ONE
            before = None if mark is None else value - then.cost
        now = row["unrealized"]
        parts[token] = WindowPart(
            bytes(row["unit"]), int(row["realized"]) - then.realized, int(row["bought_cost"]) - then.bought_cost,
            None if now is None or before is None else int(now) - before, value,
        )  # fmt: skip
    return parts


def part_of(name: str, parts: Mapping[bytes, WindowPart]) -> int | None:
    """A number of ``WINDOWED`` of one unit, or of one position, from the parts of its positions."""
    if name == "realized":
        return sum(part.realized for part in parts.values())
    if name == "bought_cost":
        return sum(part.bought_cost for part in parts.values())
    known = [part.unrealized for part in parts.values() if part.unrealized is not None]
    is_unmarked = len(known) < len(parts)
    if name == "unmarked":
        return int(is_unmarked)
    if name == "unrealized_marked":
        return 0 if is_unmarked else sum(known)
    return None if is_unmarked else sum(known)


def by_unit(parts: Mapping[bytes, WindowPart]) -> dict[bytes, dict[bytes, WindowPart]]:
    """Unit → the parts of its positions."""
    found: dict[bytes, dict[bytes, WindowPart]] = {}
    for token, part in parts.items():
        found.setdefault(part.unit, {})[token] = part
    return found


def _marks(warehouse: Warehouse, scope: Scope, tokens: list[bytes]) -> dict[bytes, int]:
    """Marks at the window's start: the last price of the token or of its complement, whichever is later; own wins."""
    bound: dict[str, Any] = {"tokens": [token.hex() for token in tokens], "begin": scope.begin}
    chosen = "(SELECT toFixedString(unhex(arrayJoin({tokens:Array(String)})), 32))"
    pairs = query(
        warehouse,
        "SELECT t.token AS token, o.token AS other FROM token_map AS t FINAL"
        " LEFT JOIN (SELECT token, condition, outcome FROM token_map FINAL) AS o ON o.condition = t.condition"
        f" WHERE o.outcome = 1 - t.outcome AND t.token IN {chosen}",
        bound,
    )
    others = {bytes(row["token"]): bytes(row["other"]) for row in pairs}
    bound["tokens"] += [token.hex() for token in others.values()]
    rows = query(
        warehouse,
        f"SELECT token, {_LAST} AS last FROM token_prices FINAL WHERE source = 'fill' AND token IN {chosen}"
        " AND toInt64(toUnixTimestamp(ts)) <= {begin:Int64} GROUP BY token",
        bound,
    )
    last = {bytes(row["token"]): (int(row["last"][0]), int(row["last"][1])) for row in rows}
    marks = {}
    for token in tokens:
        own, other = last.get(token, (0, 0)), last.get(others.get(token, b""), (0, 0))
        if own[0] and own[0] >= other[0]:
            marks[token] = own[1]
        elif other[0]:
            marks[token] = _ONE - other[1]
    return marks
