"""Where a wallet's history comes from, and from when to when it is known to be complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from polyhouse.models.questions import OF_WALLET, Part, Question, Row
from polyhouse.models.wallet_documents import SMALL
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment
from polyhouse.reads.parts import read_parts
from polyhouse.tables import SOURCES

_BEGINNING = 0

Interval = tuple[int, int]
"""From and to, both inclusive: Unix seconds, or block numbers."""


PARTS: Mapping[str, Part] = {
    "sources": Question(
        {
            "source": "toString(source)", "rows": "count()", "first": "toUnixTimestamp(min(ts))",
            "last": "toUnixTimestamp(max(ts))",
        },
        f"FROM observations FINAL WHERE {OF_WALLET} GROUP BY toString(source)",
    ),
    "used_rows": SMALL["used_rows"],
    # From the beginning to the end of the newest walk of the wallet's activity that reached its proven end.
    "own_feed": Question(
        {"end": "toUnixTimestamp(maxIf(written_at, is_last))"},
        "FROM sync_pages FINAL WHERE stream = 'data.activity' AND partition = concat('0x', {wallet:String})",
    ),
    "chain": Question(
        {"contracts": "toString(contract_group)", "from_block": "from_block", "to_block": "to_block"},
        "FROM coverage FINAL WHERE source = 'chain'",
    ),
}  # fmt: skip
"""What ``coverage_details`` needs."""


def coverage_details(warehouse: Warehouse, wallet: bytes) -> dict[str, Any]:
    """Where the history of a wallet (20 bytes) comes from: see ``coverage_document``."""
    return coverage_document(warehouse, read_parts(warehouse, PARTS, {"wallet": wallet.hex()}))


def coverage_document(warehouse: Warehouse, parts: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """Sources of a wallet's rows and the time its history is complete for.

    ``sources`` lists every source that said anything, best first: ``rows`` it gave, ``used`` rows of the ledger that
    come from it, ``from`` and ``to``. ``complete_from`` and ``complete_to`` enclose the time that a source which tells
    everything was read for: a wallet's own feed to its proven end, or the chain's blocks without a hole; both are null
    if there is none. ``gaps`` are the times between the first and the last row (or complete moment) that no such
    source covers, each with its ``reason``.

    Args:
        warehouse: asked for the times of blocks, if the chain was read.
        parts: the rows of ``PARTS`` for the wallet.
    """
    said = {row["source"]: row for row in parts["sources"]}
    used = {row["source"]: row["used"] for row in parts["used_rows"]}
    sources = [said[word] for word in SOURCES if word in said]
    rows = [(row["first"], row["last"]) for row in sources if row["rows"]]
    own = [(_BEGINNING, row["end"]) for row in parts["own_feed"] if row["end"]]
    known = union([*own, *_chain(warehouse, parts["chain"])])
    first = min((start for start, _ in rows), default=_BEGINNING)
    last = max((end for _, end in rows), default=_BEGINNING)
    return {
        "sources": [
            {
                "source": row["source"], "rows": row["rows"], "used": used.get(row["source"], 0),
                "from": moment(row["first"]), "to": moment(row["last"]),
            }
            for row in sources
        ],
        "complete_from": moment(max(known[0][0], first)) if known else None,
        "complete_to": moment(known[-1][1]) if known else None,
        "gaps": [
            {"from": moment(start), "to": moment(end), "reason": reason}
            for start, end, reason in gaps(known, first, last)
        ],
    }  # fmt: skip


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same points in as few intervals as possible, ascending; neighbours grow together."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def intersection(groups: Sequence[Sequence[Interval]]) -> list[Interval]:
    """The points that every group has; each group is a union."""
    if not groups:
        return []
    common = list(groups[0])
    for group in groups[1:]:
        common = [
            (max(a[0], b[0]), min(a[1], b[1])) for a in common for b in group if max(a[0], b[0]) <= min(a[1], b[1])
        ]
    return common


def gaps(known: Sequence[Interval], first: int, last: int) -> list[tuple[int, int, str]]:
    """Times between ``first`` and ``last`` outside of ``known``, and why: the ends belong to a gap."""
    if not known:
        return [(first, last, "never_read_whole")] if last else []
    found = []
    if first and first < known[0][0]:
        found.append((first, known[0][0] - 1, "before_the_first_read"))
    for (_, end), (start, _) in pairwise(known):
        found.append((end + 1, start - 1, "not_read"))
    if last > known[-1][1]:
        found.append((known[-1][1] + 1, last, "after_the_last_read"))
    return found


def _chain(warehouse: Warehouse, ranges: Sequence[Row]) -> list[Interval]:
    """Times whose blocks were read for every group of contracts."""
    groups: defaultdict[str, list[Interval]] = defaultdict(list)
    for row in ranges:
        groups[row["contracts"]].append((row["from_block"], row["to_block"]))
    blocks = intersection([union(group) for group in groups.values()])
    if not blocks:
        return []
    edges = sorted({block for interval in blocks for block in interval})
    times = dict(
        warehouse.query(
            "SELECT block, toUnixTimestamp(ts) FROM chain_blocks FINAL WHERE block IN"
            f" ({', '.join(map(str, edges))}) AND ts > 0"
        ).rows
    )
    # The end of a range whose block is not stored has no time; such a range proves nothing about times.
    return [(int(times[start]), int(times[end])) for start, end in blocks if start in times and end in times]
