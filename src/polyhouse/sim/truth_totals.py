"""Positions, units and totals of the truth: sums over what was folded (accounting §3.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from polyhouse.sim.model import SimMarket
from polyhouse.sim.truth_state import Counters, Holding

FLAT_BELOW = 10_000
"""Results closer to zero than this many micro-USDC are FLAT."""
_NOTHING = Counters(0, 0, 0, 0, 0, 0)

Result = Literal["WIN", "LOSS", "FLAT"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How things stood at the beginning of a window: counters and unrealised value of each (wallet, token), income of
    each wallet. Everything after ``boundary`` is inside the window.
    """

    boundary: int
    positions: Mapping[tuple[str, str], tuple[Counters, int | None]]
    income: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PositionTruth:
    """One (wallet, token); names as in accounting §§3.2 and 3.5."""

    condition: str
    outcome: int
    unit: str
    category: str
    shares: int
    external_shares: int
    cost: int
    realized: int
    unrealized: int | None
    fees: int
    bought: int
    bought_cost: int
    untracked_shares: int
    untracked_cash: int
    basis_out: int
    settled_shares: int
    settled_value: int
    redeemed_cash: int
    status: Literal["OPEN", "SETTLED", "CLOSED"]
    realized_ts: int
    first_fill_ts: int
    last_fill_ts: int
    counters: Counters

    @classmethod
    def of(
        cls, holding: Holding, mark: int | None, market: SimMarket, unit: str, category: str, outcome: int
    ) -> PositionTruth:
        """The published form of a holding."""
        resolved = holding.payout is not None
        status: Literal["OPEN", "SETTLED", "CLOSED"] = "CLOSED"
        if not resolved and holding.tracked:
            status = "OPEN"
        elif resolved and (holding.shares or holding.external):
            status = "SETTLED"
        return cls(
            condition=market.condition_id,
            outcome=outcome,
            unit=unit,
            category=category,
            shares=holding.shares,
            external_shares=holding.external,
            cost=holding.cost,
            realized=holding.realized,
            unrealized=holding.unrealized(mark),
            fees=holding.fees,
            bought=holding.bought,
            bought_cost=holding.bought_cost,
            untracked_shares=holding.untracked_shares,
            untracked_cash=holding.untracked_cash,
            basis_out=holding.basis_out,
            settled_shares=holding.tracked if resolved else 0,
            settled_value=holding.settled_value,
            redeemed_cash=holding.redeemed_cash,
            status=status,
            realized_ts=holding.realized_ts,
            first_fill_ts=holding.first_fill_ts,
            last_fill_ts=holding.last_fill_ts,
            counters=holding.counters(),
        )


@dataclass(slots=True)
class UnitTruth:
    """One (wallet, condition or neg-risk market). ``result`` is None and ``closed_ts`` 0 while it is open."""

    category: str
    conditions: tuple[str, ...] = ()
    realized: int = 0
    unrealized: int | None = 0
    cost: int = 0
    fees: int = 0
    bought_cost: int = 0
    redeemed_cash: int = 0
    untracked_cash: int = 0
    is_open: bool = False
    result: Result | None = None
    closed_ts: int = 0


@dataclass(slots=True)
class Totals:
    """Sums of a wallet, or of one of its categories, over its life or a window (accounting §3.5).

    ``unrealized`` is None if an open position has no mark; ``unrealized_marked`` sums the others and ``unmarked``
    counts the missing ones. Income belongs to the whole wallet only. First and last trade are those of the whole life.
    """

    realized: int = 0
    unrealized_marked: int = 0
    unmarked: int = 0
    fees: int = 0
    income: int = 0
    untracked_cash: int = 0
    redeemed_cash: int = 0
    volume: int = 0
    trades: int = 0
    conditions: set[str] = field(default_factory=set)
    wins: int = 0
    losses: int = 0
    flats: int = 0
    open_units: int = 0
    gains: int = 0
    losses_abs: int = 0
    bought_cost: int = 0
    first_trade_ts: int = 0
    last_trade_ts: int = 0

    @property
    def markets(self) -> int:
        """Conditions traded."""
        return len(self.conditions)

    @property
    def unrealized(self) -> int | None:
        """Unrealised PnL, None if it is not wholly known."""
        return None if self.unmarked else self.unrealized_marked

    @property
    def position_pnl(self) -> int | None:
        """Realised and unrealised."""
        return None if self.unmarked else self.realized + self.unrealized_marked

    @property
    def gross_of_fees(self) -> int | None:
        """Position PnL before fees."""
        pnl = self.position_pnl
        return None if pnl is None else pnl + self.fees

    @property
    def economic_pnl(self) -> int | None:
        """Position PnL and income."""
        pnl = self.position_pnl
        return None if pnl is None else pnl + self.income


