"""The state of one (wallet, token) and how events change it: the second half of the truth (accounting §§2–3).

Whole numbers only: micro-shares and micro-USDC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Counters(NamedTuple):
    """Sums of a holding that only grow by what happens, so that a window is a difference of two of them."""

    realized: int
    fees: int
    bought_cost: int
    redeemed_cash: int
    volume: int
    trades: int


def share_out(amount: int, parts: int) -> list[int]:
    """``amount`` in equal whole parts; the first ones take the remainder (§2.2)."""
    return [amount // parts + (1 if place < amount % parts else 0) for place in range(parts)]


@dataclass(slots=True)
class Holding:
    """State of §3.2.

    Attributes:
        tracked: shares with a known origin. After the resolution: the settled quantity, redeemed ones included.
        redeemed: settled shares given up for the payout.
        payout: (numerator, sum of numerators) once the condition is resolved.
        realized_ts: time of the last booking.
    """

    tracked: int = 0
    cost: int = 0
    external: int = 0
    redeemed: int = 0
    realized: int = 0
    realized_ts: int = 0
    fees: int = 0
    bought: int = 0
    bought_cost: int = 0
    untracked_shares: int = 0
    untracked_cash: int = 0
    basis_out: int = 0
    redeemed_cash: int = 0
    volume: int = 0
    trades: int = 0
    first_fill_ts: int = 0
    last_fill_ts: int = 0
    payout: tuple[int, int] | None = None

    @property
    def shares(self) -> int:
        """Tracked shares still held."""
        return self.tracked - self.redeemed

    @property
    def settled_value(self) -> int:
        """Payout value of the settled quantity, redeemed or not."""
        return self.worth(self.tracked) if self.payout else 0

    def counters(self) -> Counters:
        """The sums as they stand."""
        return Counters(self.realized, self.fees, self.bought_cost, self.redeemed_cash, self.volume, self.trades)

    def worth(self, shares: int) -> int:
        """Payout value of some shares of a resolved token."""
        assert self.payout is not None
        return shares * self.payout[0] // self.payout[1]

    def book(self, amount: int, ts: int) -> None:
        """Realise an amount."""
        self.realized += amount
        self.realized_ts = ts

    def resolve(self, numerator: int, denominator: int, ts: int) -> None:
        """The resolution turns basis into payout value (§2.4)."""
        self.payout = (numerator, denominator)
        if self.tracked:
            self.book(self.worth(self.tracked) - self.cost, ts)
        self.cost = 0

    def acquire(self, shares: int, cost: int, ts: int) -> None:
        """Inflow of §3.3; on a resolved token the difference to the payout is booked at once."""
        self.bought += shares
        self.bought_cost += cost
        if shares == 0:
            self.book(-cost, ts)
        elif self.payout:
            self.book(self.worth(self.tracked + shares) - self.worth(self.tracked) - cost, ts)
            self.tracked += shares
        else:
            self.tracked += shares
            self.cost += cost

    def remove(self, shares: int) -> tuple[int, int]:
        """Take shares away: tracked first, then external, then unseen ones. Returns the tracked ones and their basis
        (their payout value if resolved).
        """
        matched = min(shares, self.shares)
        if self.payout:
            basis = self.worth(self.tracked) - self.worth(self.tracked - matched)
        elif matched == self.tracked:
            basis = self.cost
        else:
            basis = self.cost * matched // self.tracked
        if not self.payout:
            self.cost -= basis
        self.tracked -= matched
        from_external = min(shares - matched, self.external)
        self.external -= from_external
        self.untracked_shares += shares - matched - from_external
        return matched, basis

    def dispose(self, shares: int, proceeds: int, ts: int) -> None:
        """Outflow of §3.3: only tracked shares earn PnL."""
        if shares == 0:
            self.book(proceeds, ts)
            return
        matched, basis = self.remove(shares)
        earned = proceeds if matched == shares else proceeds * matched // shares
        self.untracked_cash += proceeds - earned
        if matched:
            self.book(earned - basis, ts)

    def redeem(self, shares: int | None) -> None:
        """Give up shares of a resolved token (all of them if None): no PnL (§2.4)."""
        if shares is None:
            self.redeemed, self.external = self.tracked, 0
            return
        own = min(shares, self.shares)
        self.redeemed += own
        self.external -= min(shares - own, self.external)

    def send(self, shares: int) -> None:
        """A transfer out: the basis leaves without PnL (§2.5)."""
        _, basis = self.remove(shares)
        self.basis_out += basis

    def unrealized(self, mark: int | None) -> int | None:
        """Value at the mark less basis; 0 without an open position, None without a mark (§3.4)."""
        if self.payout or self.tracked == 0:
            return 0
        return None if mark is None else self.tracked * mark // 10**6 - self.cost


def convert(no_legs: Sequence[Holding], yes_legs: Sequence[Holding], amount: int, bips: int, ts: int) -> None:
    """A neg-risk conversion (§2.3). Legs are in question order; basis moves from NO to YES.

    ``no_legs`` are the questions of the index set, ``yes_legs`` all the others.
    """
    if amount == 0:
        return
    out = amount - amount * bips // 10_000
    collateral = (len(no_legs) - 1) * out
    removed = [leg.remove(amount) for leg in no_legs]
    tracked = sum(shares for shares, _ in removed)
    basis = sum(cost for _, cost in removed)
    everything = len(no_legs) * amount
    paid = collateral if tracked == everything else collateral * tracked // everything
    credited = out if tracked == everything else out * tracked // everything
    no_legs[0].untracked_cash += collateral - paid
    if not yes_legs:
        for leg, part, (_, cost) in zip(no_legs, share_out(paid, len(no_legs)), removed, strict=True):
            leg.book(part - cost, ts)
        return
    if basis < paid:
        for leg, part in zip(no_legs, share_out(paid - basis, len(no_legs)), strict=True):
            leg.book(part, ts)
    live = [leg for leg in yes_legs if leg.payout is None] or list(yes_legs)
    costs = dict(zip(map(id, live), share_out(max(0, basis - paid), len(live)), strict=True))
    for leg in yes_legs:
        leg.external += out - credited
        if credited or costs.get(id(leg), 0):
            leg.acquire(credited, costs.get(id(leg), 0), ts)
