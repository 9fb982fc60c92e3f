"""Start-up check: do the checkpoints and the warehouse still belong together?

Three things can have torn them apart: a kill (checkpoints are behind: harmless, pages are written again), a restored
or power-cut warehouse (checkpoints are *ahead*: rows would be missing for ever), a lost state store (no checkpoints).
The manifest ``sync_pages`` answers all three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from polyhouse.domain.contracts import INFRA
from polyhouse.ports import Checkpoint, PartitionStatus, Warehouse
from polyhouse.sync.gaps import forget_trades
from polyhouse.sync.manifest import parse_position, position_text
from polyhouse.sync.store import RunState

NOTE = "sync.manifest"
"""Note with the newest version that the manifest had at the end of the last run."""

_CHUNK = 50_000
_FEW = 2_000
"""Partitions of which all positions are looked at together: a long ledger has thousands."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: partitions rebuilt from the manifest, partitions set back, wallets found in the rows."""

    rebuilt: int = 0
    rewound: int = 0
    wallets: int = 0
    killed_runs: int = 0


@dataclass(frozen=True, slots=True)
class _Written:
    """The newest manifest row of a partition; ``doubtful``: where its first page with rejected rows began."""

    position: str
    seq: int
    is_last: bool
    rows: int
    rejected: int
    written_at: int
    doubtful: str

    def checkpoint(self, stream: str, partition: str) -> Checkpoint:
        status: PartitionStatus = "partial"
        if self.is_last:
            status = "ok" if self.rows + self.rejected else "empty"
        return Checkpoint(
            stream, partition, parse_position(self.position), status,
            pages=self.seq, rows=self.rows, rejected=self.rejected, updated_at=self.written_at, is_doubtful=True,
        )  # fmt: skip

    def rebuilt(self, stream: str, partition: str) -> Checkpoint:
        """The checkpoint where nothing but the warehouse is left. Rejected rows lay in the lost store: they are read,
        and put into quarantine, again.
        """
        whole = self.checkpoint(stream, partition)
        return replace(whole, position=parse_position(self.doubtful), status="partial") if self.rejected else whole


def verify(warehouse: Warehouse, state: RunState) -> Verdict:
    """Hold checkpoints and manifest together and repair the checkpoints where they say too much or nothing.

    The full comparison runs only when there is a reason: a run without an end, a manifest that is older than the last
    run left it, or a manifest without any checkpoint.
    """
    killed = len(state.unfinished_runs())
    newest = manifest_version(warehouse)
    if not state.checkpoint_counts():
        return _rebuild(warehouse, state, killed) if newest else Verdict(killed_runs=killed)
    is_older = newest < int(state.get_note(NOTE) or 0)
    if killed or is_older:
        rewound = _rewind(warehouse, state)
        if is_older or rewound:
            forget_trades(state)
        return Verdict(rewound=rewound, killed_runs=killed)
    return Verdict()


def manifest_version(warehouse: Warehouse) -> int:
    """Version of the newest manifest row, 0 if there is none."""
    return int(warehouse.query("SELECT max(version) FROM sync_pages").rows[0][0])


def remember(warehouse: Warehouse, state: RunState) -> None:
    """Note how far the manifest goes, so that an older warehouse is recognised later."""
    state.set_note(NOTE, manifest_version(warehouse))


def _rewind(warehouse: Warehouse, state: RunState) -> int:
    """Set back every checkpoint whose page is not in the manifest, to the newest page that is."""
    return sum(state.restore_checkpoints(repaired) for repaired in _too_far(warehouse, state))


def ahead_of_rows(warehouse: Warehouse, state: RunState) -> list[Checkpoint]:
    """Checkpoints whose page is not in the manifest, as they ought to be. Changes nothing; ``verify`` repairs them."""
    return [one for repaired in _too_far(warehouse, state) for one in repaired]


def _too_far(warehouse: Warehouse, state: RunState) -> Iterator[list[Checkpoint]]:
    """The checkpoints that claim too much, some at a time, as they ought to be."""
    for stream in sorted(state.checkpoint_counts()):
        after = ""
        while page := state.checkpoints_after(stream, after, _FEW):
            after = page[-1].partition
            repaired = _ahead(warehouse, stream, {one.partition: one for one in page if one.position})
            if repaired:
                yield repaired


