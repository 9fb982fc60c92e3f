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

EXTRA = ("volume", "is_fill", "usdc_gross", "shares_gross", "source")
"""Columns of ``LedgerColumns.extra``: what sums, other cost methods and the coverage need beside the fold."""


@dataclass(frozen=True, slots=True)
class LedgerColumns:
    """m ledger rows of n (wallet, token) pairs; the rows of a pair stand together, in ledger order.

    Attributes:
        wallets: n × 20 bytes.
        tokens: n × 32 bytes.
        starts: place of each pair's first row, and m at the end.
        rows: m × ``ROW``, each column in one piece.
        extra: m × ``EXTRA``, likewise.
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

    @property
    def has_ties(self) -> bool:
        """Whether rows of a pair have the same time and place."""
        is_same = np.ones(max(len(self.rows) - 1, 0), dtype=bool)
        for name in ("ts", "block", "tx_index", "pos"):
            column = self.rows[:, ROW.index(name)]
            is_same &= column[1:] == column[:-1]
        is_same[self.starts[1:-1] - 1] = False  # another pair begins
        return bool(is_same.any())

    def pairs_with(self, *kinds: int) -> Ints:
        """The pairs that have rows of these ledger kinds, once for each row."""
        rows = np.flatnonzero(np.isin(self.rows[:, ROW.index("kind")], kinds))
        return np.searchsorted(self.starts, rows, side="right") - 1


def gather(batches: Iterable[pa.RecordBatch]) -> LedgerColumns:
    """Join record batches of the columns wallet, token, ``ROW`` and ``EXTRA`` that arrive in ledger order."""
    arrived = list(batches)
    wallets, tokens, firsts, rows = [np.zeros((0, 20), np.uint8)], [np.zeros((0, 32), np.uint8)], [], 0
    for batch in arrived:
        wallet, token = binary_cells(batch.column(0)), binary_cells(batch.column(1))
        is_first = np.ones(batch.num_rows, dtype=bool)
        is_first[1:] = differs(wallet, np.uint32) | differs(token, np.uint64)
        first = np.flatnonzero(is_first)
        if rows and bytes(wallet[0]) == bytes(wallets[-1][-1]) and bytes(token[0]) == bytes(tokens[-1][-1]):
            first = first[1:]  # the pair of the batch before goes on
        if len(first):
            wallets.append(wallet[first])
            tokens.append(token[first])
            firsts.append(first + rows)
        rows += batch.num_rows
    starts = np.concatenate([*firsts, [rows]]).astype(np.int64)
    numbers = _matrix(arrived, 2, len(ROW), rows)
    extra = _matrix(arrived, 2 + len(ROW), len(EXTRA), rows)
    return LedgerColumns(np.concatenate(wallets), np.concatenate(tokens), starts, numbers, extra)


def in_chain_order(columns: LedgerColumns) -> LedgerColumns:
    """Rows of the chain in the order of the chain, whatever their times say.

    One whose time lies before that of an earlier row counts at the latter's; rows without a block have nothing but
    their time. On a sound chain times ascend, so this changes nothing.
    """
    on_chain = np.flatnonzero(columns.rows[:, ROW.index("block")] > 0)
    if not len(on_chain):
        return columns
    place = columns.rows[:, [ROW.index("block"), ROW.index("tx_index"), ROW.index("pos")]]
    pair = np.repeat(np.arange(len(columns.starts) - 1), np.diff(columns.starts))
    before, after = place[on_chain[:-1]], place[on_chain[1:]]
    step = after - before
    falls = np.where(step[:, 0] != 0, step[:, 0], np.where(step[:, 1] != 0, step[:, 1], step[:, 2])) < 0
    same_pair = pair[on_chain[:-1]] == pair[on_chain[1:]]
    wrong_pairs = np.unique(pair[on_chain[1:][falls & same_pair]]).tolist()
    if not wrong_pairs:
        return columns
    order = np.arange(len(pair))
    for wrong in wrong_pairs:
        low, high = columns.starts[wrong], columns.starts[wrong + 1]
        order[low:high] = low + _chain_order(columns.rows[low:high, ROW.index("ts")], place[low:high])
    rows, extra = np.asfortranarray(columns.rows[order]), np.asfortranarray(columns.extra[order])
    return replace(columns, rows=rows, extra=extra)


def _chain_order(ts: Ints, place: Ints) -> Ints:
    """The order of one pair's rows."""
    moment = ts.copy()
    on_chain = np.flatnonzero(place[:, 0] > 0)
    by_place = on_chain[np.lexsort(place[on_chain].T[::-1])]
    moment[by_place] = np.maximum.accumulate(ts[by_place])
    return np.lexsort((*place.T[::-1], moment))


def _matrix(batches: list[pa.RecordBatch], first: int, width: int, rows: int) -> Ints:
    """Some columns of all batches, each column in one piece: what is computed reads columns."""
    matrix = np.empty((rows, width), dtype=np.int64, order="F")
    start = 0
    for batch in batches:
        end = start + batch.num_rows
        for place in range(width):
            matrix[start:end, place] = batch.column(first + place).to_numpy(zero_copy_only=False)
        start = end
    return matrix


def binary_cells(column: Any) -> Bytes:
    """A fixed-width binary column as rows of bytes."""
    width, count = column.type.byte_width, len(column)
    raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return raw[column.offset * width : (column.offset + count) * width].reshape(count, width)


def differs(cells: Bytes, word: type[np.unsignedinteger[Any]]) -> NDArray[np.bool_]:
    """Whether each row of bytes but the first differs from the one before it, compared in whole words."""
    words = np.ascontiguousarray(cells).view(word)
    found = np.zeros(max(len(words) - 1, 0), dtype=bool)
    for place in range(words.shape[1]):
        column = np.ascontiguousarray(words[:, place])
        found |= column[1:] != column[:-1]
    return found
