"""``wallet_days`` of one wallet slice: the steps of its pairs, valued at the marks of each day (docs/days.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from polyhouse.ledger.columns import EXTRA, ROW, Bytes, Ints
from polyhouse.ledger.day_series import DAY_SECONDS, NO_MARK, SERIES, DaySeries, Histories, Marks, day_series
from polyhouse.models.build import BULK
from polyhouse.models.pairs import SlicePairs
from polyhouse.ports import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

EDGES = (0, 30, 90, 180)
"""Days before the newest one that get a row wherever shares were open: the newest itself, the eves of the windows."""
COMPILED_FROM = 20_000
"""Rows of a slice from which on compiling pays."""
OVERALL = "overall"


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What is known of the tokens of a slice, by place: ids, category (a place in ``categories``), price of now."""

    ids: pa.Array
    categories: list[str]
    category: Ints
    newest: Ints

    def places(self, tokens: Bytes) -> Ints:
        """Where these tokens are; −1 = unknown."""
        import pyarrow.compute as pc

        found = pc.index_in(_binary(tokens), value_set=self.ids).fill_null(-1)
        return cast("Ints", found.to_numpy(zero_copy_only=False).astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Scopes:
    """Wallets and their categories: the pairs of each, its wallet (a place in the slice) and its name's place."""

    starts: Ints
    members: Ints
    wallet: Ints
    name: Ints


def store_days(
    warehouse: Warehouse, pairs: SlicePairs, ledger: str, condition: str, target: str, as_of: int, version: int
) -> None:
    """Write the rows of ``wallet_days`` of one wallet slice.

    Args:
        warehouse: holds ``day_marks`` and ``token_map``.
        pairs: of the slice, folded.
        ledger: name of the ledger table of this build.
        condition: SQL condition on ``wallet``, true for the slice.
        target: table to insert into.
        as_of: end of all windows, Unix seconds.
        version: of the rows.
    """
    chosen = f"token IN (SELECT token FROM {ledger} WHERE {condition})"
    tokens = _tokens(warehouse, chosen)
    places = tokens.places(pairs.columns.tokens)
    histories = _histories(pairs)
    scopes = _scopes(pairs.columns.wallets, places, tokens)
    if not len(scopes.wallet):
        return
    marks = _marks(warehouse, chosen, tokens, places)
    last_day = as_of // DAY_SECONDS
    compute = day_series
    if len(pairs.columns.rows) >= COMPILED_FROM:
        from polyhouse.ledger.day_columns import day_columns as compute
    edges = [last_day - before for before in EDGES]
    series = compute(scopes.starts, scopes.members, histories, marks, edges, last_day)
    _store(warehouse, target, pairs.columns.wallets, [OVERALL, *tokens.categories], scopes, series, version)


def _tokens(warehouse: Warehouse, chosen: str) -> _Tokens:
    import pyarrow as pa

    sql = (
        f"SELECT token, toString(category), ifNull(mark_e6, {NO_MARK}) FROM token_map FINAL WHERE {chosen}"
        f" ORDER BY token {BULK}"
    )
    batches = list(warehouse.query_columns(sql))
    if not batches:
        return _Tokens(pa.array([], type=pa.binary(32)), [], np.zeros(0, np.int64), np.zeros(0, np.int64))
    table = pa.Table.from_batches(batches)
    names, category = np.unique(np.array(table.column(1).to_pylist(), dtype=str), return_inverse=True)
    newest = table.column(2).to_numpy().astype(np.int64)
    return _Tokens(table.column(0).combine_chunks(), names.tolist(), category.astype(np.int64), newest)


def _histories(pairs: SlicePairs) -> Histories:
    columns = pairs.columns
    count = len(columns.starts) - 1
    is_fill = np.flatnonzero(columns.extra[:, EXTRA.index("is_fill")])
    fills = np.column_stack([columns.rows[is_fill, ROW.index("ts")], columns.extra[is_fill, EXTRA.index("volume")]])
    step_starts = np.searchsorted(pairs.steps.places, np.arange(count + 1))
    return Histories(step_starts, pairs.steps.values, np.searchsorted(is_fill, columns.starts), fills)


def _scopes(wallets: Bytes, places: Ints, tokens: _Tokens) -> _Scopes:
    """Each wallet as a whole (name 0) and in each of its categories; pairs without a token belong to none."""
    is_first = np.ones(len(wallets), dtype=bool)
    is_first[1:] = (wallets[1:] != wallets[:-1]).any(axis=1)
    wallet_of = np.cumsum(is_first) - 1
    pair = np.flatnonzero(places >= 0)
    names = len(tokens.categories) + 1
    keys = np.concatenate([wallet_of[pair] * names, wallet_of[pair] * names + 1 + tokens.category[places[pair]]])
    order = np.argsort(keys, kind="stable")
    members, keys = np.concatenate([pair, pair])[order], keys[order]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else keys
    key = keys[starts]
    first_pairs = np.flatnonzero(is_first)
    return _Scopes(np.append(starts, len(keys)), members, first_pairs[key // names], key % names)


def _marks(warehouse: Warehouse, chosen: str, tokens: _Tokens, places: Ints) -> Marks:
    sql = f"SELECT token, toInt64(day), price_e6 FROM day_marks WHERE {chosen} ORDER BY token, day {BULK}"
    token, days, prices = [], [], []
    for batch in warehouse.query_columns(sql):
        token.append(tokens.places(_bytes(batch.column(0))))
        days.append(batch.column(1).to_numpy())
        prices.append(batch.column(2).to_numpy())
    of_token = np.concatenate([*token, np.zeros(0, np.int64)])
    known = np.maximum(places, 0)
    starts = np.searchsorted(of_token, known, side="left")
    ends = np.where(places < 0, starts, np.searchsorted(of_token, known, side="right"))
    newest = np.where(places < 0, NO_MARK, tokens.newest[known])
    none = np.zeros(0, np.int64)
    return Marks(starts, ends, np.concatenate([*days, none]), np.concatenate([*prices, none]), newest)


def _store(
    warehouse: Warehouse, target: str, wallets: Bytes, names: list[str], scopes: _Scopes, series: DaySeries,
    version: int,
) -> None:  # fmt: skip
    import pyarrow as pa

    column = {name: series.values[:, place] for place, name in enumerate(SERIES)}
    is_known = column["unmarked"] == 0
    equity = column["realized_total"] + column["unrealized"]
    pnl = np.zeros_like(equity)
    known = np.flatnonzero(is_known)
    before = np.append(0, equity[known[:-1]])
    is_first = np.append(True, series.scopes[known[1:]] != series.scopes[known[:-1]])
    pnl[known] = equity[known] - np.where(is_first, 0, before)[: len(known)]
    texts = pa.DictionaryArray.from_arrays(pa.array(scopes.name[series.scopes].astype(np.int32)), pa.array(names))
    table = {
        "wallet": _binary(wallets[scopes.wallet[series.scopes]]),
        "category": texts.cast(pa.string()),
        "day": pa.array(column["day"].astype(np.uint16)),
    }
    values = column | {"equity": equity, "pnl": pnl}
    for name in _COLUMNS:
        nullable = name in ("unrealized", "equity", "pnl")
        cells = values[name].astype(np.uint32) if name in ("unmarked", "fills") else values[name]
        table[name] = pa.array(np.ascontiguousarray(cells), mask=~is_known if nullable else None)
    table["version"] = pa.array(np.full(len(equity), version, dtype=np.uint64))
    table["is_deleted"] = pa.array(np.zeros(len(equity), dtype=np.uint8))
    if len(equity):
        warehouse.insert_arrow(target, pa.table(table))


_COLUMNS = (
    "realized", "realized_total", "unrealized", "unmarked", "equity", "pnl", "at_risk", "at_risk_before",
    "at_risk_peak", "worst", "volume", "fills",
)  # fmt: skip
"""Numbers of ``wallet_days``, in its order."""


def _binary(cells: Bytes) -> Any:
    import pyarrow as pa

    cells = np.ascontiguousarray(cells)
    return pa.Array.from_buffers(pa.binary(cells.shape[1]), len(cells), [None, pa.py_buffer(cells)])


def _bytes(column: Any) -> Bytes:
    width = column.type.byte_width
    raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return raw[column.offset * width : (column.offset + len(column)) * width].reshape(len(column), width)
