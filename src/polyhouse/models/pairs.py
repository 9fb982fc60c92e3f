"""The states of every (wallet, token) of one wallet slice: ledger rows in, ``pair_states`` and ``pair_sums`` out.

Large slices are folded as compiled columns, small ones by the objects that define the rules (compiling takes longer
than they do), and so are wallets whose basis moves between tokens. All say the same; tests hold them equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from polyhouse.ledger.activity import SUMS, activity
from polyhouse.ledger.columns import Bytes, Ints, LedgerColumns, gather, in_chain_order
from polyhouse.ledger.fold import Holding, Settlement, fold_pair
from polyhouse.ledger.states import STATE, Folded, Steps, folded_from
from polyhouse.models.build import BULK
from polyhouse.models.joined import fold_joined_wallets
from polyhouse.ports import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

COMPILED_FROM = 200_000
"""Rows of a slice from which on compiling pays."""

_ROWS = "toUnixTimestamp(ts) AS at, block, tx_index, pos, toInt8(kind) AS number, ds, du, fee, amount"
_EXTRA = "volume, kind IN ('BUY', 'SELL') AND label = '' AS is_fill"
_ORDER = "wallet, token, ts, block, tx_index, pos, cls, sub, tx, row_key"
_STATE_NAMES = {"external": "external_shares", "burned": "redeemed"}
_NO_TOKEN = bytes(32)


@dataclass(frozen=True, slots=True)
class Settlements:
    """Resolutions of the tokens of a slice: k tokens × 32 bytes, and k × (numerator, denominator, ts, place)."""

    tokens: pa.Array
    values: Ints

    def of(self, tokens: Bytes) -> Ints:
        """Per token its row, zeros where it is not resolved."""
        import pyarrow.compute as pc

        found = pc.index_in(_binary(tokens), value_set=self.tokens)
        place = found.fill_null(len(self.tokens)).to_numpy(zero_copy_only=False)
        unresolved = np.zeros((1, self.values.shape[1]), np.int64)
        return cast("Ints", np.vstack([self.values, unresolved])[place])


@dataclass(frozen=True, slots=True)
class SlicePairs:
    """The pairs of one wallet slice: their rows, and the steps that folding took. Input of ``models.days``.

    ``steps.places`` are places in ``columns``.
    """

    columns: LedgerColumns
    steps: Steps


def stage_pairs(warehouse: Warehouse, ledger: str, condition: str, boundaries: Sequence[int]) -> SlicePairs:
    """Fill ``pair_states`` and ``pair_sums`` for one wallet slice; return what the daily series are made of.

    Args:
        warehouse: holds ``joined_wallets`` of the slice.
        ledger: name of the ledger table to read.
        condition: SQL condition on ``wallet``, true for the slice.
        boundaries: start of each window, newest first (1d … 180d).
    """
    columns = _load(warehouse, ledger, condition)
    _store_sums(warehouse, columns, boundaries)
    stands_alone = _stand_alone(warehouse, columns)
    alone = np.flatnonzero(stands_alone)
    states = _fold(columns, alone, _settlements(warehouse, ledger, condition), sorted(boundaries))
    _store_states(warehouse, columns.wallets[alone], columns.tokens[alone], states)
    steps = [Steps(alone[states.steps.places], states.steps.values)]
    place_of = _places(columns, np.flatnonzero(~stands_alone))
    for wallet, holdings in fold_joined_wallets(warehouse, ledger, condition, sorted(boundaries)):
        tokens = np.frombuffer(b"".join(holdings), dtype=np.uint8).reshape(len(holdings), 32)
        wallets = np.frombuffer(wallet * len(holdings), dtype=np.uint8).reshape(len(holdings), 20)
        folded = folded_from(list(holdings.values()), len(boundaries))
        _store_states(warehouse, wallets, tokens, folded)
        places = np.array([place_of[wallet + token] for token in holdings])
        steps.append(Steps(places[folded.steps.places], folded.steps.values))
    return SlicePairs(columns, Steps.joined(steps))


def _places(columns: LedgerColumns, pairs: Ints) -> dict[bytes, int]:
    """Wallet and token of these pairs → their place."""
    return {columns.wallets[place].tobytes() + columns.tokens[place].tobytes(): place for place in pairs.tolist()}


def _load(warehouse: Warehouse, ledger: str, condition: str) -> LedgerColumns:
    sql = f"SELECT wallet, token, {_ROWS}, {_EXTRA} FROM {ledger} FINAL WHERE {condition} ORDER BY {_ORDER} {BULK}"
    return in_chain_order(gather(warehouse.query_columns(sql)))


def _stand_alone(warehouse: Warehouse, columns: LedgerColumns) -> Any:
    """Which pairs are tokens whose basis nothing moved to or from another token."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = warehouse.query("SELECT wallet FROM joined_wallets").rows
    joined = pa.array([bytes(wallet) for (wallet,) in rows], type=pa.binary(20))
    is_joined = pc.is_in(_binary(columns.wallets), value_set=joined).to_numpy(zero_copy_only=False)
    return ~is_joined & columns.tokens.any(axis=1)


