"""What the numbers of a wallet are: how each follows from units, positions and ledger rows (accounting §3.5).

A ``Sum`` is added up level by level: the wallet's number over its units, a unit's over its positions, a position's over
its ledger rows. A ``Derived`` number is made of other numbers of the same wallet, unit or position. The tables of the
models hold the numbers; the expressions here say which part of a row of the next level belongs to them.
"""

from __future__ import annotations

from dataclasses import dataclass

WALLET, UNIT, POSITION = "wallet", "unit", "position"
_ALL = (WALLET, UNIT, POSITION)


@dataclass(frozen=True, slots=True)
class Sum:
    """A number that is the sum of a part of each row.

    Attributes:
        meaning: one line for people. formula: how it is added up.
        measure: ``usd`` (micro-USDC inside), ``shares`` (micro-shares) or ``count``.
        unit: SQL on a row of ``units`` (alias u): the unit's part; '' if it is added up from the ledger. ``{inside}``:
            whether the unit closed inside the window.
        position: SQL on a row of ``positions`` (alias p), '' as above, or if it counts units.
        row: SQL on a row of ``ledger`` (alias l): its part, '' if the steps of the position tell it.
        step: field of ``ledger.trace.State`` whose changes add up to the position's number.
        levels: where there is such a number.
    """

    meaning: str
    formula: str
    measure: str = "usd"
    unit: str = ""
    position: str = ""
    row: str = ""
    step: str = ""
    levels: tuple[str, ...] = _ALL


@dataclass(frozen=True, slots=True)
class Derived:
    """A number that is made of others: the sum of ``inputs``, or what ``formula`` says of them if it ``is_ratio``."""

    meaning: str
    formula: str
    inputs: tuple[str, ...]
    is_ratio: bool = False
    levels: tuple[str, ...] = _ALL
    measure: str = "usd"


_UNITS_ONLY = (WALLET, UNIT)
_POSITION_ONLY = (POSITION,)
_DOWN = "sum over units, their positions and the steps of each"
_FILLS = "l.kind IN ('BUY', 'SELL') AND l.label = ''"

