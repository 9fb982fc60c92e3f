"""What folding many pairs results in, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.fold import Holding

STATE = (
    "held", "cost", "external", "realized", "bought", "bought_cost", "fees", "untracked_shares", "untracked_cash",
    "basis_out", "burned", "redeemed_cash", "settled_value", "first_ts", "last_ts", "realized_ts",
)  # fmt: skip
"""Columns of ``Folded.state``, named as the attributes of ``Holding``."""

SNAPSHOT = ("held", "cost", "realized", "bought_cost")
"""Last axis of ``Folded.snapshots``: the fields of ``fold.Snapshot``."""


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Folded:
    """States of n pairs.

    Attributes:
        state: n × ``STATE``.
        snapshots: n × boundaries (ascending) × ``SNAPSHOT``.
        too_large: places of pairs whose amounts leave the exact range of 64 bits; their rows here mean nothing.
    """

    state: Ints
    snapshots: Ints
    too_large: Ints = field(default_factory=_none)

    def put(self, place: int, holding: Holding) -> None:
        """Replace one pair's state."""
        self.state[place] = _state(holding)
        self.snapshots[place] = holding.snapshots


def folded_from(holdings: Sequence[Holding], boundaries: int) -> Folded:
    """The states of folded objects."""
    state = np.array([_state(holding) for holding in holdings], dtype=np.int64).reshape(len(holdings), len(STATE))
    shape = (len(holdings), boundaries, len(SNAPSHOT))
    return Folded(state, np.array([holding.snapshots for holding in holdings], dtype=np.int64).reshape(shape))


def _state(holding: Holding) -> list[int]:
    return [getattr(holding, name) for name in STATE]
