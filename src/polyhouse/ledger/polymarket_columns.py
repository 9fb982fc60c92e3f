"""Polymarket's positions over columns: ``polymarket.polymarket_positions`` for millions of pairs at once.

For wallets without conversions and liquidity: then a pair depends on its own rows, and on the redemptions of the other
outcome. Compiled to machine code; ``polymarket`` stays the reference, and tests hold both equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np

from polyhouse.ledger.columns import EXTRA, ROW, Ints, LedgerColumns
from polyhouse.ledger.fold import Kind
from polyhouse.ledger.fold_columns import share_of

P = ParamSpec("P")
R = TypeVar("R")

POSITION = ("amount", "avg_price", "realized_pnl", "total_bought")
"""Columns of the result, named as the fields of ``SubgraphPosition``."""

_TS, _BLOCK, _TX_INDEX, _POS, _KIND, _DS, _, _, _AMOUNT = range(len(ROW))
_USDC, _SHARES = EXTRA.index("usdc_gross"), EXTRA.index("shares_gross")
_BUY, _SELL, _SPLIT, _MERGE, _REDEEM = (int(k) for k in (Kind.BUY, Kind.SELL, Kind.SPLIT, Kind.MERGE, Kind.REDEEM))
_ONE, _HALF = 1_000_000, 500_000


def polymarket_columns(columns: LedgerColumns, pairs: Ints, others: Ints, settlements: Ints, is_neg_risk: Ints) -> Ints:
    """Fold some pairs.

    Args:
        columns: a slice of the ledger.
        pairs: places of n pairs.
        others: of each of them, the place of the same wallet's pair of the other outcome; −1 = it never had it.
        settlements: n × (numerator, denominator, …), of the pair's token; a denominator of 0 = not resolved.
        is_neg_risk: of each, 1 if its market is a neg-risk one.

    Returns:
        n × ``POSITION``.
    """
    found = np.zeros((len(pairs), len(POSITION)), dtype=np.int64)
    starts, ends = columns.starts[:-1], columns.starts[1:]
    other_starts = np.where(others < 0, 0, starts[others])
    other_ends = np.where((others < 0) | (is_neg_risk > 0), 0, ends[others])
    _fold(
        columns.rows, columns.extra, starts[pairs], ends[pairs], other_starts, other_ends,
        np.ascontiguousarray(settlements[:, :2]), is_neg_risk, found,
    )  # fmt: skip
    return found


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


@_compiled
def _part(amount: Any, price: Any) -> Any:
    """``amount · price / 10⁶``, truncated toward zero, exact although the product may leave 64 bits."""
    size = -price if price < 0 else price
    worth = amount * (size // _ONE) + share_of(amount, size % _ONE, _ONE)
    return -worth if price < 0 else worth


@_compiled
def _price(usdc: Any, shares: Any) -> Any:
    """``usdc · 10⁶ / shares``, floored."""
    return usdc // shares * _ONE + share_of(_ONE, usdc % shares, shares)


@_compiled
def _buy(s: Any, price: Any, shares: Any) -> None:
    if shares <= 0:
        return
    s[1] += share_of(price - s[1], shares, s[0] + shares)
    s[0] += shares
    s[3] += shares


@_compiled
def _sell(s: Any, price: Any, shares: Any) -> None:
    known = min(shares, s[0])
    s[2] += _part(known, price - s[1])
    s[0] -= known


@_compiled
def _is_after(other: Any, row: Any) -> Any:
    """Whether a row of the other outcome comes after one of this."""
    if other[_BLOCK] and row[_BLOCK]:
        if other[_BLOCK] != row[_BLOCK]:
            return other[_BLOCK] > row[_BLOCK]
        if other[_TX_INDEX] != row[_TX_INDEX]:
            return other[_TX_INDEX] > row[_TX_INDEX]
        return other[_POS] >= row[_POS]
    if other[_TS] != row[_TS]:
        return other[_TS] > row[_TS]
    return other[_POS] >= row[_POS]


@_compiled
def _apply(s: Any, row: Any, gross: Any, payout: Any, is_neg_risk: Any) -> None:
    kind = row[_KIND]
    if kind in (_BUY, _SELL):
        shares = gross[_SHARES] or abs(row[_DS])
        if shares:
            price = _price(gross[_USDC], shares)
            if kind == _BUY:
                _buy(s, price, shares)
            else:
                _sell(s, price, shares)
    elif kind == _SPLIT:
        _buy(s, _HALF, row[_DS])
    elif kind == _MERGE:
        _sell(s, _HALF, -row[_DS])
    elif kind == _REDEEM and payout >= 0:
        is_named = is_neg_risk and row[_AMOUNT] >= 0
        _sell(s, payout, row[_AMOUNT] if is_named else s[0])


@_compiled
def _fold(
    rows: Any, extra: Any, starts: Any, ends: Any, other_starts: Any, other_ends: Any, settlements: Any,
    is_neg_risk: Any, found: Any,
) -> None:  # fmt: skip
    for pair in range(len(starts)):
        s, settlement = found[pair], settlements[pair]
        payout = share_of(_ONE, settlement[0], settlement[1]) if settlement[1] else -1
        other = other_starts[pair]
        for place in range(starts[pair], ends[pair]):
            row = rows[place]
            # A redemption at the CTF takes both outcomes, whichever of them it names.
            while other < other_ends[pair] and not _is_after(rows[other], row):
                if rows[other, _KIND] == _REDEEM and payout >= 0:
                    _sell(s, payout, s[0])
                other += 1
            _apply(s, row, extra[place], payout, is_neg_risk[pair])
        while other < other_ends[pair]:
            if rows[other, _KIND] == _REDEEM and payout >= 0:
                _sell(s, payout, s[0])
            other += 1