SUMS: dict[str, Sum] = {
    "realized": Sum(
        "Realised PnL after fees: disposals, and what resolutions made of the shares held then",
        f"{_DOWN}: proceeds − basis of the shares that left; payout − basis at the resolution",
        unit="u.realized", position="p.realized", step="realized",
    ),
    "unrealized": Sum(
        "Value of the open shares at their marks less their basis; in a window its change over the window",
        "sum over units and their positions of floor(shares · mark) − cost",
        unit="u.unrealized", position="p.unrealized", step="cost",
    ),
    "unrealized_marked": Sum(
        "The same over those units of which every open position has a mark",
        "sum over units without a missing mark",
        unit="ifNull(u.unrealized, 0)", position="p.unrealized", levels=_UNITS_ONLY,
    ),
    "unmarked": Sum(
        "Units with an open position that has no mark", "number of units", "count",
        unit="toInt64(u.unrealized IS NULL)", levels=_UNITS_ONLY,
    ),
    "fees": Sum(
        "Fees, disclosed: they are inside realised PnL and cost already", f"{_DOWN}: fee of each ledger row",
        row="l.fee",
    ),
    "volume": Sum(
        "Cash turned over by fills in both roles", "Σ (usdc_gross − refund) over fills", row="l.volume",
    ),
    "trades": Sum("Fills in both roles", "number of fills", "count", row=f"toInt64({_FILLS})"),
    "markets": Sum(
        "Conditions with a fill", "number of distinct conditions; each counts at its first outcome that was traded",
        "count", row=f"toInt64({_FILLS})", levels=_UNITS_ONLY,
    ),
    "redeemed_cash": Sum(
        "What redemptions paid: only cash, the PnL was realised at the resolution", "Σ payout over redemptions",
        row="if(l.kind = 'REDEEM', l.du, 0)",
    ),
    "income": Sum(
        "Rebates, rewards, yield and referrals; of the wallet as a whole", "Σ over ledger rows of kind INCOME",
        row="if(l.kind = 'INCOME', l.du, 0)", levels=(WALLET,),
    ),
    "untracked_cash": Sum(
        "Proceeds of shares whose arrival nobody saw: in no PnL; the same in every window",
        f"{_DOWN}: proceeds of shares that were not held",
        unit="u.untracked_cash", position="p.untracked_cash", step="untracked_cash",
    ),
    "bought_cost": Sum(
        "What was put into positions, splits included", f"{_DOWN}: cost of what came in",
        unit="u.bought_cost", position="p.bought_cost", step="bought_cost",
    ),
    "wins": Sum(
        "Closed units that realised a cent or more", "number of units closed inside the window", "count",
        unit="toInt64({inside} AND u.result = 'WIN')", levels=_UNITS_ONLY,
    ),
    "losses": Sum(
        "Closed units that realised minus a cent or less", "number of units closed inside the window", "count",
        unit="toInt64({inside} AND u.result = 'LOSS')", levels=_UNITS_ONLY,
    ),
    "flats": Sum(
        "Closed units within a cent of zero", "number of units closed inside the window", "count",
        unit="toInt64({inside} AND u.result = 'FLAT')", levels=_UNITS_ONLY,
    ),
    "open_units": Sum(
        "Units with an open position; the same in every window", "number of units", "count",
        unit="toInt64(u.is_open)", levels=_UNITS_ONLY,
    ),
    "gains": Sum(
        "Realised PnL of the closed units that gained, over their whole life",
        "Σ max(realized, 0) over units closed inside the window",
        unit="if({inside} AND NOT u.is_open AND u.realized > 0, u.realized, 0)", position="p.realized",
        levels=_UNITS_ONLY,
    ),
    "losses_abs": Sum(
        "Realised PnL of the closed units that lost, over their whole life, without its sign",
        "Σ max(−realized, 0) over units closed inside the window",
        unit="if({inside} AND NOT u.is_open AND u.realized < 0, -u.realized, 0)", position="-p.realized",
        levels=_UNITS_ONLY,
    ),
    "cost": Sum(
        "Basis of the open tracked shares", "what came in − the basis of what left", unit="u.cost", position="p.cost",
        step="cost", levels=(UNIT, POSITION),
    ),
    "shares": Sum(
        "Tracked shares still held", "shares in − shares out − redeemed", "shares", position="p.shares", step="shares",
        levels=_POSITION_ONLY,
    ),
    "external_shares": Sum(
        "Held shares whose arrival as a purchase was not seen: transfers", "arrived − left", "shares",
        position="p.external_shares", step="external_shares", levels=_POSITION_ONLY,
    ),
    "bought": Sum(
        "Shares that ever came in, by purchases, splits and conversions", "Σ over inflows", "shares",
        position="p.bought", step="bought", levels=_POSITION_ONLY,
    ),
    "untracked_shares": Sum(
        "Shares that left although nobody saw them arrive", "Σ over outflows", "shares",
        position="p.untracked_shares", step="untracked_shares", levels=_POSITION_ONLY,
    ),
    "basis_out": Sum(
        "Basis that left with plain transfers", "Σ over transfers", position="p.basis_out", step="basis_out",
        levels=_POSITION_ONLY,
    ),
    "settled_shares": Sum(
        "Shares held at the resolution, changed by what came after; redemptions leave it", "shares at the resolution",
        "shares", position="p.settled_shares", step="settled_shares", levels=_POSITION_ONLY,
    ),
    "settled_value": Sum(
        "Payout value of the settled shares", "floor(settled_shares · payout)", position="p.settled_value",
        step="settled_value", levels=_POSITION_ONLY,
    ),
}  # fmt: skip
"""By their names in the wallet document, and in ``positions`` where the document has none."""

DERIVED: dict[str, Derived] = {
    "position_pnl": Derived("Realised and unrealised PnL", "realized + unrealized", ("realized", "unrealized")),
    "gross_of_fees": Derived(
        "PnL before fees: closest to what Polymarket publishes", "realized + unrealized + fees",
        ("realized", "unrealized", "fees"),
    ),
    "economic_pnl": Derived(
        "PnL with income", "realized + unrealized + income", ("realized", "unrealized", "income"), levels=(WALLET,)
    ),
    "omega": Derived(
        "Gains over losses of closed units, threshold 0", "gains / losses_abs", ("gains", "losses_abs"),
        is_ratio=True, levels=(WALLET,), measure="ratio",
    ),
    "omega_shrunk": Derived(
        "Omega pulled towards 1 where there is little data", "(gains + 50) / (losses_abs + 50)",
        ("gains", "losses_abs"), is_ratio=True, levels=(WALLET,), measure="ratio",
    ),
    "win_rate": Derived(
        "Share of the decided units that were won", "wins / (wins + losses)", ("wins", "losses"), is_ratio=True,
        levels=(WALLET,), measure="ratio",
    ),
    "roi": Derived(
        "PnL per dollar put in", "position_pnl / bought_cost", ("position_pnl", "bought_cost"), is_ratio=True,
        levels=(WALLET,), measure="ratio",
    ),
}  # fmt: skip
