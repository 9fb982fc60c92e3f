"""The ordered fold: realised PnL, basis and holdings of a wallet from its ledger rows, in log order.

Average cost is a recurrence, so the realised/unrealised split, shortfalls, external shares and the basis that a
neg-risk conversion moves depend on order. Everything here is exact integer arithmetic on micro-units; the rules and
their numbers are accounting.md §§2.2–2.5 and 3.2–3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import NamedTuple

from polyhouse.ledger.moments import NOTHING, Snapshot, Step


class Kind(IntEnum):
    """Kinds of ledger rows, numbered as in the warehouse."""

    BUY = 1
    SELL = 2
    SPLIT = 3
    MERGE = 4
    REDEEM = 5
    CONVERT = 6
    TRANSFER_IN = 7
    TRANSFER_OUT = 8
    MIGRATE = 9


_NEVER = 1 << 62

WHOLE_BALANCE = -1
"""``LedgerRow.amount`` of a redemption that burns whatever the wallet holds."""


class LedgerRow(NamedTuple):
    """One signed change of a (wallet, token), in the order of the ledger.

    ``ds``/``du``: signed micro-shares and micro-USDC. ``amount``: CONVERT: burned per NO leg; REDEEM: shares burned or
    ``WHOLE_BALANCE``. ``convert_cash``: collateral paid by the whole conversion. ``event``: equal for all rows of one
    conversion or migration.
    """

    token: bytes
    ts: int
    block: int
    tx_index: int
    pos: int
    kind: int
    ds: int
    du: int
    fee: int
    amount: int
    convert_cash: int
    event: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """When and how a token's condition was resolved: one share pays ``numerator / denominator``."""

    numerator: int
    denominator: int
    ts: int
    block: int = 0
    tx_index: int = 0
    pos: int = 0

    def precedes(self, row: LedgerRow) -> bool:
        """True if the resolution happened before ``row``: by log order where both have one, else by time."""
        if row.block and self.block:
            return (self.block, self.tx_index, self.pos) < (row.block, row.tx_index, row.pos)
        return self.ts < row.ts


def allocate(total: int, parts: int) -> list[int]:
    """Split an amount into equal integers, the remainder to the lowest indices (accounting §2.2)."""
    quotient, remainder = divmod(total, parts)
    return [quotient + (i < remainder) for i in range(parts)]


