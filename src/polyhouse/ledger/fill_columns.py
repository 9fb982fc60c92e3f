"""The chain rules for whole columns at once: the same rows as ``ledger.chain``, without an object per log.

Transactions that consist of ordinary fills, the transfers these explain, and settlement inside an exchange are decided
in columns. Every other transaction goes through the row-wise rules, which stay the definition: a fee refund, an
undecodable or empty fill, a match that does not add up or has no single taker row, a trade with oneself, machinery as a
wallet, amounts too large for exact sums, repeated or contradicting logs, and everything that is no trade.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Ints, LogColumns
from polyhouse.domain.log_objects import KINDS, to_logs
from polyhouse.ledger.chain import observations
from polyhouse.ledger.fill_decisions import Fills, decide, observation_columns
from polyhouse.ledger.move_columns import Moves, moves_of
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.residuals import unexplained
from polyhouse.ledger.rows import ChainRows, Flag
from polyhouse.ledger.settlement import Relays, settled_inside
from polyhouse.ledger.trade_table import (
    KIND_NAMES,
    Mask,
    TradeTable,
    head_of,
    heads_of,
    join_ints,
    number_transactions,
    stack,
    trade_table,
)
from polyhouse.tables import Columns

_TRANSFERS = ("transfer_single", "transfer_batch")
_CHANGES = ("ctf_split", "ctf_merge", "nra_split", "nra_merge")


@dataclass(slots=True)
class ChainColumns:
    """What a batch of complete transactions means.

    Attributes:
        observations: columns of table ``observations``, rows in chain order.
        resolutions: columns of table ``resolutions``.
        flags: as ``ChainRows.flags``, likewise ``ignored``.
        row_wise: logs that went through the row-wise rules.
    """

    observations: Columns
    resolutions: Columns
    flags: list[Flag] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    row_wise: int = 0


@dataclass(slots=True)
class _Batch:
    """All logs of a batch, kind after kind.

    ``heads``: sorted first halves of the transaction hashes; a transaction's number is its place there.
    """

    parts: dict[str, LogColumns]
    ends: dict[str, tuple[int, int]]
    tx_id: Ints
    heads: npt.NDArray[np.uint64]
    first_log: Ints
    odd: Mask


def fill_columns(columns: Mapping[str, LogColumns], registry: Registry) -> Columns:
    """Columns of table ``observations`` for the fills alone; see ``chain_rows``.

    Args:
        columns: kind → columns; ``order_filled_v1``, ``order_filled_v2``, ``orders_matched`` and ``fee_refunded`` are
            read. All trade logs of a transaction must be in the batch.
        registry: token → condition, exchange addresses, machinery.
    """
    trades = {kind: part for kind, part in columns.items() if kind in KIND_NAMES}
    return chain_rows(trades, registry).observations


def chain_rows(columns: Mapping[str, LogColumns], registry: Registry, *, use_transfers: bool = False) -> ChainColumns:
    """Observations, resolutions and flags of a batch: exactly what ``ledger.chain.observations`` gives for its logs.

    Args:
        columns: kind → columns; all logs of a transaction must be in the batch. Any order; repetitions are allowed.
            Kinds that only describe markets are passed over.
        registry: known conditions, neg-risk markets, pools and contracts.
        use_transfers: derive TRANSFER_IN/OUT rows from ERC-1155 residuals (§2.5).

    Raises:
        UpstreamContractError: as ``ledger.chain.observations``.
    """
    batch = _batch(columns)
    if not len(batch.heads):
        empty = ChainRows().tables()
        return ChainColumns(empty["observations"], empty["resolutions"])
    slow = np.zeros(len(batch.heads), np.bool_)
    slow[batch.tx_id[batch.odd]] = True
    moves = moves_of(batch.parts, batch.heads)
    internal = _unusual(batch, moves, registry, slow)
    table = trade_table(batch.parts)
    place = np.searchsorted(batch.heads, table.heads)
    table.first_log[table.tx_id] = batch.first_log[place]
    slow_rows, fills = decide(table, registry, slow[place])
    slow[place[slow_rows]] = True
    if use_transfers:
        slow[unexplained(moves, table, fills, batch.heads, registry)] = True
    fills = fills.take(~slow[place[fills.rows]])
    result = ChainColumns(observation_columns(table, fills, registry), ChainRows().tables()["resolutions"])
    inside = int((~slow[internal]).sum())
    if inside:
        result.ignored["settlement_internal"] = inside
    if slow.any():
        _add_row_wise(result, batch, slow, table, fills, registry, use_transfers=use_transfers)
    return result


def _batch(columns: Mapping[str, LogColumns]) -> _Batch:
    parts = {kind: part for kind, part in columns.items() if kind in KINDS and len(part)}
    ends = np.cumsum([0, *map(len, parts.values())]).tolist()
    tx = stack([part.tx for part in parts.values()], 32)
    heads = heads_of(tx)
    tx_id, first_log, odd = number_transactions(
        tx,
        heads,
        join_ints([part.block for part in parts.values()]),
        join_ints([part.tx_index for part in parts.values()]),
        join_ints([part.log_index for part in parts.values()]),
    )
    places = {kind: (ends[i], ends[i + 1]) for i, kind in enumerate(parts)}
    return _Batch(parts, places, tx_id, np.unique(heads), first_log, odd)


def _unusual(batch: _Batch, moves: Moves, registry: Registry, slow: Mask) -> Ints:
    """Mark transactions with logs that only the row-wise rules know.

    Returns:
        The transaction of each split and merge that is settlement inside of something else, and only counted.
    """
    relays = Relays(moves)
    internal: list[Ints] = []
    for kind, (start, end) in batch.ends.items():
        tx_id = batch.tx_id[start:end]
        if kind in _CHANGES:
            inside = settled_inside(batch.parts[kind], tx_id, relays, registry)
            slow[tx_id[~inside]] = True
            internal.append(tx_id[inside])
        elif kind not in KIND_NAMES and kind not in _TRANSFERS:
            slow[tx_id] = True
    return join_ints(internal)


def _add_row_wise(
    result: ChainColumns,
    batch: _Batch,
    slow: Mask,
    table: TradeTable,
    fills: Fills,
    registry: Registry,
    *,
    use_transfers: bool,
) -> None:
    """Put the rows of the row-wise rules among those decided in columns, in chain order."""
    parts = {kind: part.take(slow[batch.tx_id[slice(*batch.ends[kind])]]) for kind, part in batch.parts.items()}
    out = observations([list(to_logs(parts))], registry, use_transfers=use_transfers)
    tables = out.tables()
    rows = tables["observations"]
    result.resolutions = tables["resolutions"]
    result.flags = out.flags
    result.ignored += out.ignored
    result.row_wise = int(slow[batch.tx_id].sum())
    if not out.observations:
        return
    mine, heads = fills.rows, np.array([head_of(tx) for tx in rows["tx"]], np.uint64)
    first = batch.first_log[np.searchsorted(batch.heads, heads)]
    keys = [
        np.concatenate((np.zeros(len(mine), np.int64), rows["sub"])),
        np.concatenate((table.log_index[mine], rows["pos"])),
        np.concatenate((table.heads[mine], heads)),
        np.concatenate((table.first_log[table.tx_id[mine]], first)),
        np.concatenate((table.tx_index[mine], rows["tx_index"])),
        np.concatenate((table.block[mine], rows["block"])),
    ]
    pick = _picker(np.lexsort(keys).tolist())
    result.observations = {name: list(pick(values + rows[name])) for name, values in result.observations.items()}


def _picker(order: list[int]) -> Callable[[list[Any]], Any]:
    if len(order) == 1:
        return lambda values: (values[order[0]],)
    return itemgetter(*order)
