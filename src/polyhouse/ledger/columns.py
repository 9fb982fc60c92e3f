"""Ledger rows as columns: one slice of the ledger in memory, in its own order, pair by pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.fold import LedgerRow

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

ROW = ("ts", "block", "tx_index", "pos", "kind", "ds", "du", "fee", "amount")
"""Columns of ``LedgerColumns.rows``, named as the fields of ``LedgerRow``."""

EXTRA = ("volume", "is_fill")
"""Columns of ``LedgerColumns.extra``: what the sums need beside the fold."""


@dataclass(frozen=True, slots=True)
class LedgerColumns:
    """m ledger rows of n (wallet, token) pairs; the rows of a pair stand together, in ledger order.

    Attributes:
        wallets: n × 20 bytes.
        tokens: n × 32 bytes.
        starts: place of each pair's first row, and m at the end.
        rows: m × ``ROW``.
        extra: m × ``EXTRA``.
    """

    wallets: Bytes
    tokens: Bytes
    starts: Ints
    rows: Ints
    extra: Ints

    def pair(self, place: int) -> Iterator[LedgerRow]:
        """The rows of one pair as objects."""
        token = self.tokens[place].tobytes()
        for row in self.rows[self.starts[place] : self.starts[place + 1]].tolist():
            ts, block, tx_index, pos, kind, ds, du, fee, amount = row
            yield LedgerRow(token, ts, block, tx_index, pos, kind, ds, du, fee, amount, 0, b"")


def gather(batches: Iterable[pa.RecordBatch]) -> LedgerColumns:
    """Join record batches of the columns wallet, token, ``ROW`` and ``EXTRA`` that arrive in ledger order."""
    wallets, tokens, rows, extra = [], [], [], []
    for batch in batches:
        wallets.append(_binary(batch.column(0)))
        tokens.append(_binary(batch.column(1)))
        numbers = [column.to_numpy(zero_copy_only=False) for column in batch.columns[2:]]
        rows.append(_matrix(numbers[: len(ROW)]))
        extra.append(_matrix(numbers[len(ROW) :]))
    if not wallets:
        none = np.zeros((0, 0), dtype=np.int64)
        return LedgerColumns(
            none.astype(np.uint8).reshape(0, 20), none.astype(np.uint8).reshape(0, 32), np.zeros(1, np.int64),
            none.reshape(0, len(ROW)), none.reshape(0, len(EXTRA)),
        )  # fmt: skip
    wallet, token = np.concatenate(wallets), np.concatenate(tokens)
    is_first = np.ones(len(wallet), dtype=bool)
    is_first[1:] = _differs(wallet, np.uint32) | _differs(token, np.uint64)
    first = np.flatnonzero(is_first)
    starts = np.append(first, len(wallet)).astype(np.int64)
    return LedgerColumns(wallet[first], token[first], starts, np.concatenate(rows), np.concatenate(extra))


def in_chain_order(columns: LedgerColumns) -> LedgerColumns:
    """Rows of the chain in the order of the chain, whatever their times say.

    One whose time lies before that of an earlier row counts at the latter's; rows without a block have nothing but
    their time. On a sound chain times ascend, so this changes nothing.
    """
    place = columns.rows[:, [ROW.index("block"), ROW.index("tx_index"), ROW.index("pos")]]
    pair = np.repeat(np.arange(len(columns.starts) - 1), np.diff(columns.starts))
    on_chain = np.flatnonzero(place[:, 0] > 0)
    before, after = place[on_chain[:-1]], place[on_chain[1:]]
    step = after - before
    falls = np.where(step[:, 0] != 0, step[:, 0], np.where(step[:, 1] != 0, step[:, 1], step[:, 2])) < 0
    same_pair = pair[on_chain[:-1]] == pair[on_chain[1:]]
    order = np.arange(len(pair))
    for wrong in np.unique(pair[on_chain[1:][falls & same_pair]]).tolist():
        low, high = columns.starts[wrong], columns.starts[wrong + 1]
        order[low:high] = low + _chain_order(columns.rows[low:high, ROW.index("ts")], place[low:high])
    return replace(columns, rows=columns.rows[order], extra=columns.extra[order])


def _chain_order(ts: Ints, place: Ints) -> Ints:
    """The order of one pair's rows."""
    moment = ts.copy()
    on_chain = np.flatnonzero(place[:, 0] > 0)
    by_place = on_chain[np.lexsort(place[on_chain].T[::-1])]
    moment[by_place] = np.maximum.accumulate(ts[by_place])
    return np.lexsort((*place.T[::-1], moment))


def _matrix(columns: list[NDArray[Any]]) -> Ints:
    matrix = np.empty((len(columns[0]), len(columns)), dtype=np.int64)
    for place, column in enumerate(columns):
        matrix[:, place] = column
    return matrix


def _binary(column: Any) -> Bytes:
    """A fixed-width binary column as rows of bytes."""
    width, count = column.type.byte_width, len(column)
    raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return raw[column.offset * width : (column.offset + count) * width].reshape(count, width)


def _differs(cells: Bytes, word: type[np.unsignedinteger[Any]]) -> NDArray[np.bool_]:
    """Whether each row but the first differs from the one before it, compared in whole words."""
    words = np.ascontiguousarray(cells).view(word)
    found = np.zeros(len(words) - 1, dtype=bool)
    for place in range(words.shape[1]):
        column = np.ascontiguousarray(words[:, place])
        found |= column[1:] != column[:-1]
    return found