def _ahead(warehouse: Warehouse, stream: str, checkpoints: dict[str, Checkpoint]) -> list[Checkpoint]:
    """Those that claim a page which the warehouse does not hold, as they ought to be."""
    if not checkpoints:
        return []
    rows = warehouse.query(
        f"""
        SELECT {_NEWEST}, groupUniqArray(position_to) AS positions FROM sync_pages_current
        WHERE stream = {{stream:String}} AND partition IN {{partitions:Array(String)}} GROUP BY partition
        """,
        {"stream": stream, "partitions": list(checkpoints)},
    ).rows
    repaired: list[Checkpoint] = []
    for row in rows:
        partition, positions = str(row[0]), {str(text) for text in row[-1]}
        if position_text(checkpoints.pop(partition).position) not in positions:
            repaired.append(_newest(row).checkpoint(stream, partition))
    # Whatever is left has no page in the warehouse at all.
    return repaired + [Checkpoint(stream, partition, {}, "new") for partition in checkpoints]


def _rebuild(warehouse: Warehouse, state: RunState, killed: int) -> Verdict:
    """Make checkpoints and wallet queue anew from what the warehouse holds."""
    rebuilt = 0
    streams = [str(row[0]) for row in warehouse.query("SELECT DISTINCT stream FROM sync_pages ORDER BY stream").rows]
    for stream in streams:
        group: list[Checkpoint] = []
        for partition, written in _written(warehouse, stream):
            group.append(written.rebuilt(stream, partition))
            if len(group) >= _CHUNK:
                rebuilt += state.restore_checkpoints(group)
                group = []
        rebuilt += state.restore_checkpoints(group)
    wallets = sum(state.register_wallets(found, "warehouse") for found in wallets_of_rows(warehouse))
    return Verdict(rebuilt=rebuilt, wallets=wallets, killed_runs=killed)


def wallets_of_rows(warehouse: Warehouse) -> Iterator[list[bytes]]:
    """Whose rows the warehouse holds, in order, some at a time."""
    after = ""
    while rows := warehouse.query(
        """
        SELECT DISTINCT wallet FROM observations_current WHERE wallet > unhex({after:String}) OR {after:String} = ''
        ORDER BY wallet LIMIT {chunk:UInt32}
        """,
        {"after": after, "chunk": _CHUNK},
    ).rows:
        yield [bytes(row[0]) for row in rows]
        after = bytes(rows[-1][0]).hex()


def unregistered(warehouse: Warehouse, state: RunState) -> list[bytes]:
    """Wallets of rows that the registry does not know, in order. Changes nothing; ``register_all`` registers them."""
    known = chain.from_iterable(_registered(state))
    newest = next(known, None)
    missing = []
    for wallet in chain.from_iterable(wallets_of_rows(warehouse)):
        while newest is not None and newest < wallet:
            newest = next(known, None)
        if newest != wallet and wallet not in INFRA:
            missing.append(wallet)
    return missing


def register_all(warehouse: Warehouse, state: RunState) -> int:
    """Register the wallets whose rows the warehouse holds; how many were missing."""
    return state.register_wallets(unregistered(warehouse, state), "warehouse")


def _registered(state: RunState) -> Iterator[Sequence[bytes]]:
    after = b""
    while page := state.wallet_addresses(limit=_CHUNK, after=after):
        yield page
        after = page[-1]


_NEWEST = """partition, argMax(position_to, (seq, version)) AS newest, max(seq) AS pages,
               argMax(is_last, (seq, version)) AS ended, sum(rows) AS all_rows, sum(rejected) AS all_rejected,
               toUnixTimestamp(max(written_at)) AS at,
               argMinIf(position_from, (seq, version), rejected > 0) AS doubtful"""


def _newest(row: Sequence[Any]) -> _Written:
    _, newest, pages, ended, all_rows, all_rejected, at, doubtful = row[:8]
    return _Written(str(newest), int(pages), bool(ended), int(all_rows), int(all_rejected), int(at), str(doubtful))


def _written(warehouse: Warehouse, stream: str) -> Iterator[tuple[str, _Written]]:
    """(partition, its newest page) for every partition of a stream."""
    after: Any = ""
    while True:
        rows = warehouse.query(
            f"""
            SELECT {_NEWEST} FROM sync_pages_current
            WHERE stream = {{stream:String}} AND partition > {{after:String}}
            GROUP BY partition ORDER BY partition LIMIT {{chunk:UInt32}}
            """,
            {"stream": stream, "after": after, "chunk": _CHUNK},
        ).rows
        for row in rows:
            yield str(row[0]), _newest(row)
        if len(rows) < _CHUNK:
            return
        after = str(rows[-1][0])
