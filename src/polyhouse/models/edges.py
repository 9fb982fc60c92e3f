"""Sums over the first bets of wallets on events, per category, for the test of specialists (docs/specialists.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from polyhouse.metrics.specialists import MIN_EVENTS, TILTS

if TYPE_CHECKING:
    import pyarrow as pa

_E9 = 1_000_000_000
Ints = npt.NDArray[np.int64]


def edges(bets: pa.Table) -> pa.Table:
    """Rows of ``category_edges`` without the version, from rows of ``event_bets`` in their order.

    Logarithms are rounded up to whole 10⁻⁹ one by one, so that the bound stays a bound and sums depend on no order.
    """
    import pyarrow as pa

    starts = _starts(bets)
    first = pa.array(starts[:-1])
    prices = bets.column("price_e9").to_numpy()
    counts = np.diff(starts)
    tested = counts >= MIN_EVENTS
    bounds, slopes = _moments(prices, starts, tested)
    offsets = pa.array(np.concatenate([[0], np.cumsum(tested * len(TILTS))]).astype(np.int32))
    return pa.table({
        "wallet": bets.column("wallet").combine_chunks().take(first),
        "category": bets.column("category").combine_chunks().take(first),
        "events": pa.array(counts.astype(np.uint32)),
        "payout_e9": np.add.reduceat(bets.column("payout_e9").to_numpy(), starts[:-1]),
        "price_e9": np.add.reduceat(prices, starts[:-1]),
        "spread_e9": np.add.reduceat(prices * (_E9 - prices) // _E9, starts[:-1]),
        "bound_e9": pa.ListArray.from_arrays(offsets, pa.array(bounds)),
        "slope_e9": pa.ListArray.from_arrays(offsets, pa.array(slopes)),
    })  # fmt: skip


def _starts(bets: pa.Table) -> Ints:
    """Place of the first row of each (wallet, category), and the number of rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wallets = bets.column("wallet").combine_chunks()
    raw = np.frombuffer(wallets.buffers()[1], dtype=np.uint8)
    rows = raw[wallets.offset * 20 : (wallets.offset + len(wallets)) * 20].reshape(-1, 20)
    categories = pc.dictionary_encode(bets.column("category").cast(pa.binary())).combine_chunks().indices.to_numpy()
    changed = (rows[1:] != rows[:-1]).any(axis=1) | (categories[1:] != categories[:-1])
    return np.concatenate([[0], np.flatnonzero(changed) + 1, [len(rows)]]).astype(np.int64)


def _moments(prices: Ints, starts: Ints, tested: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Per tested group and tilt t: Σ log(1 + p(e^t − 1)) and Σ of its derivative by p, in 10⁻⁹, group by group."""
    counts = np.diff(starts)
    chosen = (prices / _E9)[np.repeat(tested, counts)]
    firsts = np.concatenate([[0], np.cumsum(counts[tested])])[:-1].astype(np.int64)
    bounds, slopes = (np.zeros((len(firsts), len(TILTS)), np.int64) for _ in range(2))
    for place, tilt in enumerate(TILTS if len(firsts) else ()):
        growth = np.expm1(tilt)
        bounds[:, place] = np.add.reduceat(_up(np.log1p(chosen * growth)), firsts)
        slopes[:, place] = np.add.reduceat(_up(growth / (1 + chosen * growth)), firsts)
    return bounds.ravel(), slopes.ravel()


def _up(values: Any) -> Ints:
    whole: Ints = np.ceil(values * _E9).astype(np.int64)
    return whole
