"""What a pair moved, inside each window: sums that no order changes (accounting §3.8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import EXTRA, ROW, Ints, LedgerColumns
from polyhouse.ledger.fold import Kind

SUMS = ("fees", "volume", "trades", "redeemed_cash", "income")
"""Last axis of ``Activity.sums``: micro-USDC, but for ``trades``, which counts fills."""

INCOME = 10
"""Number of the ledger kind INCOME; such rows have the zero token."""

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Activity:
    """Of n pairs: ``sums`` is n × (1 + windows) × ``SUMS``, the whole life first, then each window.

    ``first_trade`` and ``last_trade`` are times of fills, 0 = none.
    """

    sums: Ints
    first_trade: Ints
    last_trade: Ints


def activity(columns: LedgerColumns, boundaries: Sequence[int]) -> Activity:
    """Sum fees, volume, fills, redemption payouts and income of every pair.

    Args:
        columns: a slice of the ledger.
        boundaries: start of each window, newest first; a window holds what lies after its start.
    """
    pairs, windows = len(columns.starts) - 1, len(boundaries)
    sums = np.zeros((pairs, windows + 1, len(SUMS)), dtype=np.int64)
    if not pairs:
        return Activity(sums, np.zeros(0, np.int64), np.zeros(0, np.int64))
    ts, kind = columns.rows[:, ROW.index("ts")], columns.rows[:, ROW.index("kind")]
    du, fill = columns.rows[:, ROW.index("du")], columns.extra[:, EXTRA.index("is_fill")]
    # Windows are nested, so a row counts once, in the narrowest that holds it; sums over the wider ones follow.
    holding = np.searchsorted(np.asarray(boundaries[::-1]), ts, side="left")
    narrowest = np.where(holding > 0, windows + 1 - holding, 0)
    pair = np.repeat(np.arange(pairs), np.diff(columns.starts))
    is_first = np.ones(len(ts), dtype=bool)
    is_first[1:] = (pair[1:] != pair[:-1]) | (narrowest[1:] != narrowest[:-1])
    group = np.flatnonzero(is_first)
    amounts = (
        columns.rows[:, ROW.index("fee")],
        columns.extra[:, EXTRA.index("volume")],
        fill,
        np.where(kind == int(Kind.REDEEM), du, 0),
        np.where(kind == INCOME, du, 0),
    )
    for place, amount in enumerate(amounts):
        np.add.at(sums[:, :, place], (pair[group], narrowest[group]), np.add.reduceat(amount, group))
    sums[:, 0] += sums[:, 1:].sum(axis=1)
    sums[:, 1:] = np.cumsum(sums[:, 1:], axis=1)
    return Activity(sums, *_trade_times(ts, fill.astype(bool), columns.starts[:-1]))


def _trade_times(ts: Ints, is_fill: NDArray[np.bool_], starts: Ints) -> tuple[Ints, Ints]:
    first = np.minimum.reduceat(np.where(is_fill, ts, _NEVER), starts)
    last = np.maximum.reduceat(np.where(is_fill, ts, 0), starts)
    return np.where(first == _NEVER, 0, first), last
