"""What is remembered of a holding on its way: its state at given moments, and every state it passed through."""

from __future__ import annotations

from typing import NamedTuple


class Snapshot(NamedTuple):
    """State of a holding at one moment: held shares, their basis, realised PnL and money spent so far."""

    held: int
    cost: int
    realized: int
    bought_cost: int


class Step(NamedTuple):
    """State of a holding from the end of second ``ts`` until its next step (micro-units).

    Seconds in which nothing of it changed make no step. ``held`` and ``cost`` are 0 once the token is settled: then
    nothing is open any more. Seconds never run backwards: a row whose time lies before that of an earlier row counts
    at the latter's, as for snapshots.
    """

    ts: int
    held: int
    cost: int
    realized: int


NOTHING = Step(0, 0, 0, 0)
"""Before the first step."""
