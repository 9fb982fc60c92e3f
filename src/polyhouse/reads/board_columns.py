"""Columns of wallets as the warehouse gives them, and where each wallet stands among others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from polyhouse.ports import Warehouse
from polyhouse.warehouse.streaming import BULK

Array = npt.NDArray[Any]
WALLET_TYPE = "S20"
"""Addresses of 20 bytes: numpy compares and searches them, but what it takes out has no zeros at its end."""
_WALLET_BYTES = 20
_HEAD_BYTES = 8


def read_columns(
    warehouse: Warehouse, chosen: Mapping[str, str], rest: str, bound: Mapping[str, Any]
) -> dict[str, Array]:
    """``wallet`` and the chosen columns (name → SQL) as arrays; ``rest``: the statement from FROM on."""
    import pyarrow as pa

    selected = ", ".join(["wallet", *(f"{sql} AS {name}" for name, sql in chosen.items())])
    batches = list(warehouse.query_columns(f"SELECT {selected} {rest} {BULK}", dict(bound)))
    if not batches:
        return {"wallet": np.zeros(0, WALLET_TYPE)} | {name: np.zeros(0) for name in chosen}
    table = pa.Table.from_batches(batches)
    return {name: _numpy(table.column(name)) for name in table.column_names}


def stored_columns(warehouse: Warehouse, table: str) -> set[str]:
    """The columns a table has: those of metrics follow the catalogue from the first build on."""
    sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
    return {name for (name,) in warehouse.query(sql, {"t": table}).rows}


def places_among(ordered: Array, wallets: Array) -> tuple[Array, Array]:
    """Where each wallet stands among ordered ones, and whether it does."""
    if not len(ordered):
        return np.zeros(len(wallets), np.int64), np.zeros(len(wallets), bool)
    heads = _heads(ordered)
    if (heads[1:] == heads[:-1]).any():
        places = np.searchsorted(ordered, wallets)
    else:
        # Numbers are found in a tenth of the time that bytes take; a wallet that is not there may stand one beside.
        places = np.searchsorted(heads, _heads(wallets))
    places = np.minimum(places, len(ordered) - 1)
    known: Array = ordered[places] == wallets
    return places, known


def newest_places(wallets: Array, versions: Array, is_gone: Array) -> Array:
    """Places of the newest row of each wallet that has not gone, in the order of addresses."""
    heads = _heads(wallets)
    order = np.argsort(heads, kind="stable")
    ordered = heads[order]
    is_last = np.ones(len(order), bool)
    is_like_next = ordered[1:] == ordered[:-1]
    if is_like_next.any():
        # Only rows of one wallet, and of wallets that begin alike, have to be looked at in full.
        alike = np.flatnonzero(np.append(is_like_next, False) | np.append(False, is_like_next))
        rows = order[alike]
        order[alike] = rows[np.lexsort((versions[rows], wallets[rows]))]
        full = wallets[order[alike]]
        is_last[alike[:-1]] = full[1:] != full[:-1]
    places: Array = order[is_last]
    there: Array = places[is_gone[places] == 0]
    return there


def _heads(wallets: Array) -> Array:
    """The first bytes of each address as a number, in the order of addresses."""
    cells = np.ascontiguousarray(wallets).view(np.uint8).reshape(-1, _WALLET_BYTES)
    heads: Array = np.ascontiguousarray(cells[:, :_HEAD_BYTES]).view(">u8").ravel().astype(np.uint64)
    return heads


def _numpy(column: Any) -> Array:
    joined = column.combine_chunks()
    if str(joined.type).startswith("fixed_size_binary"):
        width = joined.type.byte_width
        return np.frombuffer(joined.buffers()[1], f"S{width}", count=len(joined), offset=joined.offset * width)
    return np.asarray(joined.to_numpy(zero_copy_only=False))
