"""When a market is asked for news again: one table of rules, in SQL, evaluated on what is stored.

The first rule that fits decides. ``base`` is the time that passed between what the rule looks at and the last time
the market was asked, so that an interval is fixed by that asking: the longer nothing happened, the longer the next
pause, up to the rule's longest. A market that was never asked is due at once. No rule ever gives a market up.

==========  ===============================================================================  ==================
rule        market                                                                           asked again after
==========  ===============================================================================  ==================
final       paid out on chain: cannot change                                                 never
resolved    paid out according to the upstream, which may correct itself                     base, 6 h to 30 d
proposed    an outcome is proposed, challenged or disputed                                   base/20, 10 min to 7 d
waiting     closed, or past its end, without a payout                                        base/10, 15 min to 7 d
ending      open, ends within a day                                                          15 min
traded      open, traded within a day                                                        1 h
quiet       open, nothing of this                                                            1 d
==========  ===============================================================================  ==================

``base`` counts from the payout (resolved), from the last change of the proposal (proposed) or from the end (waiting).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from polyhouse.ports import Warehouse
from polyhouse.sync.catalog import slices

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
PROPOSED = ("proposed", "reproposed", "challenged", "disputed", "arbitration")
"""States of a resolution in which an outcome is on the table (data-api-v2.md)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table.

    Attributes:
        name: what reports call it.
        fits: SQL condition on the facts of ``_FACTS``.
        origin: SQL for the second from which ``base`` counts, "" = the interval is ``shortest``.
        share: the interval is ``base / share``, between ``shortest`` and ``longest`` seconds.
    """

    name: str
    fits: str
    shortest: int
    longest: int
    origin: str = ""
    share: int = 1

    @property
    def interval(self) -> str:
        """SQL for the seconds until the market is asked again, counted from ``asked``."""
        if not self.origin:
            return str(self.shortest)
        base = f"intDiv(greatest(0, asked - toInt64({self.origin})), {self.share})"
        return f"least({self.longest}, greatest({self.shortest}, {base}))"


RULES = (
    Rule("resolved", "paid > 0", 6 * _HOUR, 30 * _DAY, "paid"),
    Rule("proposed", "is_proposed", 10 * _MINUTE, 7 * _DAY, "greatest(changed, ends)", 20),
    Rule("waiting", "is_closed OR (ends > 0 AND ends <= now)", 15 * _MINUTE, 7 * _DAY, "greatest(ends, closed_at)", 10),
    Rule("ending", f"ends > 0 AND ends <= now + {_DAY}", 15 * _MINUTE, 15 * _MINUTE),
    Rule("traded", "is_traded", _HOUR, _HOUR),
    Rule("quiet", "1", _DAY, _DAY),
)
"""Every rule but ``final``, whose markets are left out."""

_RANGE = "condition BETWEEN unhex({low:String}) AND unhex({high:String})"
_FACTS = f"""
SELECT
    m.condition AS condition, m.event_id AS event_id, m.is_closed AS is_closed, m.ends AS ends,
    m.closed_at AS closed_at, {{now:Int64}} AS now, toInt64(r.paid) AS paid,
    s.status IN ({", ".join(f"'{word}'" for word in PROPOSED)}) AS is_proposed, toInt64(s.changed) AS changed,
    greatest(toInt64(s.seen), toInt64(c.checked)) AS asked, m.condition IN (
        SELECT unhex(arrayJoin(splitByChar(',', {{traded:String}})))) AS is_traded
FROM (
    SELECT condition, max(event_id) AS event_id, max(closed) AS is_closed,
           toInt64(toUnixTimestamp(max(end_ts))) AS ends, toInt64(toUnixTimestamp(max(closed_ts))) AS closed_at
    FROM markets_current WHERE condition != '' AND {_RANGE} GROUP BY condition) AS m
