"""Units: a wallet's pairs of one condition, or of one neg-risk market in which it converted (accounting §3.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.valuation import (
    COST,
    FEES,
    FIRST_TS,
    LAST_TS,
    OPEN,
    REALIZED_TS,
    REDEEMED_CASH,
    UNTRACKED_CASH,
    Flags,
    Valued,
)

NO_RESULT, WIN, LOSS, FLAT = 0, 1, 2, 3
"""Numbers of ``units.result``."""
CENT = 10_000
"""A result below it is flat (micro-USDC)."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows put together by a key: ``order`` lists them group by group, ``starts`` has each group's first place."""

    order: Ints
    starts: Ints

    @classmethod
    def of(cls, key: Ints, then: Ints | None = None) -> Groups:
        """Groups of equal keys, ascending; inside a group rows are ordered by ``then``, or as they came."""
        order = np.argsort(key, kind="stable") if then is None else np.lexsort((then, key))
        return cls(order, first_places(key[order]))

    def sum(self, values: Ints) -> Ints:
        """Of each group."""
        return np.add.reduceat(values[self.order], self.starts)

    def min(self, values: Ints) -> Ints:
        """Of each group."""
        return np.minimum.reduceat(values[self.order], self.starts)

    def max(self, values: Ints) -> Ints:
        """Of each group."""
        return np.maximum.reduceat(values[self.order], self.starts)

    def sums(self, values: Ints) -> Ints:
        """Of each group and column of a matrix."""
        sums = np.empty((len(self.starts), values.shape[1]), dtype=np.int64, order="F")
        for place in range(values.shape[1]):
            sums[:, place] = self.sum(values[:, place])
        return sums


def first_places(ordered: Ints) -> Ints:
    """Where each run of equal values begins."""
    is_first = np.ones(len(ordered), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(is_first)


@dataclass(frozen=True, slots=True)
class Units:
    """m units, ordered by wallet and name. Amounts are micro-USDC; columns with a second axis are as in ``Valued``.

    Attributes:
        wallet: place of the wallet.
        name: place of the condition or neg-risk market.
        condition_starts: where each unit's conditions begin in ``conditions``, and their number at the end.
        conditions: places of condition names, ascending inside a unit.
        unmarked: how many pairs have an unknown value; ``unrealized`` is 0 there and means nothing.
        result: ``NO_RESULT`` while open, else ``WIN``, ``LOSS`` or ``FLAT``.
        closed_ts: time of the last event that changed what was realised; 0 while open.
    """

    wallet: Ints
    name: Ints
    condition_starts: Ints
    conditions: Ints
    category: Ints
    realized: Ints
    unrealized: Ints
    unmarked: Ints
    bought_cost: Ints
    cost: Ints
    fees: Ints
    untracked_cash: Ints
    redeemed_cash: Ints
    is_open: Flags
    result: Ints
    closed_ts: Ints
    first_ts: Ints
    last_ts: Ints


def sum_units(wallet: Ints, name: Ints, condition: Ints, category: Ints, pairs: Valued) -> Units:
    """Sum pairs to units.

    Args:
        wallet: of each pair, ascending.
        name: place of each pair's unit.
        condition: of each pair.
        category: of each pair.
        pairs: their values.
    """
    key = wallet * (int(name.max(initial=0)) + 1) + name
    groups = Groups.of(key, then=condition if (name != condition).any() else None)
    first = groups.order[groups.starts]
    unmarked = groups.sums(pairs.is_unmarked.astype(np.int64))
    unrealized = groups.sums(pairs.unrealized)
    unrealized[unmarked > 0] = 0
    realized = groups.sums(pairs.realized)
    is_open = groups.max((pairs.status == OPEN).astype(np.int64)) > 0
    result = np.where(realized[:, 0] >= CENT, WIN, np.where(realized[:, 0] <= -CENT, LOSS, FLAT))
    conditions, condition_starts = _conditions(groups, condition)
    return Units(
        wallet=wallet[first], name=name[first], condition_starts=condition_starts, conditions=conditions,
        category=groups.min(category), realized=realized, unrealized=unrealized, unmarked=unmarked,
        bought_cost=groups.sums(pairs.bought_cost), cost=groups.sum(pairs.state[:, COST]),
        fees=groups.sum(pairs.state[:, FEES]), untracked_cash=groups.sum(pairs.state[:, UNTRACKED_CASH]),
        redeemed_cash=groups.sum(pairs.state[:, REDEEMED_CASH]), is_open=is_open,
        result=np.where(is_open, NO_RESULT, result),
        closed_ts=np.where(is_open, 0, groups.max(pairs.state[:, REALIZED_TS])),
        first_ts=groups.min(pairs.state[:, FIRST_TS]), last_ts=groups.max(pairs.state[:, LAST_TS]),
    )  # fmt: skip


def _conditions(groups: Groups, condition: Ints) -> tuple[Ints, Ints]:
    """The conditions of each group, each once, and where those of a group begin."""
    ordered = condition[groups.order]
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    is_new[groups.starts] = True
    before = np.append(0, np.cumsum(is_new))
    return ordered[is_new], np.append(before[groups.starts], before[-1])