def _settlements(warehouse: Warehouse, ledger: str, condition: str) -> Settlements:
    import pyarrow as pa

    sql = (
        "SELECT token, numerator, denominator, toUnixTimestamp(resolved_ts), resolved_block, resolved_tx_index,"
        " resolved_pos FROM token_map FINAL WHERE resolved AND token IN"
        f" (SELECT token FROM {ledger} WHERE {condition})"
    )
    batches = list(warehouse.query_columns(sql))
    if not batches:
        return Settlements(pa.array([], type=pa.binary(32)), np.zeros((0, 6), np.int64))
    table = pa.Table.from_batches(batches)
    values = np.column_stack([column.to_numpy().astype(np.int64) for column in table.columns[1:]])
    # Payout vectors may be scaled (1000000 for 1): the ratio counts, and small numbers keep products small.
    values[:, :2] //= np.gcd(values[:, 0], values[:, 1])[:, None]
    return Settlements(table.column(0).combine_chunks(), values)


def _fold(columns: LedgerColumns, pairs: Ints, settlements: Settlements, boundaries: Sequence[int]) -> Folded:
    """States of the pairs at these places."""
    resolved = settlements.of(columns.tokens[pairs])

    def reference(place: int) -> Holding:
        values = resolved[place].tolist()
        return fold_pair(columns.pair(int(pairs[place])), Settlement(*values) if values[1] else None, boundaries)

    if len(columns.rows) < COMPILED_FROM:
        return folded_from([reference(place) for place in range(len(pairs))], len(boundaries))
    from polyhouse.ledger.fold_columns import fold_columns

    starts, ends = columns.starts[pairs], columns.starts[pairs + 1]
    states = fold_columns(columns.rows, starts, ends, resolved, boundaries)
    return states.replaced({place: reference(place) for place in states.too_large.tolist()})


def _store_states(warehouse: Warehouse, wallets: Bytes, tokens: Bytes, states: Folded) -> None:
    import pyarrow as pa

    newest_first = states.snapshots[:, ::-1]
    names = [_STATE_NAMES.get(name, name) for name in STATE]
    table = {"wallet": _binary(wallets), "token": _binary(tokens)}
    for place, name in enumerate(names):
        column = np.ascontiguousarray(states.state[:, place])
        table[name] = pa.array(column.astype(np.uint32) if name.endswith("_ts") else column)
    for place, name in enumerate(("held_at", "cost_at", "realized_at", "bought_at")):
        table[name] = _arrays(newest_first[:, :, place])
    _insert(warehouse, "pair_states", table)


def _store_sums(warehouse: Warehouse, columns: LedgerColumns, boundaries: Sequence[int]) -> None:
    import pyarrow as pa

    moved = activity(columns, boundaries)
    table = {"wallet": _binary(columns.wallets), "token": _binary(columns.tokens)}
    for place, name in enumerate(SUMS):
        table[name] = _arrays(moved.sums[:, :, place])
    table["first_trade_ts"] = pa.array(moved.first_trade.astype(np.uint32))
    table["last_trade_ts"] = pa.array(moved.last_trade.astype(np.uint32))
    _insert(warehouse, "pair_sums", table)


def _insert(warehouse: Warehouse, name: str, columns: dict[str, Any]) -> None:
    import pyarrow as pa

    table = pa.table(columns)
    if table.num_rows:
        warehouse.insert_arrow(name, table)


def _binary(cells: Bytes) -> pa.Array:
    import pyarrow as pa

    cells = np.ascontiguousarray(cells)
    return pa.Array.from_buffers(pa.binary(cells.shape[1]), len(cells), [None, pa.py_buffer(cells)])


def _arrays(values: Ints) -> pa.Array:
    """A matrix as a column of arrays."""
    import pyarrow as pa

    count, width = values.shape
    offsets = pa.array(np.arange(0, (count + 1) * width, max(width, 1), dtype=np.int32)[: count + 1])
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).reshape(-1)))
