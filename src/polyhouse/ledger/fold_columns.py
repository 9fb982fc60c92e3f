"""The ordered fold over columns: what ``fold.fold_pair`` computes, for millions of pairs at once.

The same rules in the same order as ``fold.Holding``, whose methods the functions here are named after, on integer
arrays and compiled to machine code: some 30 ns a row where the objects take a microsecond. ``Holding`` stays the
reference: it also knows the rules that move basis between tokens, and every property test holds both equal.

Arithmetic is exact in 64 bits as long as no holding, basis or payment exceeds 2**53 micro-units (9 billion dollars);
pairs that do are named in ``Folded.too_large`` and belong to the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numba
import numpy as np

from polyhouse.ledger.columns import ROW, Ints
from polyhouse.ledger.fold import WHOLE_BALANCE, Kind
from polyhouse.ledger.states import SNAPSHOT, STATE, STEP, Folded, Steps

P = ParamSpec("P")
R = TypeVar("R")

SETTLEMENT = ("numerator", "denominator", "ts", "block", "tx_index", "pos")
"""Columns of the settlements, named as the fields of ``Settlement``; a denominator of 0 = not resolved."""

(_HELD, _COST, _EXTERNAL, _REALIZED, _BOUGHT, _BOUGHT_COST, _FEES, _UNTRACKED_SHARES, _UNTRACKED_CASH, _BASIS_OUT,
 _BURNED, _REDEEMED_CASH, _SETTLED_VALUE, _FIRST_TS, _LAST_TS, _REALIZED_TS) = range(len(STATE))  # fmt: skip
_SETTLED, _TAKEN, _CLOCK, _STEPS = range(len(STATE), len(STATE) + 4)
_WORK = len(STATE) + 4
_TS, _BLOCK, _TX_INDEX, _POS, _KIND, _DS, _DU, _FEE, _AMOUNT = range(len(ROW))
_NUMERATOR, _DENOMINATOR, _S_TS, _S_BLOCK, _S_TX_INDEX, _S_POS = range(len(SETTLEMENT))
_BUY, _SELL, _SPLIT, _MERGE, _REDEEM = (int(k) for k in (Kind.BUY, Kind.SELL, Kind.SPLIT, Kind.MERGE, Kind.REDEEM))
_TRANSFER_IN, _TRANSFER_OUT = int(Kind.TRANSFER_IN), int(Kind.TRANSFER_OUT)
_WHOLE = WHOLE_BALANCE
_LARGEST = 1 << 53


def fold_columns(rows: Ints, starts: Ints, ends: Ints, settlements: Ints, boundaries: Sequence[int]) -> Folded:
    """Fold the rows of many (wallet, token) pairs that took part in no conversion or migration.

    Args:
        rows: m × ``columns.ROW``; the rows of a pair stand together, in ledger order.
        starts: place of the first row of each of n pairs.
        ends: place after its last one.
        settlements: n × ``SETTLEMENT``, of the pair's token.
        boundaries: ascending times at which the state is recorded (rows at the boundary itself are included).
    """
    edges = np.asarray(boundaries, dtype=np.int64)
    count = len(starts)
    # Each column in one piece: whoever goes on computing reads columns.
    state = np.empty((count, len(STATE)), dtype=np.int64, order="F")
    snapshots = np.empty((count, len(edges), len(SNAPSHOT)), dtype=np.int64, order="F")
    # One step a row at most, and one for the resolution.
    steps = np.empty((int((ends - starts).sum()) + count, len(STEP)), dtype=np.int64)
    step_counts, too_large = np.empty(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    taken = _fold_pairs(
        np.asfortranarray(rows), starts, ends, settlements, edges, state, snapshots, steps, step_counts, too_large
    )
    places = np.repeat(np.arange(count, dtype=np.int64), step_counts)
    return Folded(state, snapshots, Steps(places, steps[:taken]), np.flatnonzero(too_large))


def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


@_compiled
def share_of(total: Any, part: Any, whole: Any) -> Any:
    """``total * part // whole`` exactly, for 0 <= part <= whole: the product may leave 64 bits, its remainder not."""
    negative = total < 0
    amount = -total if negative else total
    quotient = np.int64(np.float64(amount) * np.float64(part) / np.float64(whole))
    remainder = amount * part - quotient * whole
    while remainder < 0:
        quotient -= 1
        remainder += whole
    while remainder >= whole:
        quotient += 1
        remainder -= whole
    if negative:
        return -quotient - 1 if remainder else -quotient
    return quotient


