"""The logs of the chain as they are stored, read back as if a node had just sent them: whole blocks, in chain order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from polyhouse.ports import Warehouse
from polyhouse.sources.chain.raw import RawLogs

LOGS_AT_ONCE = 50_000
"""Logs of a piece, a block more or less."""
_HEX = "concat('0x', lower(hex({})))"
_COLUMNS = ", ".join((
    _HEX.format("address"),
    f"arrayMap(t -> {_HEX.format('t')}, topics)",
    "concat('0x', lower(substring(arrayStringConcat(arrayMap(w -> hex(w), data)), 1, 2 * data_bytes)))",
    _HEX.format("tx"),
    "block, tx_index, log_index, toUnixTimestamp(ts)",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredLogs:
    """The stored logs of the blocks ``first`` to ``last``."""

    first: int
    last: int
    logs: RawLogs


def stored_logs(
    warehouse: Warehouse,
    first: int,
    last: int,
    *,
    where: str = "1",
    params: Mapping[str, Any] | None = None,
    size: int = LOGS_AT_ONCE,
) -> Iterator[StoredLogs]:
    """Pieces of whole blocks that together span ``first`` to ``last``, both included.

    Args:
        warehouse: with ``chain_logs``.
        first: first block.
        last: last block.
        where: SQL condition on the logs.
        params: bound in it.
        size: logs of a piece; a block is never cut.
    """
    at = first
    while at <= last:
        bound = {**(params or {}), "first": at, "last": last, "size": size}
        blocks = "block BETWEEN {first:UInt32} AND {last:UInt32}"
        count, newest = warehouse.query(
            f"SELECT count(), max(block) FROM (SELECT block FROM chain_logs FINAL WHERE {blocks} AND ({where})"
            " ORDER BY block LIMIT {size:UInt64})",
            bound,
        ).rows[0]
        end = last if int(count) < size else int(newest)
        yield StoredLogs(at, end, _read(warehouse, f"{blocks} AND ({where})", {**bound, "last": end}))
        at = end + 1


def _read(warehouse: Warehouse, where: str, params: Mapping[str, Any]) -> RawLogs:
    import numpy as np
    import pyarrow as pa

    sql = f"SELECT {_COLUMNS} FROM chain_logs FINAL WHERE {where} ORDER BY block, log_index"
    batches = list(warehouse.query_columns(sql, params))
    if not batches:
        nothing = np.zeros(0, np.int64)
        return RawLogs([], [], [], [], nothing, nothing, nothing, nothing)
    table = pa.Table.from_batches(batches)
    kinds = (pa.string(), pa.list_(pa.string()), pa.string(), pa.string())
    address, topics, data, tx = (table.column(place).cast(kind).to_pylist() for place, kind in enumerate(kinds))
    block, tx_index, log_index, ts = (table.column(place).to_numpy().astype(np.int64) for place in range(4, 8))
    return RawLogs(address, topics, data, tx, block, tx_index, log_index, ts)
