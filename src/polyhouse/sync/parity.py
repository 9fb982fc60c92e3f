"""What the pnl-subgraph would hold after the logs that are stored (accounting §2.9)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from polyhouse.ledger.parity import SubgraphBook
from polyhouse.ports import Warehouse
from polyhouse.sources.chain import eras
from polyhouse.sources.chain.decode import decode_columns
from polyhouse.sync.chain import group_filters
from polyhouse.sync.chain_registry import RegistryCache
from polyhouse.sync.coverage import LEDGER, covered
from polyhouse.sync.stored_logs import stored_logs

_MOST_NAMED = 2_000
_RESOLVED = "condition_resolved"
_KINDS = frozenset({
    "order_filled_v1", "ctf_split", "ctf_merge", "ctf_redemption", "nra_split", "nra_merge", "nra_redemption",
    "positions_converted", "fpmm_buy", "fpmm_sell", "fpmm_funding_added", "fpmm_funding_removed", _RESOLVED,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredParity:
    """The subgraph's positions from stored logs.

    Attributes:
        book: the positions.
        is_whole: the logs reach back to the first contract, without a hole; else history is missing.
    """

    book: SubgraphBook
    is_whole: bool


def stored_parity(warehouse: Warehouse, users: Collection[bytes]) -> StoredParity:
    """Fold the stored logs of these users as the pnl-subgraph does, in one pass and bounded memory.

    Args:
        warehouse: with the chain's logs and markets.
        users: whose positions to keep.
    """
    book = SubgraphBook(frozenset(users))
    ranges = covered(warehouse, LEDGER)
    if not ranges or not users:
        return StoredParity(book, is_whole=False)
    topics = {era.event.topic0 for era in eras.ERAS if era.event.kind in _KINDS}
    resolved = next(era.event.topic0 for era in eras.ERAS if era.event.kind == _RESOLVED)
    where = "topics[1] IN (SELECT toFixedString(unhex(arrayJoin({topics:Array(String)})), 32))"
    params: dict[str, Any] = {"topics": sorted(topic.hex() for topic in topics)}
    if len(users) <= _MOST_NAMED:
        # Whose position a log moves is always an indexed field.
        where += (
            " AND (topics[1] = toFixedString(unhex({resolved:String}), 32) OR hasAny(topics,"
            " arrayMap(u -> toFixedString(unhex(u), 32), {users:Array(String)})))"
        )
        params |= {"resolved": resolved.hex(), "users": sorted(bytes(12).hex() + user.hex() for user in users)}
    cache = RegistryCache(warehouse)
    for first, last in ranges:
        for piece in stored_logs(warehouse, first, last, where=where, params=params):
            batch = decode_columns(piece.logs)
            book.feed(batch.to_logs(), cache.registry(batch.columns))
    start = min(one.first_block for one in group_filters()[LEDGER])
    return StoredParity(book, is_whole=len(ranges) == 1 and ranges[0][0] <= start)
