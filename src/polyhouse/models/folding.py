"""Streams the ledger rows of order-dependent pairs through the fold and stores the resulting states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from polyhouse.ledger.fold import Holding, LedgerRow, Settlement, fold_pair, fold_wallet
from polyhouse.ports import Warehouse

_NUMBERS = "toUnixTimestamp(ts) AS at, block, tx_index, pos, toInt8(kind) AS number, ds, du, fee, amount, convert_cash"
_BATCH_PAIRS = 100_000
_NO_EVENT = b""


def fold_slice(warehouse: Warehouse, ledger: str, condition: str, boundaries: Sequence[int]) -> int:
    """Fold every order-dependent pair of one wallet slice into ``pair_states``; return how many there were.

    Args:
        warehouse: holds ``pair_sums`` and ``joined_wallets`` of the slice.
        ledger: name of the ledger table to read.
        condition: SQL condition on ``wallet``, true for the slice.
        boundaries: start of each window, newest first (1d … 180d).
    """
    settlements = _settlements(warehouse)
    ascending = sorted(boundaries)
    sink = _Sink(warehouse)
    for (wallet, token), rows in _pairs(warehouse, ledger, condition):
        sink.add(wallet, token, fold_pair(rows, settlements.get(token), ascending))
    for wallet, rows in _joined_wallets(warehouse, ledger, condition):
        for token, state in fold_wallet(rows, settlements, ascending).items():
            sink.add(wallet, token, state)
    return sink.finish()


def _pairs(
    warehouse: Warehouse, ledger: str, condition: str
) -> Iterator[tuple[tuple[bytes, bytes], Iterator[LedgerRow]]]:
    """Rows of each order-dependent pair that moves no basis to other tokens."""
    sql = (
        f"SELECT wallet, token, {_NUMBERS} FROM {ledger} FINAL WHERE {condition} AND (wallet, token) IN"
        " (SELECT wallet, token FROM pair_sums WHERE ordered) AND wallet NOT IN (SELECT wallet FROM joined_wallets)"
        " ORDER BY wallet, token, ts, block, tx_index, pos, cls, sub, tx, row_key"
    )

    def rows() -> Iterator[tuple[tuple[bytes, bytes], LedgerRow]]:
        for batch in warehouse.query_columns(sql):
            numbers = zip(
                *(column.to_numpy(zero_copy_only=False).tolist() for column in batch.columns[2:]), strict=True
            )
            keys = _keys(batch.column(0), batch.column(1))
            for key, values in zip(keys, numbers, strict=True):
                yield key, LedgerRow._make((key[1], *values, _NO_EVENT))

    for key, members in groupby(rows(), key=itemgetter(0)):
        yield key, map(itemgetter(1), members)


def _joined_wallets(warehouse: Warehouse, ledger: str, condition: str) -> Iterator[tuple[bytes, Iterator[LedgerRow]]]:
    """All rows of each wallet that ever converted or migrated, the legs of one event side by side."""
    sql = (
        f"SELECT wallet, token, {_NUMBERS}, concat(tx, toString(if(block > 0, pos, row_key))) AS event"
        f" FROM {ledger} FINAL WHERE {condition} AND token != toFixedString('', 32)"
        " AND wallet IN (SELECT wallet FROM joined_wallets)"
        " ORDER BY wallet, ts, block, tx_index, pos, cls, tx, if(block > 0, 0, row_key), sub"
    )
    for wallet, rows in groupby(_rows(warehouse, sql), key=itemgetter(0)):
        yield wallet, (LedgerRow(*row[1:]) for row in rows)


def _keys(wallets: Any, tokens: Any) -> Iterator[tuple[bytes, bytes]]:
    """(wallet, token) of every row; rows of one pair share one tuple, because making it per row is what costs."""
    import numpy as np

    count = len(wallets)
    starts = np.zeros(count, dtype=bool)
    for column in (wallets, tokens):
        width = column.type.byte_width
        raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)[
            column.offset * width : (column.offset + count) * width
        ]
        cells = raw.reshape(count, width)
        starts[1:] |= (cells[1:] != cells[:-1]).any(axis=1)
    key = (b"", b"")
    for place, is_new in enumerate(starts.tolist()):
        if is_new or not place:
            key = (wallets[place].as_py(), tokens[place].as_py())
        yield key


def _rows(warehouse: Warehouse, sql: str) -> Iterator[tuple[Any, ...]]:
    for batch in warehouse.query_columns(sql):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _settlements(warehouse: Warehouse) -> dict[bytes, Settlement]:
    """Resolutions of the tokens that need folding in this slice."""
    sql = (
        "SELECT token, numerator, denominator, toUnixTimestamp(resolved_ts), resolved_block, resolved_tx_index,"
        " resolved_pos FROM token_map FINAL WHERE resolved AND token IN ("
        "SELECT token FROM pair_sums WHERE ordered OR wallet IN (SELECT wallet FROM joined_wallets))"
    )
    return {row[0]: Settlement(*row[1:]) for row in _rows(warehouse, sql)}


class _Sink:
    """Collects folded states and writes them in batches."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._rows: list[tuple[Any, ...]] = []
        self._count = 0

    def add(self, wallet: bytes, token: bytes, state: Holding) -> None:
        snapshots = state.snapshots[::-1]
        self._rows.append((
            wallet, token, True, state.held, state.cost, state.external, state.realized, state.bought,
            state.bought_cost, state.fees, state.untracked_shares, state.untracked_cash, state.basis_out, state.burned,
            state.redeemed_cash, state.settled_value, state.first_ts, state.last_ts, state.realized_ts,
            [s.held for s in snapshots], [s.cost for s in snapshots], [s.realized for s in snapshots],
            [s.bought_cost for s in snapshots],
        ))  # fmt: skip
        if len(self._rows) >= _BATCH_PAIRS:
            self._flush()

    def finish(self) -> int:
        self._flush()
        return self._count

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._rows:
            return
        names = (
            "wallet", "token", "ordered", "held", "cost", "external_shares", "realized", "bought", "bought_cost",
            "fees", "untracked_shares", "untracked_cash", "basis_out", "redeemed", "redeemed_cash", "settled_value",
            "first_ts", "last_ts", "realized_ts", "held_at", "cost_at", "realized_at", "bought_at",
        )  # fmt: skip
        types = {
            "wallet": pa.binary(20), "token": pa.binary(32), "ordered": pa.bool_(), "first_ts": pa.uint32(),
            "last_ts": pa.uint32(), "realized_ts": pa.uint32(), "held_at": pa.list_(pa.int64()),
            "cost_at": pa.list_(pa.int64()), "realized_at": pa.list_(pa.int64()),
            "bought_at": pa.list_(pa.int64()),
        }  # fmt: skip
        columns = zip(*self._rows, strict=True)
        arrays = {
            name: pa.array(column, type=types.get(name, pa.int64()))
            for name, column in zip(names, columns, strict=True)
        }
        self._warehouse.insert_arrow("pair_states", pa.table(arrays))
        self._count += len(self._rows)
        self._rows.clear()