LEFT JOIN (SELECT condition, toUnixTimestamp(max(ts)) AS paid, max(source = 'chain') AS on_chain
           FROM resolutions_current WHERE NOT provisional AND {_RANGE} GROUP BY condition) AS r
    ON r.condition = m.condition
LEFT JOIN (SELECT condition, status, toUnixTimestamp(updated_ts) AS changed, toUnixTimestamp(seen_at) AS seen
           FROM market_states_current WHERE {_RANGE}) AS s ON s.condition = m.condition
LEFT JOIN (SELECT condition, toUnixTimestamp(checked_at) AS checked FROM market_checks_current WHERE {_RANGE}) AS c
    ON c.condition = m.condition
WHERE r.on_chain = 0
"""
_CHOICE = ", ".join(f"{rule.fits}, '{rule.name}'" for rule in RULES[:-1]) + f", '{RULES[-1].name}'"
_INTERVAL = ", ".join(f"rule = '{rule.name}', {rule.interval}" for rule in RULES[:-1]) + f", {RULES[-1].interval}"


@dataclass(frozen=True, slots=True)
class DueMarket:
    """A market that is to be asked now, and the rule that says so."""

    condition: bytes
    event_id: int
    rule: str

    @property
    def text(self) -> str:
        """The condition as upstreams spell it."""
        return "0x" + self.condition.hex()


def due_markets(warehouse: Warehouse, now: int, *, everything: bool = False) -> Iterator[list[DueMarket]]:
    """Markets whose time has come, in groups ordered by condition.

    Args:
        warehouse: with markets.
        now: Unix seconds.
        everything: every market that can still change, due or not.
    """
    for params in _slices(warehouse, now):
        rows = warehouse.query(
            f"""
            SELECT condition, event_id, multiIf({_CHOICE}) AS rule, multiIf({_INTERVAL}) AS interval
            FROM ({_FACTS}) WHERE {{everything:UInt8}} OR asked = 0 OR asked + interval <= now
            ORDER BY condition SETTINGS max_threads = 1
            """,
            params | {"everything": int(everything)},
        ).rows
        if rows:
            yield [DueMarket(bytes(row[0]), int(row[1]), str(row[2])) for row in rows]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Markets of one rule: how many there are, and when the first of them is due (Unix seconds)."""

    rule: str
    markets: int
    next_due: int


def schedule(warehouse: Warehouse, now: int) -> list[Waiting]:
    """What waits, rule by rule, in the order of the table."""
    found: dict[str, tuple[int, int]] = {}
    for params in _slices(warehouse, now):
        rows = warehouse.query(
            f"""
            SELECT multiIf({_CHOICE}) AS rule, count() AS markets,
                   min(if(asked = 0, now, asked + multiIf({_INTERVAL}))) AS due
            FROM ({_FACTS}) GROUP BY rule SETTINGS max_threads = 1
            """,
            params,
        ).rows
        for rule, markets, due in rows:
            before, first = found.get(str(rule), (0, int(due)))
            found[str(rule)] = (before + int(markets), min(first, int(due)))
    return [Waiting(rule.name, *found[rule.name]) for rule in RULES if rule.name in found]


def _slices(warehouse: Warehouse, now: int) -> Iterator[dict[str, object]]:
    """Parameters of the facts, one range of conditions after the other; what was traded is asked once for all."""
    total = int(warehouse.query("SELECT count() FROM markets").rows[0][0])
    traded = [
        bytes(row[0])
        for row in warehouse.query(
            "SELECT DISTINCT condition FROM observations WHERE ts >= toDateTime({yesterday:UInt32}, 'UTC')"
            " AND kind IN ('BUY', 'SELL') AND condition != '' ORDER BY condition",
            {"yesterday": max(0, now - _DAY)},
        ).rows
    ]
    for low, high in slices(total, 32):
        here = traded[bisect_left(traded, low) : bisect_right(traded, high)]
        given = ",".join(condition.hex() for condition in here)
        yield {"now": now, "low": low.hex(), "high": high.hex(), "traded": given}
