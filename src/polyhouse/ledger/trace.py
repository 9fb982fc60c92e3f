"""What every ledger row changed: the fold of a wallet with its state before and after each of its steps.

The bookings are those of ``fold``: a traced holding only remembers. What the rows of a position changed adds up to the
position, because each state starts where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, cast

from polyhouse.ledger.fold import Holding, LedgerRow, Settlement, fold_wallet


class State(NamedTuple):
    """A (wallet, token) between two steps (accounting §3.2): micro-shares and micro-USDC.

    ``shares``: tracked shares that can still leave; ``settled_value``: payout value of the settled quantity, 0 before
    the resolution.
    """

    shares: int = 0
    cost: int = 0
    external_shares: int = 0
    realized: int = 0
    bought: int = 0
    bought_cost: int = 0
    untracked_shares: int = 0
    untracked_cash: int = 0
    basis_out: int = 0
    settled_shares: int = 0
    settled_value: int = 0
    redeemed_cash: int = 0


class Change(NamedTuple):
    """One step of a position.

    Attributes:
        row: the ledger row, None for the resolution of the token.
        at: when it counts, Unix seconds: its time, but never before that of an earlier step.
        before: the state it met.
        after: the state it left.
    """

    row: LedgerRow | None
    at: int
    before: State
    after: State

    def of(self, name: str) -> int:
        """By how much it changed one field of the state."""
        return int(getattr(self.after, name)) - int(getattr(self.before, name))


class TracedHolding(Holding):
    """A holding that remembers what each step changed; complete after ``finish``."""

    __slots__ = ("_open", "changes")

    def __init__(self, settlement: Settlement | None = None, boundaries: Sequence[int] = ()) -> None:
        super().__init__(settlement, boundaries)
        self.changes: list[Change] = []
        self._open: tuple[LedgerRow, int, State] | None = None

    def observe(self, row: LedgerRow) -> None:
        """End the step of the row before, settle if it is time, and begin that of ``row``."""
        self._end_step()
        super().observe(row)
        self._open = (row, self._clock, self._state())

    def settle(self) -> None:
        """Remember the resolution as a step of its own."""
        self._end_step()
        before = self._state()
        super().settle()
        self.changes.append(Change(None, self._clock, before, self._state()))

    def finish(self) -> None:
        """Apply what happened after the last row."""
        self._end_step()
        super().finish()

    def _end_step(self) -> None:
        if self._open is not None:
            row, at, before = self._open
            self.changes.append(Change(row, at, before, self._state()))
            self._open = None

    def _state(self) -> State:
        return State(
            self.available, self.cost, self.external, self.realized, self.bought, self.bought_cost,
            self.untracked_shares, self.untracked_cash, self.basis_out, self.held if self.settled else 0,
            self.settled_value, self.redeemed_cash,
        )  # fmt: skip


def trace(rows: Iterable[LedgerRow], settlements: Mapping[bytes, Settlement]) -> dict[bytes, list[Change]]:
    """Fold rows of one wallet and return the steps of every token, in order.

    The steps with a row stand in the order in which that token's rows were given, one for each.

    Args:
        rows: in ledger order; with a row of a conversion or migration all rows of the tokens it joins.
        settlements: resolutions by token.
    """
    holdings = fold_wallet(rows, settlements, method=TracedHolding)
    return {token: cast("TracedHolding", holding).changes for token, holding in holdings.items()}