class Holding:
    """State of one (wallet, token) (accounting §3.2). All amounts are micro-units.

    Attributes:
        held: tracked shares; once settled, the settled quantity (redemptions are counted in ``burned``).
        cost: basis of ``held``; 0 once settled.
        external: held shares whose arrival was not seen; they never earn PnL.
        realized_ts: time of the last booking, 0 if none.
        steps: its states so far, one per second in which it changed; complete after ``finish``.
    """

    __slots__ = (
        "_boundaries",
        "_clock",
        "_next_boundary",
        "basis_out",
        "bought",
        "bought_cost",
        "burned",
        "cost",
        "external",
        "fees",
        "first_ts",
        "held",
        "last_ts",
        "realized",
        "realized_ts",
        "redeemed_cash",
        "settled",
        "settlement",
        "snapshots",
        "steps",
        "untracked_cash",
        "untracked_shares",
    )  # fmt: skip

    def __init__(self, settlement: Settlement | None = None, boundaries: Sequence[int] = ()) -> None:
        self.settlement = settlement
        self.settled = False
        self._boundaries = boundaries
        self._next_boundary = boundaries[0] if boundaries else _NEVER
        self.snapshots: list[Snapshot] = []
        self.steps: list[Step] = []
        self._clock = 0
        self.held = self.cost = self.external = self.burned = 0
        self.realized = self.fees = self.bought = self.bought_cost = 0
        self.untracked_shares = self.untracked_cash = self.basis_out = self.redeemed_cash = 0
        self.first_ts = self.last_ts = self.realized_ts = 0

    @property
    def available(self) -> int:
        """Tracked shares that can still leave."""
        return self.held - self.burned

    @property
    def settled_value(self) -> int:
        """Payout value of the settled quantity; 0 before settlement."""
        return self._value(self.held) if self.settled else 0

    def _value(self, shares: int) -> int:
        settlement = self.settlement
        assert settlement is not None
        return shares * settlement.numerator // settlement.denominator

    def _book(self, amount: int, ts: int) -> None:
        self.realized += amount
        self.realized_ts = ts

    def advance(self, ts: int) -> None:
        """Take the snapshots of all boundaries that lie before ``ts``."""
        while self._next_boundary < ts:
            self.snapshots.append(Snapshot(self.held, self.cost, self.realized, self.bought_cost))
            taken = len(self.snapshots)
            self._next_boundary = self._boundaries[taken] if taken < len(self._boundaries) else _NEVER

    def _tick(self, ts: int) -> None:
        """Let time go on to ``ts``; it never goes back."""
        if ts > self._clock:
            self._remember()
            self._clock = ts

    def _remember(self) -> None:
        step = Step(self._clock, 0 if self.settled else self.held, self.cost, self.realized)
        last = self.steps[-1] if self.steps else NOTHING
        if step[1:] != last[1:]:
            self.steps.append(step)

    def settle(self) -> None:
        """Realise the resolution: every tracked share becomes its payout value (accounting §2.4)."""
        settlement = self.settlement
        assert settlement is not None
        self.advance(settlement.ts)
        self._tick(settlement.ts)
        self.settled = True
        if self.held:
            self._book(self._value(self.held) - self.cost, settlement.ts)
        self.cost = 0

    def observe(self, row: LedgerRow) -> None:
        """Bring the state to the moment just before ``row``."""
        if not self.settled and self.settlement is not None and self.settlement.precedes(row):
            self.settle()
        if row.ts > self._next_boundary:
            self.advance(row.ts)
        self._tick(row.ts)
        self.first_ts = self.first_ts or row.ts
        self.last_ts = row.ts
        self.fees += row.fee

    def finish(self) -> None:
        """Apply what happened after the last row: the resolution, the last step and the remaining snapshots."""
        if not self.settled and self.settlement is not None:
            self.settle()
        self._remember()
        if self._boundaries:
            self.advance(self._boundaries[-1] + 1)

    def inflow(self, shares: int, cost: int, ts: int) -> None:
        """Acquire ``shares`` for ``cost``; bookings happen only after settlement or for zero shares."""
        self.bought += shares
        self.bought_cost += cost
        if self.settled:
            gained = self._value(self.held + shares) - self._value(self.held)
            self.held += shares
            self._book(gained - cost, ts)
        elif shares:
            self.held += shares
            self.cost += cost
        else:
            self._book(-cost, ts)

    def carry_in(self, shares: int, basis: int, ts: int) -> None:
        """Receive shares with the basis they had as another token: no purchase (accounting §2.5)."""
        if self.settled:
            self.inflow(shares, basis, ts)
            self.bought -= shares
            self.bought_cost -= basis
        else:
            self.held += shares
            self.cost += basis

    def _basis_of(self, shares: int) -> int:
        """Basis that leaves with tracked, unsettled shares: average cost, and all of it with the last share."""
        return self.cost if shares == self.held else self.cost * shares // self.held

    def take(self, shares: int) -> tuple[int, int, int]:
        """Remove shares, tracked ones first, then external ones; return (tracked, basis leaving, missing).

        The basis of settled shares is their settlement value.
        """
        tracked = min(shares, self.available)
        basis = 0
        if self.settled:
            basis = self._value(self.held) - self._value(self.held - tracked)
        elif tracked:
            basis = self._basis_of(tracked)
            self.cost -= basis
        self.held -= tracked
        from_external = min(shares - tracked, self.external)
        self.external -= from_external
        missing = shares - tracked - from_external
        self.untracked_shares += missing
        return tracked, basis, missing

    def outflow(self, shares: int, proceeds: int, ts: int) -> None:
        """Dispose of ``shares`` for ``proceeds``; shares we never saw arrive earn no PnL (accounting §3.3)."""
        if not shares:
            self._book(proceeds, ts)
            return
        tracked, basis, _ = self.take(shares)
        matched = proceeds if tracked == shares else proceeds * tracked // shares
        self.untracked_cash += proceeds - matched
        if tracked:
            self._book(matched - basis, ts)

    def transfer_out(self, shares: int) -> None:
        """Shares leave by plain transfer: their basis goes with them, no PnL (accounting §2.5)."""
        _, basis, _ = self.take(shares)
        self.basis_out += basis

    def redeem(self, shares: int, cash: int) -> None:
        """Burn settled shares for cash: never PnL (accounting §2.4)."""
        self.redeemed_cash += cash
        if shares == WHOLE_BALANCE:
            self.burned = self.held
            self.external = 0
            return
        tracked = min(shares, self.available)
        self.burned += tracked
        self.external -= min(shares - tracked, self.external)

    def apply(self, row: LedgerRow) -> None:
        """Apply one row that concerns this token alone."""
        self.observe(row)
        kind = row.kind
        if kind in (Kind.BUY, Kind.SPLIT):
            self.inflow(row.ds, -row.du, row.ts)
        elif kind in (Kind.SELL, Kind.MERGE):
            self.outflow(-row.ds, row.du, row.ts)
        elif kind == Kind.REDEEM:
            self.redeem(row.amount, row.du)
        elif kind == Kind.TRANSFER_IN:
            self.external += row.ds
        elif kind == Kind.TRANSFER_OUT:
            self.transfer_out(-row.ds)
        else:
            raise AssertionError(f"ledger row of kind {kind} needs its wallet's other tokens")