def results(positions: Mapping[tuple[str, str], PositionTruth]) -> dict[tuple[str, str], UnitTruth]:
    """Units and their results."""
    members: defaultdict[tuple[str, str], list[PositionTruth]] = defaultdict(list)
    for (wallet, _), position in positions.items():
        members[wallet, position.unit].append(position)
    return {key: _unit(rows) for key, rows in members.items()}


def _unit(rows: list[PositionTruth]) -> UnitTruth:
    missing = any(row.unrealized is None for row in rows)
    unit = UnitTruth(
        category=rows[0].category,
        conditions=tuple(sorted({row.condition for row in rows})),
        realized=sum(row.realized for row in rows),
        unrealized=None if missing else sum(row.unrealized or 0 for row in rows),
        cost=sum(row.cost for row in rows),
        fees=sum(row.fees for row in rows),
        bought_cost=sum(row.bought_cost for row in rows),
        redeemed_cash=sum(row.redeemed_cash for row in rows),
        untracked_cash=sum(row.untracked_cash for row in rows),
        is_open=any(row.status == "OPEN" for row in rows),
    )
    if not unit.is_open:
        unit.closed_ts = max(row.realized_ts for row in rows)
        if unit.realized >= FLAT_BELOW:
            unit.result = "WIN"
        elif unit.realized <= -FLAT_BELOW:
            unit.result = "LOSS"
        else:
            unit.result = "FLAT"
    return unit


def totals_of(
    positions: Mapping[tuple[str, str], PositionTruth],
    units: Mapping[tuple[str, str], UnitTruth],
    snapshot: Snapshot,
) -> dict[tuple[str, str], Totals]:
    """Totals per (wallet, category) and per (wallet, ``overall``) of what happened after a snapshot."""
    found: defaultdict[tuple[str, str], Totals] = defaultdict(Totals)
    for key, position in positions.items():
        before, unrealized_before = snapshot.positions.get(key, (_NOTHING, 0))
        for category in (position.category, "overall"):
            totals = found[key[0], category]
            _add_position(totals, position, before, unrealized_before)
            if position.last_fill_ts > snapshot.boundary and position.counters.trades:
                totals.conditions.add(position.condition)
    for (wallet, _), unit in units.items():
        for category in (unit.category, "overall"):
            _add_unit(found[wallet, category], unit, snapshot.boundary)
    return dict(found)


def _add_position(totals: Totals, position: PositionTruth, before: Counters, unrealized_before: int | None) -> None:
    now = position.counters
    totals.realized += now.realized - before.realized
    totals.fees += now.fees - before.fees
    totals.bought_cost += now.bought_cost - before.bought_cost
    totals.redeemed_cash += now.redeemed_cash - before.redeemed_cash
    totals.volume += now.volume - before.volume
    totals.trades += now.trades - before.trades
    totals.untracked_cash += position.untracked_cash
    if now.trades:
        totals.first_trade_ts = min(totals.first_trade_ts or position.first_fill_ts, position.first_fill_ts)
        totals.last_trade_ts = max(totals.last_trade_ts, position.last_fill_ts)
    if position.unrealized is None or unrealized_before is None:
        totals.unmarked += 1
    else:
        totals.unrealized_marked += position.unrealized - unrealized_before


def _add_unit(totals: Totals, unit: UnitTruth, boundary: int) -> None:
    if unit.is_open:
        totals.open_units += 1
        return
    if unit.closed_ts <= boundary:
        return
    totals.wins += unit.result == "WIN"
    totals.losses += unit.result == "LOSS"
    totals.flats += unit.result == "FLAT"
    totals.gains += max(unit.realized, 0)
    totals.losses_abs += max(-unit.realized, 0)
