"""The coverage ledger of the chain: which blocks were read, what is missing, and what does not fit together.

A coverage row is written after the logs it speaks of, so it is the one answer to "was this block read?"; runs plan from
it. It moves with the rows: a warehouse restored from a backup knows by itself what it lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from polyhouse.models.checks import CheckResult
from polyhouse.ports import Warehouse
from polyhouse.tables import Columns

REGISTRY = "registry"
"""Contract group: logs that describe markets. Read before the group ``ledger`` of the same blocks."""
LEDGER = "ledger"
"""Contract group: all logs of all contracts that the ledger needs, those of ``registry`` included."""
GROUPS = (REGISTRY, LEDGER)

Interval = tuple[int, int]
"""First and last block, both included."""

_EXAMPLES = 5


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same blocks as disjoint intervals in order, neighbours joined."""
    result: list[Interval] = []
    for first, last in sorted(intervals):
        if result and first <= result[-1][1] + 1:
            result[-1] = result[-1][0], max(last, result[-1][1])
        else:
            result.append((first, last))
    return result


def without(wanted: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """The blocks of ``wanted`` that are not in ``taken``."""
    blocked = merged(taken)
    result: list[Interval] = []
    for first, last in merged(wanted):
        at = first
        for low, high in blocked:
            if high < at or low > last:
                continue
            if low > at:
                result.append((at, low - 1))
            at = high + 1
        if at <= last:
            result.append((at, last))
    return result


def covered(warehouse: Warehouse, group: str) -> list[Interval]:
    """The blocks of a contract group that were read."""
    rows = warehouse.query(
        "SELECT from_block, to_block FROM coverage FINAL WHERE source = 'chain' AND contract_group = {g:String}"
        " ORDER BY from_block",
        {"g": group},
    ).rows
    return merged((int(first), int(last)) for first, last in rows)


def was_read(warehouse: Warehouse) -> bool:
    """Whether any block was read."""
    return bool(
        warehouse.query("SELECT count() FROM (SELECT 1 FROM coverage WHERE source = 'chain' LIMIT 1)").rows[0][0]
    )


def missing(warehouse: Warehouse, group: str, first: int, last: int) -> list[Interval]:
    """The blocks between ``first`` and ``last`` (both included) that were not read yet."""
    return without([(first, last)], covered(warehouse, group)) if first <= last else []


def holes(warehouse: Warehouse) -> dict[str, list[Interval]]:
    """Per contract group, what is missing between the first and the last block that any group has read."""
    ranges = {group: covered(warehouse, group) for group in GROUPS}
    ends = [interval for found in ranges.values() for interval in found]
    if not ends:
        return {group: [] for group in GROUPS}
    whole = (min(first for first, _ in ends), max(last for _, last in ends))
    return {group: without([whole], ranges[group]) for group in GROUPS}


def overlaps(warehouse: Warehouse) -> list[tuple[str, Interval]]:
    """Coverage rows that claim a block which another row of the group claims, too: (group, the later row's range)."""
    rows = warehouse.query(
        "SELECT contract_group, from_block, to_block FROM coverage FINAL WHERE source = 'chain'"
        " ORDER BY contract_group, from_block, to_block"
    ).rows
    found: list[tuple[str, Interval]] = []
    end: dict[str, int] = {}
    for group, first, last in rows:
        before = end.get(str(group), -1)
        if int(first) <= before:
            found.append((str(group), (int(first), int(last))))
        end[str(group)] = max(before, int(last))
    return found


def lost(warehouse: Warehouse) -> list[tuple[str, Interval]]:
    """Coverage rows whose logs are not all stored: (group, range)."""
    found: list[tuple[str, Interval]] = []
    for group in GROUPS:
        rows = warehouse.query(
            f"""
            SELECT c.from_block, c.to_block
            FROM (SELECT from_block, to_block, rows, 1 AS k FROM coverage FINAL
                  WHERE source = 'chain' AND contract_group = {{g:String}}) AS c
            ASOF LEFT JOIN ({_running_count(group)}) AS l ON c.k = l.k AND c.to_block >= l.block
            ASOF LEFT JOIN ({_running_count(group)}) AS b ON c.k = b.k AND c.from_block > b.block
            WHERE toInt64(l.logs) - toInt64(b.logs) != c.rows
            ORDER BY c.from_block
            """,
            {"g": group},
        ).rows
        found += [(group, (int(first), int(last))) for first, last in rows]
    return found


def _running_count(group: str) -> str:
    """Blocks with the number of stored logs up to them; an ASOF join needs a key beside its order, hence ``k``."""
    wanted = "status = 'registry'" if group == REGISTRY else "1"
    return (
        "SELECT block, 1 AS k, sum(n) OVER (ORDER BY block) AS logs FROM"
        f" (SELECT block, count() AS n FROM chain_logs FINAL WHERE {wanted} GROUP BY block)"
    )


def forget(warehouse: Warehouse, ranges: Sequence[tuple[str, Interval]]) -> None:
    """Delete the coverage of these ranges, so that they are read again."""
    for group, (first, last) in ranges:
        warehouse.command(
            "DELETE FROM coverage WHERE source = 'chain' AND contract_group = {g:String}"
            " AND from_block = {a:UInt32} AND to_block = {b:UInt32}",
            {"g": group, "a": first, "b": last},
        )


def digest(rows: Columns) -> bytes:
    """SHA-256 over the identity and content of logs, given as columns of ``chain_logs`` in chain order."""
    total = hashlib.sha256()
    for block_hash, tx, index, address, topics, data, size in zip(
        rows["block_hash"], rows["tx"], rows["log_index"], rows["address"], rows["topics"], rows["data"],
        rows["data_bytes"], strict=True,
    ):  # fmt: skip
        total.update(b"".join((block_hash, tx, address, f"{index}/{size}/{len(topics)}".encode(), *topics, *data)))
    return total.digest()


def run_coverage_checks(warehouse: Warehouse) -> list[CheckResult]:
    """The chain's part of ``polyhouse check``; [] if the chain was never read."""
    if not warehouse.query("SELECT count() FROM coverage").rows[0][0]:
        return []
    gaps = [(group, interval) for group, found in holes(warehouse).items() for interval in found]
    return [
        _ranges("chain_has_no_holes", "between the first and the last block every block was read", gaps),
        _ranges("chain_is_read_once", "no block is claimed by two coverage rows", overlaps(warehouse)),
        _ranges("chain_logs_are_stored", "every covered range has the logs that were counted", lost(warehouse)),
        _kinds(
            warehouse,
            "chain_logs_are_known",
            "every log of a known contract has a place in the era registry",
            "unknown",
        ),
        _kinds(
            warehouse,
            "chain_logs_are_booked",
            "no logs of Protocol V2 wait in quarantine for their rules",
            "quarantine",
        ),
    ]


def _ranges(name: str, meaning: str, found: Sequence[tuple[str, Interval]]) -> CheckResult:
    shown = ", ".join(f"{group} {first:,}–{last:,}" for group, (first, last) in found[:_EXAMPLES])
    detail = f"violated: {meaning}; {shown}; `polyhouse check --heal` reads them" if found else meaning
    return CheckResult(name, not found, len(found), detail)


def _kinds(warehouse: Warehouse, name: str, meaning: str, status: str) -> CheckResult:
    rows = warehouse.query(
        "SELECT lower(hex(address)), if(empty(topics), '', lower(hex(topics[1]))), count() FROM chain_logs FINAL"
        " WHERE status = {s:String} GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        {"s": status},
    ).rows
    total = sum(int(row[2]) for row in rows)
    shown = ", ".join(f"{int(n):,} of 0x{address} topic 0x{topic}" for address, topic, n in rows[:_EXAMPLES])
    return CheckResult(name, not total, total, f"violated: {meaning}; {shown}" if total else meaning)