def fold_pair(rows: Iterable[LedgerRow], settlement: Settlement | None, boundaries: Sequence[int] = ()) -> Holding:
    """Fold the rows of one (wallet, token) that took part in no conversion or migration.

    Args:
        rows: in ledger order.
        settlement: the token's resolution, None while it has none.
        boundaries: ascending times at which the state is recorded (rows at the boundary itself are included).
    """
    holding = Holding(settlement, boundaries)
    for row in rows:
        holding.apply(row)
    holding.finish()
    return holding


def fold_wallet(
    rows: Iterable[LedgerRow],
    settlements: Mapping[bytes, Settlement],
    boundaries: Sequence[int] = (),
    method: type[Holding] = Holding,
) -> dict[bytes, Holding]:
    """Fold all rows of one wallet together: needed where basis moves between tokens (conversions, migrations).

    ``method`` is how basis leaves with shares: average cost unless a subclass of ``Holding`` says otherwise.
    """
    holdings: dict[bytes, Holding] = {}

    def holding(token: bytes) -> Holding:
        found = holdings.get(token)
        if found is None:
            found = holdings[token] = method(settlements.get(token), boundaries)
        return found

    for event in joined_events(rows):
        first = event[0]
        if first.kind == Kind.CONVERT:
            convert([(holding(row.token), row) for row in event])
        elif first.kind == Kind.MIGRATE:
            migrate([(holding(row.token), row) for row in event])
        else:
            holding(first.token).apply(first)
    for state in holdings.values():
        state.finish()
    return holdings


def joined_events(rows: Iterable[LedgerRow]) -> Iterator[list[LedgerRow]]:
    """Rows one by one, but the legs of one conversion or migration together."""
    for (kind, _), members in groupby(rows, key=lambda row: (row.kind, row.event)):
        if kind in (Kind.CONVERT, Kind.MIGRATE):
            yield list(members)
        else:
            for row in members:
                yield [row]


def convert(legs: Sequence[tuple[Holding, LedgerRow]]) -> None:
    """Burn one NO of each question in the set, credit one YES of each other question plus collateral.

    Basis carries over; nothing is realised unless the collateral exceeds it or no YES leg exists (accounting §2.3).
    Legs arrive in question order.
    """
    for state, row in legs:
        state.observe(row)
    burned = [(state, row) for state, row in legs if row.ds < 0]
    credited = [(state, row) for state, row in legs if row.ds >= 0]
    amount, collateral, ts = legs[0][1].amount, legs[0][1].convert_cash, legs[0][1].ts
    if not amount or not burned:
        return
    taken = [state.take(amount) for state, _ in burned]
    tracked = sum(shares for shares, _, _ in taken)
    basis = sum(cost for _, cost, _ in taken)
    full = len(burned) * amount
    matched = collateral if tracked == full else collateral * tracked // full
    burned[0][0].untracked_cash += collateral - matched
    if not credited:
        for (state, _), (_, cost, _), part in zip(burned, taken, allocate(matched, len(burned)), strict=True):
            state._book(part - cost, ts)  # noqa: SLF001 - one rule over several holdings of this module
        return
    if basis < matched:
        for (state, _), part in zip(burned, allocate(matched - basis, len(burned)), strict=True):
            state._book(part, ts)  # noqa: SLF001 - as above
    live = [state for state, _ in credited if not state.settled] or [state for state, _ in credited]
    costs = dict(zip(map(id, live), allocate(max(basis - matched, 0), len(live)), strict=True))
    for state, row in credited:
        arrived = row.ds if tracked == full else row.ds * tracked // full
        cost = costs.get(id(state), 0)
        if arrived or cost:
            state.inflow(arrived, cost, ts)
        state.external += row.ds - arrived


def migrate(legs: Sequence[tuple[Holding, LedgerRow]]) -> None:
    """Legacy token → Protocol V2 token, one to one: the basis follows, nothing is realised (accounting §2.5)."""
    for state, row in legs:
        state.observe(row)
    source = next(state for state, row in legs if row.ds < 0)
    target = next(state for state, row in legs if row.ds >= 0)
    shares = next(row.ds for _, row in legs if row.ds >= 0)
    tracked, basis, _ = source.take(shares)
    target.carry_in(tracked, basis, legs[0][1].ts)
    target.external += shares - tracked
