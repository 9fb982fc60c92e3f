"""Why our numbers differ from those by Polymarket's cost method: one rule exchanged after the other.

The rows of a wallet are folded several times, first by Polymarket's rules and at last by ours; each time one more rule
is ours. What a number changes from one fold to the next is what that rule makes, so that the parts add up to the
difference whatever the history is. The order of the exchanges is part of the definition (docs/cost-methods.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from polyhouse.ledger.fold import Holding, Kind, LedgerRow, convert, joined_events, migrate
from polyhouse.ledger.polymarket import ONE, Outcome, conversion_price

CAUSES: Mapping[str, str] = {
    "untracked": "held shares of which no purchase was seen: they count them at their average, we in no PnL",
    "rounding": "their average price is truncated at 10⁻⁶ after every purchase, our basis is exact",
    "refunds": "what the exchange handed back to the taker of an order",
    "fees": "fees: theirs is before them",
    "splits": "the odd micro of splits and merges",
    "liquidity": "their sale of liquidity subtracts what the returned shares cost, and should add it",
    "conversions": "neg-risk conversions: they drop collateral, and fees",
    "transfers": "transfers and migrations: they do not see that shares left",
    "resolution": "what was not redeemed yet: ours is realised at the resolution, theirs when it is redeemed",
}
"""Word → meaning, in the order in which the rules are exchanged."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rules are ours."""

    refunds: bool = False
    fees: bool = False
    splits: bool = False
    liquidity: bool = False
    conversions: bool = False
    transfers: bool = False


@dataclass(frozen=True, slots=True)
class CostRow:
    """A ledger row with what it was before fees and refunds.

    Attributes:
        row: as the fold takes it.
        gross: shares and cash of a fill before fees and refunds, refunded: after refunds.
        is_fill: a trade, no liquidity.
        their_cash: of a row of liquidity: the cash by their rule.
    """

    row: LedgerRow
    gross: tuple[int, int] = (0, 0)
    refunded: tuple[int, int] = (0, 0)
    is_fill: bool = True
    their_cash: int = 0


class Averaged(Holding):
    """A holding whose average stays when nothing is left, as theirs does."""

    __slots__ = ("_last",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._last = (0, 1)

    def take(self, shares: int) -> tuple[int, int, int]:
        """Remove shares, and remember the average they had."""
        if self.held:
            self._last = (self.cost, self.held)
        return super().take(shares)

    def cost_of(self, shares: int) -> int:
        """What so many shares cost at the average."""
        cost, held = (self.cost, self.held) if self.held else self._last
        return shares * cost // held


def stages() -> list[tuple[str, Rules]]:
    """Cause → the rules once it is exchanged, in order: those between Polymarket's averages and our resolution."""
    rules, found = Rules(), [("rounding", Rules())]
    for cause in ("refunds", "fees", "splits", "liquidity", "conversions", "transfers"):
        rules = replace(rules, **{cause: True})
        found.append((cause, rules))
    return found


def fold_by(rules: Rules, rows: Sequence[CostRow], outcomes: Mapping[bytes, Outcome]) -> dict[bytes, Averaged]:
    """Fold the rows of one wallet by some rules of ours and the rest of theirs. Nothing happens at a resolution.

    Args:
        rules: which are ours.
        rows: in the order of the fold, the legs of a conversion side by side.
        outcomes: of every token among the rows.
    """
    book: defaultdict[bytes, Averaged] = defaultdict(Averaged)
    for event in joined_events(_by_rules(rules, row) for row in rows):
        first = event[0]
        legs = [(book[row.token], row) for row in event]
        if first.kind == Kind.CONVERT:
            (convert if rules.conversions else _their_conversion)(legs)
        elif first.kind == Kind.REDEEM:
            _redeem(book, first, outcomes)
        elif first.kind == Kind.MIGRATE:
            if rules.transfers:
                migrate(legs)
        elif rules.transfers or first.kind not in (Kind.TRANSFER_IN, Kind.TRANSFER_OUT):
            book[first.token].apply(first)
    return book


def liquidity_cash(rows: Iterable[tuple[LedgerRow, bool]], outcomes: Mapping[bytes, Outcome]) -> dict[bytes, int]:
    """Event → what the sale of liquidity paid by their rule: the fees less what the returned shares cost.

    Args:
        rows: of one wallet, with whether each is a fill.
        outcomes: of every token among them.
    """
    cash: defaultdict[bytes, int] = defaultdict(int)
    for row, is_fill in rows:
        if not is_fill and row.kind in (Kind.BUY, Kind.SELL):
            # Our proceeds are the fees and the shares' cost, so that the cost goes twice.
            cash[row.event] += row.du if not outcomes[row.token].other else 2 * row.du
    return dict(cash)


def _by_rules(rules: Rules, found: CostRow) -> LedgerRow:
    row = found.row
    if row.kind in (Kind.BUY, Kind.SELL):
        if not found.is_fill:
            return row if rules.liquidity or row.kind == Kind.BUY else row._replace(du=found.their_cash)
        if rules.fees:
            return row
        shares, cash = found.refunded if rules.refunds else found.gross
        sign = 1 if row.kind == Kind.BUY else -1
        return row._replace(ds=sign * shares, du=-sign * cash)
    if row.kind in (Kind.SPLIT, Kind.MERGE) and not rules.splits:
        half = abs(row.ds) // 2
        return row._replace(du=-half if row.kind == Kind.SPLIT else half)
    return row


def _redeem(book: Mapping[bytes, Averaged], row: LedgerRow, outcomes: Mapping[bytes, Outcome]) -> None:
    """Shares are sold for their payout: all of both outcomes at the CTF, the named ones at the neg-risk adapter."""
    outcome = outcomes[row.token]
    if not outcome.denominator:
        return
    named = book[row.token].held if row.amount < 0 else row.amount
    tokens = (row.token,) if outcome.is_neg_risk else (row.token, outcome.other)
    for token in tokens:
        if token not in book:
            continue
        holding, payout = book[token], outcomes[token]
        shares = min(named, holding.held) if outcome.is_neg_risk else holding.held
        if shares:
            holding.outflow(shares, shares * payout.numerator // payout.denominator, row.ts)


def _their_conversion(legs: Sequence[tuple[Holding, LedgerRow]]) -> None:
    """NO legs leave at their average, YES legs come at what remains of it above the collateral; fees are ignored."""
    burned = [(state, row) for state, row in legs if row.ds < 0]
    credited = [(state, row) for state, row in legs if row.ds >= 0]
    averages = 0
    for state, row in burned:
        assert isinstance(state, Averaged)
        averages += state.cost_of(ONE)
        state.take(min(row.amount, state.held))
    if burned and credited:
        price = conversion_price(averages, len(burned), len(credited))
        for state, row in credited:
            state.inflow(row.amount, price * row.amount // ONE, row.ts)