@_compiled
def _value(shares: Any, settlement: Any) -> Any:
    return share_of(shares, settlement[_NUMERATOR], settlement[_DENOMINATOR])


@_compiled
def _precedes(settlement: Any, row: Any) -> Any:
    if row[_BLOCK] and settlement[_S_BLOCK]:
        if settlement[_S_BLOCK] != row[_BLOCK]:
            return settlement[_S_BLOCK] < row[_BLOCK]
        if settlement[_S_TX_INDEX] != row[_TX_INDEX]:
            return settlement[_S_TX_INDEX] < row[_TX_INDEX]
        return settlement[_S_POS] < row[_POS]
    return settlement[_S_TS] < row[_TS]


@_compiled
def _book(s: Any, amount: Any, ts: Any) -> None:
    s[_REALIZED] += amount
    s[_REALIZED_TS] = ts


@_compiled
def _advance(s: Any, ts: Any, edges: Any, snapshots: Any) -> None:
    while s[_TAKEN] < len(edges) and edges[s[_TAKEN]] < ts:
        taken = snapshots[s[_TAKEN]]
        taken[0], taken[1], taken[2], taken[3] = s[_HELD], s[_COST], s[_REALIZED], s[_BOUGHT_COST]
        s[_TAKEN] += 1


@_compiled
def _remember(s: Any, steps: Any) -> None:
    held = 0 if s[_SETTLED] else s[_HELD]
    if s[_STEPS]:
        last = steps[s[_STEPS] - 1]
        if last[1] == held and last[2] == s[_COST] and last[3] == s[_REALIZED]:
            return
    elif not (held or s[_COST] or s[_REALIZED]):
        return
    step = steps[s[_STEPS]]
    step[0], step[1], step[2], step[3] = s[_CLOCK], held, s[_COST], s[_REALIZED]
    s[_STEPS] += 1


@_compiled
def _tick(s: Any, ts: Any, steps: Any) -> None:
    if ts > s[_CLOCK]:
        _remember(s, steps)
        s[_CLOCK] = ts


@_compiled
def _settle(s: Any, settlement: Any, edges: Any, snapshots: Any, steps: Any) -> None:
    _advance(s, settlement[_S_TS], edges, snapshots)
    _tick(s, settlement[_S_TS], steps)
    s[_SETTLED] = 1
    if s[_HELD]:
        _book(s, _value(s[_HELD], settlement) - s[_COST], settlement[_S_TS])
    s[_COST] = 0


@_compiled
def _inflow(s: Any, settlement: Any, shares: Any, cost: Any, ts: Any) -> None:
    s[_BOUGHT] += shares
    s[_BOUGHT_COST] += cost
    if s[_SETTLED]:
        gained = _value(s[_HELD] + shares, settlement) - _value(s[_HELD], settlement)
        s[_HELD] += shares
        _book(s, gained - cost, ts)
    elif shares:
        s[_HELD] += shares
        s[_COST] += cost
    else:
        _book(s, -cost, ts)


@_compiled
def _take(s: Any, settlement: Any, shares: Any) -> tuple[Any, Any]:
    tracked = min(shares, s[_HELD] - s[_BURNED])
    basis = 0
    if s[_SETTLED]:
        basis = _value(s[_HELD], settlement) - _value(s[_HELD] - tracked, settlement)
    elif tracked:
        basis = s[_COST] if tracked == s[_HELD] else share_of(s[_COST], tracked, s[_HELD])
        s[_COST] -= basis
    s[_HELD] -= tracked
    from_external = min(shares - tracked, s[_EXTERNAL])
    s[_EXTERNAL] -= from_external
    s[_UNTRACKED_SHARES] += shares - tracked - from_external
    return tracked, basis


