"""Reads the feed from an id on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from polyhouse.domain.amounts import micros
from polyhouse.domain.ids import parse_address, parse_condition
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import decode, moment

KINDS = ("trade", "resolution", "leaderboard", "flag")
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """Which events.

    Attributes:
        kinds: of these kinds; () = of all.
        wallet: only what is about this address; "" = about anything.
        condition: only what is about this market.
        min_volume: of trades, USDC at least.
    """

    kinds: tuple[str, ...] = ()
    wallet: str = ""
    condition: str = ""
    min_volume: str = "0"

    def where(self) -> tuple[str, dict[str, Any]]:
        """The SQL condition and its parameters.

        Raises:
            BadInputError: an unknown kind, or an id or amount that cannot be.
        """
        parts, bound = ["1"], dict[str, Any]()
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise BadInputError(f"unknown kind of event {unknown[0][:40]!r}", hint=f"any of: {' '.join(KINDS)}")
        if self.kinds:
            parts.append("kind IN {kinds:Array(String)}")
            bound["kinds"] = list(self.kinds)
        if self.wallet:
            parts.append("wallet = toFixedString(unhex({wallet:String}), 20)")
            bound["wallet"] = parse_address(self.wallet).hex()
        if self.condition:
            parts.append("condition = unhex({condition:String})")
            bound["condition"] = parse_condition(self.condition).hex()
        least = micros(self.min_volume)
        if least > 0:
            parts.append("(kind != 'trade' OR volume >= {least:Int64})")
            bound["least"] = least
        return " AND ".join(parts), bound


def feed(warehouse: Warehouse, query: FeedQuery, *, after: int = 0, limit: int = 100) -> dict[str, Any]:
    """Events after an id, oldest first.

    Returns:
        ``events`` (each ``id``, ``kind``, ``action``, ``published_at`` and the facts of its kind), ``last_id`` (where
        to go on), ``newest_id``, and ``missed``: whether events after ``after`` are no longer kept, or ``after`` is not
        of this feed, so that the reader has to look at the tables once.

    Raises:
        BadInputError: see ``FeedQuery.where``; an id or limit out of range.
    """
    if not 0 <= after < 2**63 or not 1 <= limit <= MAX_LIMIT:
        raise BadInputError(f"after must be an id, limit 1 to {MAX_LIMIT}")
    where, bound = query.where()
    oldest, newest = warehouse.query("SELECT min(id), max(id) FROM feed").rows[0]
    rows = warehouse.query(
        "SELECT id, toString(kind), toString(action), toUnixTimestamp(at), body FROM feed"
        f" WHERE id > {{after:UInt64}} AND id <= {{newest:UInt64}} AND {where} ORDER BY id LIMIT {{limit:UInt32}}",
        bound | {"after": after, "newest": int(newest), "limit": limit},
    ).rows
    events = [
        {"id": int(number), "kind": kind, "action": action, "published_at": moment(int(at)), **decode(body)}
        for number, kind, action, at, body in rows
    ]
    is_cut = len(rows) == limit
    return {
        "events": events,
        "last_id": int(rows[-1][0]) if is_cut else max(int(newest), after),
        "newest_id": int(newest),
        "missed": bool(newest) and (0 < after < int(oldest) - 1 or after > int(newest)),
    }
