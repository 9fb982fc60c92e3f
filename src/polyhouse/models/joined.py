"""Folds wallets whose basis moves between tokens: neg-risk conversions and migrations join their pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from polyhouse.ledger.fold import Holding, LedgerRow, Settlement, fold_wallet
from polyhouse.ports import Warehouse

_NUMBERS = "toUnixTimestamp(ts) AS at, block, tx_index, pos, toInt8(kind) AS number, ds, du, fee, amount, convert_cash"
# Rows of the chain come in the order of the chain whatever their times say, as in ``ledger.columns.in_chain_order``.
MOMENT = (
    "if(block = 0, ts, max(ts) OVER (PARTITION BY {who}, block = 0 ORDER BY block, tx_index, pos"
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))"
)
"""SQL of a row's time in the order of the fold; ``who`` is what the rows are folded by."""


def fold_joined_wallets(
    warehouse: Warehouse, ledger: str, token_map: str, condition: str, boundaries: Sequence[int]
) -> Iterator[tuple[bytes, dict[bytes, Holding]]]:
    """Every wallet of ``joined_wallets`` in one slice with the states of its tokens.

    Args:
        warehouse: holds ``joined_wallets`` of the slice.
        ledger: name of the ledger table to read.
        condition: SQL condition on ``wallet``, true for the slice.
        boundaries: ascending times at which the states are recorded.
    """
    settlements = _settlements(warehouse, ledger, token_map, condition)
    for wallet, rows in _wallets(warehouse, ledger, condition):
        yield wallet, fold_wallet(rows, settlements, boundaries)


def _wallets(warehouse: Warehouse, ledger: str, condition: str) -> Iterator[tuple[bytes, Iterator[LedgerRow]]]:
    """All rows of each wallet, the legs of one event side by side."""
    sql = (
        f"SELECT wallet, token, {_NUMBERS}, concat(tx, toString(if(block > 0, pos, row_key))) AS event"
        f" FROM {ledger} FINAL WHERE {condition} AND token != toFixedString('', 32)"
        " AND wallet IN (SELECT wallet FROM joined_wallets)"
        f" ORDER BY wallet, {MOMENT.format(who='wallet')}, block, tx_index, pos, cls, tx,"
        " if(block > 0, 0, row_key), sub"
    )
    for wallet, rows in groupby(_rows(warehouse, sql), key=itemgetter(0)):
        yield wallet, (LedgerRow(*row[1:]) for row in rows)


def _settlements(warehouse: Warehouse, ledger: str, token_map: str, condition: str) -> dict[bytes, Settlement]:
    sql = (
        "SELECT token, numerator, denominator, toUnixTimestamp(resolved_ts), resolved_block, resolved_tx_index,"
        f" resolved_pos FROM {token_map} FINAL WHERE resolved AND token IN (SELECT token FROM {ledger}"
        f" WHERE {condition} AND wallet IN (SELECT wallet FROM joined_wallets))"
    )
    return {row[0]: Settlement(*row[1:]) for row in _rows(warehouse, sql)}


def _rows(warehouse: Warehouse, sql: str) -> Iterator[tuple[Any, ...]]:
    for batch in warehouse.query_columns(sql):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
