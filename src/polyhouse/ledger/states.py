"""What folding many pairs results in, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from polyhouse.ledger.columns import Ints
from polyhouse.ledger.fold import Holding

STATE = (
    "held", "cost", "external", "realized", "bought", "bought_cost", "fees", "untracked_shares", "untracked_cash",
    "basis_out", "burned", "redeemed_cash", "settled_value", "first_ts", "last_ts", "realized_ts",
)  # fmt: skip
"""Columns of ``Folded.state``, named as the attributes of ``Holding``."""

SNAPSHOT = ("held", "cost", "realized", "bought_cost")
"""Last axis of ``Folded.snapshots``: the fields of ``moments.Snapshot``."""

STEP = ("ts", "held", "cost", "realized")
"""Columns of ``Steps.values``: the fields of ``moments.Step``."""


def _none() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of many pairs: ``places`` names the pair of each row of ``values`` (k × ``STEP``).

    The steps of a pair stand together, in order of time; pairs come in any order.
    """

    places: Ints
    values: Ints

    @classmethod
    def of(cls, holdings: Sequence[Holding], places: Sequence[int]) -> Steps:
        """The steps of folded objects that have these places."""
        values = [step for holding in holdings for step in holding.steps]
        counts = [len(holding.steps) for holding in holdings]
        matrix = np.array(values, dtype=np.int64).reshape(len(values), len(STEP))
        return cls(np.repeat(np.asarray(places, dtype=np.int64), counts), matrix)

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """Several sets of steps, ordered by place."""
        places = np.concatenate([part.places for part in parts])
        values = np.concatenate([part.values for part in parts])
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places, kind="stable")
            places, values = places[order], values[order]
        return cls(places, values)

    def without(self, places: Ints) -> Steps:
        """All but those of some pairs."""
        keep = ~np.isin(self.places, places)
        return Steps(self.places[keep], self.values[keep])


def _no_steps() -> Steps:
    return Steps(np.zeros(0, np.int64), np.zeros((0, len(STEP)), np.int64))


@dataclass(frozen=True, slots=True)
class Folded:
    """States of n pairs.

    Attributes:
        state: n × ``STATE``.
        snapshots: n × boundaries (ascending) × ``SNAPSHOT``.
        steps: of all of them.
        too_large: places of pairs whose amounts leave the exact range of 64 bits; their rows here mean nothing.
    """

    state: Ints
    snapshots: Ints
    steps: Steps = field(default_factory=_no_steps)
    too_large: Ints = field(default_factory=_none)

    def of(self, places: Ints) -> Folded:
        """Some of them, without steps."""
        if len(places) == len(self.state):
            return self
        return Folded(np.asfortranarray(self.state[places]), self.snapshots[places])

    def replaced(self, holdings: Mapping[int, Holding]) -> Folded:
        """The same with the states of some places taken from folded objects."""
        if not holdings:
            return self
        for place, holding in holdings.items():
            self.state[place] = _state(holding)
            self.snapshots[place] = np.array(holding.snapshots, dtype=np.int64).reshape(-1, len(SNAPSHOT))
        places = list(holdings)
        others = self.steps.without(np.array(places))
        return replace(self, steps=Steps.joined([others, Steps.of(list(holdings.values()), places)]))


def folded_from(holdings: Sequence[Holding], boundaries: int) -> Folded:
    """The states of folded objects."""
    state = np.array([_state(holding) for holding in holdings], dtype=np.int64).reshape(len(holdings), len(STATE))
    shape = (len(holdings), boundaries, len(SNAPSHOT))
    snapshots = np.array([holding.snapshots for holding in holdings], dtype=np.int64).reshape(shape)
    return Folded(state, snapshots, Steps.of(holdings, range(len(holdings))))


def _state(holding: Holding) -> list[int]:
    return [getattr(holding, name) for name in STATE]