@_compiled
def _outflow(s: Any, settlement: Any, shares: Any, proceeds: Any, ts: Any) -> None:
    if not shares:
        _book(s, proceeds, ts)
        return
    tracked, basis = _take(s, settlement, shares)
    matched = proceeds if tracked == shares else share_of(proceeds, tracked, shares)
    s[_UNTRACKED_CASH] += proceeds - matched
    if tracked:
        _book(s, matched - basis, ts)


@_compiled
def _redeem(s: Any, shares: Any, cash: Any) -> None:
    s[_REDEEMED_CASH] += cash
    if shares == _WHOLE:
        s[_BURNED] = s[_HELD]
        s[_EXTERNAL] = 0
        return
    tracked = min(shares, s[_HELD] - s[_BURNED])
    s[_BURNED] += tracked
    s[_EXTERNAL] -= min(shares - tracked, s[_EXTERNAL])


@_compiled
def _apply(s: Any, row: Any, settlement: Any, edges: Any, snapshots: Any, steps: Any) -> None:
    ts, kind, ds, du = row[_TS], row[_KIND], row[_DS], row[_DU]
    if not s[_SETTLED] and settlement[_DENOMINATOR] and _precedes(settlement, row):
        _settle(s, settlement, edges, snapshots, steps)
    _advance(s, ts, edges, snapshots)
    _tick(s, ts, steps)
    if not s[_FIRST_TS]:
        s[_FIRST_TS] = ts
    s[_LAST_TS] = ts
    s[_FEES] += row[_FEE]
    if kind in (_BUY, _SPLIT):
        _inflow(s, settlement, ds, -du, ts)
    elif kind in (_SELL, _MERGE):
        _outflow(s, settlement, -ds, du, ts)
    elif kind == _REDEEM:
        _redeem(s, row[_AMOUNT], du)
    elif kind == _TRANSFER_IN:
        s[_EXTERNAL] += ds
    elif kind == _TRANSFER_OUT:
        basis = _take(s, settlement, -ds)[1]
        s[_BASIS_OUT] += basis


@_compiled
def _leaves_exact_range(s: Any, row: Any) -> Any:
    return abs(s[_HELD]) > _LARGEST or abs(s[_COST]) > _LARGEST or abs(row[_DS]) > _LARGEST or abs(row[_DU]) > _LARGEST


@_compiled
def _fold_pairs(
    rows: Any, starts: Any, ends: Any, settlements: Any, edges: Any, state: Any, snapshots: Any, steps: Any,
    step_counts: Any, too_large: Any,
) -> Any:  # fmt: skip
    """Fold pair by pair into ``state``, ``snapshots`` and ``steps``; return how many steps there are."""
    s, taken = np.zeros(_WORK, dtype=np.int64), np.zeros((len(edges), len(SNAPSHOT)), dtype=np.int64)
    free = 0
    for pair in range(len(starts)):
        s[:] = 0
        taken[:] = 0
        settlement, passed = settlements[pair], steps[free:]
        for place in range(starts[pair], ends[pair]):
            row = rows[place]
            if _leaves_exact_range(s, row):
                too_large[pair] = True
                break
            _apply(s, row, settlement, edges, taken, passed)
        if settlement[_DENOMINATOR]:
            if not s[_SETTLED]:
                _settle(s, settlement, edges, taken, passed)
            s[_SETTLED_VALUE] = _value(s[_HELD], settlement)
        _remember(s, passed)
        if len(edges):
            _advance(s, edges[-1] + 1, edges, taken)
        for column in range(len(STATE)):
            state[pair, column] = s[column]
        for edge in range(len(edges)):
            for column in range(len(SNAPSHOT)):
                snapshots[pair, edge, column] = taken[edge, column]
        step_counts[pair] = s[_STEPS]
        free += s[_STEPS]
    return free
