"""What folded pairs are worth: marks, unrealised PnL and status (accounting §§3.4, 3.5), on columns of exact integers.

Windows are differences of cumulative values (§3.8): every column that has a second axis holds the value of the whole
life first and then that of each window, newest window first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.day_series import MICRO, NO_MARK
from polyhouse.ledger.states import STATE, Folded

Flags = NDArray[np.bool_]

OPEN, SETTLED, CLOSED = 1, 2, 3
"""Numbers of ``positions.status``."""

(HELD, COST, EXTERNAL, REALIZED, BOUGHT, BOUGHT_COST, FEES, UNTRACKED_SHARES, UNTRACKED_CASH, BASIS_OUT,
 BURNED, REDEEMED_CASH, SETTLED_VALUE, FIRST_TS, LAST_TS, REALIZED_TS) = range(len(STATE))  # fmt: skip
_HELD_AT, _COST_AT, _REALIZED_AT, _BOUGHT_AT = range(4)


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of k tokens.

    Attributes:
        condition: place of the condition's name among all names of conditions and neg-risk markets, which ascend.
        market: the same of the neg-risk market; −1 = none.
        category: place of the category's name among the category names, which ascend.
        outcome: 0 or 1.
        settlement: k × ``fold_columns.SETTLEMENT``; a denominator of 0 = not resolved.
        marks: k × (1 + windows): price_e6 of now, then at the start of each window, newest first; ``NO_MARK`` = none.
    """

    condition: Ints
    market: Ints
    category: Ints
    outcome: Ints
    settlement: Ints
    marks: Ints

    def of(self, places: Ints) -> TokenFacts:
        """Those of the tokens at these places, one row each."""
        return TokenFacts(
            self.condition[places], self.market[places], self.category[places], self.outcome[places],
            self.settlement[places], np.asfortranarray(self.marks[places]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Valued:
    """Values of n pairs, in micro-USDC and micro-shares.

    Attributes:
        state: n × ``states.STATE``.
        shares: tracked shares still held (settled ones until redeemed).
        is_resolved: whether the token is.
        status: ``OPEN``, ``SETTLED`` or ``CLOSED``.
        realized: n × (1 + windows).
        bought_cost: the same.
        unrealized: the same; 0 where ``is_unmarked``.
        is_unmarked: the same: shares were open that had no mark, at the end of the window or at its start.
    """

    state: Ints
    shares: Ints
    is_resolved: Flags
    status: Ints
    realized: Ints
    bought_cost: Ints
    unrealized: Ints
    is_unmarked: Flags


def worth(shares: Ints, price: Ints) -> Ints:
    """``floor(shares · price / 10⁶)``, exact although the product may leave 64 bits."""
    whole, part = np.divmod(price, MICRO)
    lots, rest = np.divmod(shares, MICRO)
    return cast("Ints", shares * whole + lots * part + rest * part // MICRO)


def value_pairs(folded: Folded, tokens: TokenFacts, boundaries: Ints) -> Valued:
    """Value folded pairs.

    Args:
        folded: n pairs; its snapshots stand at the boundaries, ascending.
        tokens: of each pair's token, n rows.
        boundaries: start of each window, newest first.
    """
    state, windows = folded.state, len(boundaries)
    count = len(state)
    resolved_at = np.where(tokens.settlement[:, 1] > 0, tokens.settlement[:, 2], np.iinfo(np.int64).max)
    is_resolved = tokens.settlement[:, 1] > 0
    shares = state[:, HELD] - state[:, BURNED]
    is_open = ~is_resolved & (shares > 0)
    is_settled = is_resolved & ((shares > 0) | (state[:, EXTERNAL] > 0))
    values = [np.empty((count, 1 + windows), dtype=np.int64, order="F") for _ in range(3)]
    realized, bought_cost, unrealized = values
    is_unmarked = np.empty((count, 1 + windows), dtype=bool, order="F")
    realized[:, 0], bought_cost[:, 0] = state[:, REALIZED], state[:, BOUGHT_COST]
    unrealized[:, 0], is_unmarked[:, 0] = _unrealized(state[:, HELD], state[:, COST], tokens.marks[:, 0], is_resolved)
    for window in range(1, windows + 1):
        then = folded.snapshots[:, windows - window]
        realized[:, window] = realized[:, 0] - then[:, _REALIZED_AT]
        bought_cost[:, window] = bought_cost[:, 0] - then[:, _BOUGHT_AT]
        before, is_unknown = _unrealized(
            then[:, _HELD_AT], then[:, _COST_AT], tokens.marks[:, window], resolved_at <= boundaries[window - 1]
        )
        is_unmarked[:, window] = is_unmarked[:, 0] | is_unknown
        unrealized[:, window] = unrealized[:, 0] - before
        unrealized[is_unmarked[:, window], window] = 0
    status = np.where(is_open, OPEN, np.where(is_settled, SETTLED, CLOSED))
    return Valued(state, shares, is_resolved, status, realized, bought_cost, unrealized, is_unmarked)


def _unrealized(held: Ints, cost: Ints, mark: Ints, is_resolved: Flags) -> tuple[Ints, Flags]:
    """Value of the open shares less their basis, and where it is unknown (0 there)."""
    amount = np.zeros(len(held), dtype=np.int64)
    open_shares = (held != 0) & ~is_resolved
    is_unknown = open_shares & (mark == NO_MARK)
    known = np.flatnonzero(open_shares & ~is_unknown)
    amount[known] = worth(held[known], mark[known]) - cost[known]
    return amount, is_unknown
