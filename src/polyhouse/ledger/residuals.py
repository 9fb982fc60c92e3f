"""Which transactions have ERC-1155 movements that their fills do not explain (accounting §2.5), for whole columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polyhouse.domain.log_columns import Bytes, Ints
from polyhouse.ledger.fill_decisions import EXACT, Fills, net_shares
from polyhouse.ledger.move_columns import Moves
from polyhouse.ledger.registry import Registry
from polyhouse.ledger.trade_table import Mask, TradeTable, heads_of

_MAX_ENTRIES = 1_000
_SPREAD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
"""Odd multipliers that mix (transaction, wallet, token) into one sort key; equality is always checked in full."""


@dataclass(slots=True)
class _Entries:
    """Signed share changes: transaction number, wallet, token, amount; ``moved``: by a transfer, not by a fill."""

    tx_id: Ints
    wallet: Bytes
    token: Bytes
    change: Ints
    moved: Mask


def unexplained(
    moves: Moves,
    table: TradeTable,
    fills: Fills,
    transaction_heads: npt.NDArray[np.uint64],
    registry: Registry,
) -> Ints:
    """Numbers of transactions in which a wallet's movements may differ from its fills.

    Args:
        moves: all movements of the batch.
        table: the trade logs of the batch, ``fills`` what was decided about them.
        transaction_heads: sorted first halves of the batch's transaction hashes; a transaction's number is its place.
        registry: whose residuals nobody asks for.
    """
    if not len(moves.amount):
        return np.zeros(0, np.int64)
    rows = fills.rows
    shares = net_shares(table, fills)
    # What is explained counts against what was moved.
    entries = _Entries(
        np.concatenate((moves.tx_id, moves.tx_id, np.searchsorted(transaction_heads, table.heads[rows]))),
        np.concatenate((moves.sender, moves.to, table.maker[rows])),
        np.concatenate((moves.token, moves.token, table.token[rows])),
        np.concatenate((-moves.amount, moves.amount, np.where(table.buy[rows], -shares, shares))),
        np.arange(2 * len(moves.amount) + len(rows)) < 2 * len(moves.amount),
    )
    return _differing(entries, registry)


def _differing(entries: _Entries, registry: Registry) -> Ints:
    key = (
        entries.tx_id.astype(np.uint64) * _SPREAD[0]
        + heads_of(entries.wallet) * _SPREAD[1]
        + heads_of(entries.token) * _SPREAD[2]
    )
    order = np.argsort(key, kind="stable")
    key, tx_id = key[order], entries.tx_id[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = key[1:] != key[:-1]
    here, before = order[1:], order[:-1]
    mixed = ~new[1:] & (
        (tx_id[1:] != tx_id[:-1])
        | (entries.wallet[here] != entries.wallet[before]).any(axis=1)
        | (entries.token[here] != entries.token[before]).any(axis=1)
    )
    first = np.flatnonzero(new)
    change = entries.change[order]
    residual = np.add.reduceat(change, first)
    touched = np.maximum.reduceat(entries.moved[order], first)
    sizes = np.diff(np.append(first, len(order)))
    group = np.cumsum(new) - 1
    large = sizes > _MAX_ENTRIES
    large[group[np.abs(change) >= EXACT]] = True
    suspects = np.flatnonzero(touched & ((residual != 0) | large))
    owners = entries.wallet[order[first[suspects]]]
    mine = [not registry.is_infra(bytes(owner)) for owner in owners]
    found = tx_id[first[suspects[np.array(mine, np.bool_)]]]
    clashes = np.concatenate((tx_id[1:][mixed], tx_id[:-1][mixed]))
    result: Ints = np.unique(np.concatenate((found, clashes)))
    return result
