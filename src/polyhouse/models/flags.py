"""What chance says of wallets, from rows of ``event_bets`` (docs/flags.md)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.chance import Records, records

if TYPE_CHECKING:
    import pyarrow as pa

_E9 = 1_000_000_000


def chances(bets: pa.Table) -> pa.Table:
    """Per wallet its record (``metrics.chance``), from rows of ``event_bets`` in their order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wallets = bets.column("wallet").combine_chunks()
    starts = starts_of(wallets)
    category = pc.index_in(bets.column("category").cast(pa.string()), value_set=pa.array(CATEGORIES))
    places = pc.fill_null(category, len(CATEGORIES)).to_numpy().astype(np.int64)
    record = records(starts, _shares(bets, "price_e9"), _shares(bets, "payout_e9"), places)
    found = {field.name: getattr(record, field.name).astype(np.float64) for field in fields(Records)}
    return pa.table({"wallet": wallets.take(pa.array(starts[:-1])), **found})


def starts_of(wallets: pa.Array) -> Any:
    """Place of the first row of each wallet, and the number of rows at the end; equal wallets stand together."""
    raw = np.frombuffer(wallets.buffers()[1], dtype=np.uint8)
    rows = raw[wallets.offset * 20 : (wallets.offset + len(wallets)) * 20].reshape(-1, 20)
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes, [len(rows)]]).astype(np.int64)


def _shares(table: pa.Table, name: str) -> Any:
    return table.column(name).to_numpy() / _E9
