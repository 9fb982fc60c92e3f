"""Events of the feed, and how they are appended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.reads.exact import decode, encode

NO_WALLET = bytes(20)
STANDING = ("leaderboard", "flag")
"""Kinds without a date: what they are about is so until it changes."""
_APPENDED = 50_000


@dataclass(frozen=True, slots=True)
class Change:
    """What something came to, where that is not what the feed said of it.

    Attributes:
        kind: ``trade``, ``resolution``, ``leaderboard`` or ``flag``.
        place: names what it is about, among those of its kind.
        digest: of its state; 0 = it is no more.
        body: what readers get; of something that is no more, what they got last.
        wallet: 20 bytes, zero where it is not about a wallet.
        condition: b"" where it is not about a market.
        ts: when it happened, Unix seconds.
        volume: of a trade, micro-USDC.
        is_known: whether the feed spoke of it before.
    """

    kind: str
    place: int
    digest: int
    body: Mapping[str, Any]
    wallet: bytes = NO_WALLET
    condition: bytes = b""
    ts: int = 0
    volume: int = 0
    is_known: bool = False

    @property
    def action(self) -> str:
        """``new``, ``changed`` or ``removed``."""
        return "removed" if not self.digest else "changed" if self.is_known else "new"


def name_of(*parts: Any) -> int:
    """A number for a place or a state, different for different parts, and never 0."""
    text = json.dumps(parts, default=str).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") | 1


def newest_id(warehouse: Warehouse) -> int:
    """The id of the newest event that is kept, 0 if there is none."""
    return int(warehouse.query("SELECT max(id) FROM feed").rows[0][0])


def append(warehouse: Warehouse, last: int, changes: Iterable[Change], *, now: int) -> int:
    """Append events with the ids after ``last``, and return the last id that was given."""
    remaining = iter(changes)
    # Each insert is atomic. What a kill leaves out still differs at the next call, and is appended then.
    while batch := list(islice(remaining, _APPENDED)):
        ids = range(last + 1, last + 1 + len(batch))
        columns = _columns(batch, ids) | {
            "at": [now] * len(batch), "action": [one.action for one in batch], "volume": [one.volume for one in batch],
        }  # fmt: skip
        _insert(warehouse, "feed", columns)
        last = ids[-1]
        standing = [(one, number) for one, number in zip(batch, ids, strict=True) if one.kind in STANDING]
        if standing:
            _insert(
                warehouse, "feed_places", _columns([one for one, _ in standing], [number for _, number in standing])
            )
    return last


def take_for_known(warehouse: Warehouse, changes: Iterable[Change]) -> None:
    """Remember how things stand, without an event."""
    batch = list(changes)
    if batch:
        _insert(warehouse, "feed_places", _columns(batch, [0] * len(batch)))


def standing_changes(warehouse: Warehouse, kind: str, current: Iterable[Change]) -> Iterator[Change]:
    """Of all that is so of a kind, what differs from what the feed said; what is missing was removed."""
    known = _told(warehouse, kind)
    for change in current:
        before = known.pop(change.place, None)
        if before is None or before.digest != change.digest:
            yield replace(change, is_known=before is not None and before.digest != 0)
    yield from (replace(known[place], digest=0) for place in sorted(known) if known[place].digest)


def _told(warehouse: Warehouse, kind: str) -> dict[int, Change]:
    """Place → what the feed said last. An event whose place was not stored for a kill counts as well."""
    columns = "SELECT kind, place, digest, wallet, condition, ts, body, id FROM"
    rows = warehouse.query(
        "SELECT place, argMax((digest, wallet, condition, toUnixTimestamp(ts), body), id)"
        f" FROM ({columns} feed_places UNION ALL {columns} feed) WHERE kind = {{kind:String}} GROUP BY place",
        {"kind": kind},
    ).rows
    told = {}
    for place, (state, wallet, condition, ts, body) in rows:
        told[place] = Change(kind, place, state, decode(body), bytes(wallet), bytes(condition), ts, is_known=True)
    return told


def _columns(batch: Sequence[Change], ids: Sequence[int]) -> dict[str, list[Any]]:
    return {
        "id": list(ids), "kind": [one.kind for one in batch], "place": [one.place for one in batch],
        "digest": [one.digest for one in batch], "wallet": [one.wallet for one in batch],
        "condition": [one.condition for one in batch], "ts": [one.ts for one in batch],
        "body": [encode(one.body).decode() for one in batch],
    }  # fmt: skip


def _insert(warehouse: Warehouse, table: str, columns: Mapping[str, list[Any]]) -> None:
    import pyarrow as pa

    kinds = {
        "id": pa.uint64(), "place": pa.uint64(), "digest": pa.uint64(), "wallet": pa.binary(20),
        "condition": pa.binary(), "ts": pa.uint32(), "at": pa.uint32(), "volume": pa.int64(),
    }  # fmt: skip
    arrays = {name: pa.array(values, type=kinds.get(name, pa.string())) for name, values in columns.items()}
    warehouse.insert_arrow(table, pa.table(arrays))
