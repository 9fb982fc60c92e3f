"""Positions, units and totals by two cost methods side by side, and why they differ (docs/cost-methods.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyhouse.domain.ids import format_token, parse_address
from polyhouse.errors import BadInputError
from polyhouse.ledger.cost_causes import CAUSES, Averaged, CostRow, fold_by, liquidity_cash, stages
from polyhouse.ledger.fold import Kind
from polyhouse.ledger.polymarket import Outcome
from polyhouse.metrics.exact import nine
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import money
from polyhouse.reads.explain_ledger import WalletLedger, load_ledger
from polyhouse.reads.explain_scope import OF_WALLET, Scope, query

OURS, POLYMARKET, BOTH = "ours", "polymarket", "both"
METHODS = (OURS, POLYMARKET, BOTH)
_ONE = 1_000_000
_GROSS = "(usdc_gross, shares_gross, toInt64(label = ''))"


@dataclass(slots=True)
class Figures:
    """Realised and unrealised PnL in micro-USDC; ``unrealized`` is None where a mark is missing."""

    realized: int = 0
    unrealized: int | None = 0

    @property
    def total(self) -> int | None:
        """Both together."""
        return None if self.unrealized is None else self.realized + self.unrealized

    def add(self, other: Figures) -> None:
        """Add another one up."""
        self.realized += other.realized
        is_known = self.unrealized is not None and other.unrealized is not None
        self.unrealized = (self.unrealized or 0) + (other.unrealized or 0) if is_known else None

    def less(self, other: Figures) -> Figures:
        """What this has more than another."""
        is_known = self.unrealized is not None and other.unrealized is not None
        unrealized = (self.unrealized or 0) - (other.unrealized or 0) if is_known else None
        return Figures(self.realized - other.realized, unrealized)

    def document(self) -> dict[str, Any]:
        """In USDC."""
        return {"realized": money(self.realized), "unrealized": money(self.unrealized), "total": money(self.total)}


@dataclass(slots=True)
class Compared:
    """Both methods on one position, unit or wallet; ``causes`` add up to ours − theirs."""

    ours: Figures = field(default_factory=Figures)
    theirs: Figures = field(default_factory=Figures)
    causes: dict[str, Figures] = field(default_factory=dict)

    def add(self, other: Compared) -> None:
        """Add another one up."""
        self.ours.add(other.ours)
        self.theirs.add(other.theirs)
        for cause, part in other.causes.items():
            self.causes.setdefault(cause, Figures()).add(part)

    def document(self, method: str) -> dict[str, Any]:
        """What a method shows; causes that made nothing are left out."""
        if method == POLYMARKET:
            return {"polymarket": self.theirs.document()}
        causes = [
            {"cause": cause, "meaning": CAUSES[cause], **self.causes[cause].document()}
            for cause in CAUSES
            if cause in self.causes and (self.causes[cause].realized or self.causes[cause].unrealized)
        ]
        difference = self.ours.less(self.theirs).document()
        return {
            "ours": self.ours.document(), "polymarket": self.theirs.document(), "difference": difference,
            "causes": causes,
        }  # fmt: skip


def cost_methods(warehouse: Warehouse, address: str, method: str = BOTH) -> dict[str, Any]:
    """The part of the wallet document on cost methods.

    ``difference`` is ours − polymarket; ``causes`` say what makes it, and add up to it exactly.

    Args:
        warehouse: with built models.
        address: ``0x`` and 40 hex digits, any case.
        method: ``polymarket``, or ``both``.

    Raises:
        BadInputError: a malformed address, or another method.
    """
    check_method(method)
    scope = Scope(parse_address(address))
    rows = query(warehouse, _POSITIONS, scope.bound())
    compared = {
        bytes(row["token"]): Compared(
            Figures(int(row["realized"]), _known(row["unrealized"])),
            Figures(int(row["their_realized"]), _known(row["their_unrealized"])),
        )
        for row in rows
    }
    if method == BOTH and rows:
        _explain(warehouse, scope, rows, compared)
    units: dict[bytes, Compared] = {}
    totals = Compared()
    for row in rows:
        one = compared[bytes(row["token"])]
        units.setdefault(bytes(row["unit"]), Compared()).add(one)
        totals.add(one)
    return {
        "method": method,
        "totals": totals.document(method),
        "units": [{"unit": f"0x{unit.hex()}", **units[unit].document(method)} for unit in sorted(units)],
        "positions": [_position(row, compared[bytes(row["token"])], method) for row in rows],
    }


def check_method(method: str) -> str:
    """``method`` if it is one of ``METHODS``.

    Raises:
        BadInputError: it is not.
    """
    if method in METHODS:
        return method
    raise BadInputError(f"unknown cost method {method[:40]!r}", hint=f"one of: {' '.join(METHODS)}")


_POSITIONS = (
    "SELECT p.token AS token, p.condition AS condition, p.outcome AS outcome, p.unit AS unit, p.shares AS shares,"
    " p.cost AS cost, p.realized AS realized, p.unrealized AS unrealized, m.avg_price_e6 AS avg_price_e6,"
    " m.tracked AS tracked, m.balance AS balance, m.bought AS bought, m.entry_cost AS entry_cost,"
    " m.realized AS their_realized, m.unrealized AS their_unrealized, t.resolved AS resolved,"
    " t.numerator AS numerator, t.denominator AS denominator, t.neg_risk_market != '' AS is_neg_risk,"
    " p.mark_e6 AS mark_e6"
    f" FROM (SELECT * FROM positions FINAL WHERE {OF_WALLET}) AS p"
    f" INNER JOIN (SELECT * FROM positions_polymarket FINAL WHERE {OF_WALLET}) AS m ON m.token = p.token"
    " LEFT JOIN (SELECT token, resolved, numerator, denominator, neg_risk_market FROM token_map FINAL"
    f" WHERE token IN (SELECT token FROM positions WHERE {OF_WALLET})) AS t ON t.token = p.token"
    " ORDER BY p.condition, p.outcome, p.token"
)


def _known(amount: Any) -> int | None:
    return None if amount is None else int(amount)


def _position(row: Mapping[str, Any], one: Compared, method: str) -> dict[str, Any]:
    shown = one.document(method)
    shown["polymarket"] = {
        "avg_price": money(row["avg_price_e6"]), "balance": money(row["balance"]), "tracked": money(row["tracked"]),
        "bought": money(row["bought"]), "entry_cost": money(row["entry_cost"]), **shown["polymarket"],
    }  # fmt: skip
    if "ours" in shown:
        average = nine(int(row["cost"]), int(row["shares"])) if row["cost"] and row["shares"] else None
        shown["ours"] = {
            "avg_price": average, "shares": money(row["shares"]), "cost": money(row["cost"]), **shown["ours"],
        }  # fmt: skip
    return {
        "token_id": format_token(bytes(row["token"])), "condition_id": f"0x{bytes(row['condition']).hex()}",
        "outcome_index": int(row["outcome"]), **shown,
    }  # fmt: skip


def _explain(
    warehouse: Warehouse, scope: Scope, positions: list[dict[str, Any]], compared: Mapping[bytes, Compared]
) -> None:
    """Fill in the causes of every position."""
    outcomes = _outcomes(positions)
    rows = cost_rows(load_ledger(warehouse, scope, None, _GROSS), outcomes)
    before: dict[bytes, Figures] = {}
    for row in positions:
        token, one = bytes(row["token"]), compared[bytes(row["token"])]
        average = int(row["avg_price_e6"])
        cost = abs(average) * int(row["shares"]) // _ONE * (-1 if average < 0 else 1)
        before[token] = Figures(one.theirs.realized, _unrealized(row, cost))
        one.causes["untracked"] = before[token].less(one.theirs)
    for cause, rules in stages():
        folded = fold_by(rules, rows, outcomes)
        for row in positions:
            token = bytes(row["token"])
            holding = folded.get(token, _NOTHING)
            now = Figures(holding.realized, _unrealized(row, holding.cost_of(int(row["shares"]))))
            compared[token].causes[cause] = now.less(before[token])
            before[token] = now
    for token, one in compared.items():
        one.causes["resolution"] = one.ours.less(before[token])


_NOTHING = Averaged()


def cost_rows(ledger: WalletLedger, outcomes: Mapping[bytes, Outcome]) -> list[CostRow]:
    """Ledger rows with their amounts before fees and refunds."""
    rows = list(zip(ledger.fold_rows(), ledger.rows, strict=True))
    parts = [(row, found["part"]) for row, found in rows]
    cash = liquidity_cash(((row, bool(part[2])) for row, part in parts), outcomes)
    return [
        CostRow(
            row, (int(part[1]) or abs(row.ds), int(part[0])), _refunded(row.kind, row.ds, found, part), bool(part[2]),
            cash.get(row.event, 0),
        )
        for (row, part), (_, found) in zip(parts, rows, strict=True)
    ]  # fmt: skip


def _refunded(kind: int, change: int, found: Mapping[str, Any], part: tuple[int, int, int]) -> tuple[int, int]:
    """Shares and cash of a fill after refunds: buyers get cash back, sellers shares."""
    return (int(part[1]) if kind == Kind.BUY and part[1] else abs(change)), int(found["volume"])


def _outcomes(positions: Iterable[Mapping[str, Any]]) -> dict[bytes, Outcome]:
    rows = {(bytes(row["condition"]), int(row["outcome"])): row for row in positions}
    found = {}
    for (condition, outcome), row in rows.items():
        token = bytes(row["token"])
        other = rows.get((condition, 1 - outcome))
        # Liquidity shares are their own condition; everything else has a complement, held or not.
        name = b"" if condition == token else bytes(other["token"]) if other else bytes(32)
        denominator = int(row["denominator"]) if row["resolved"] else 0
        found[token] = Outcome(name, int(row["numerator"]), denominator, bool(row["is_neg_risk"]))
    return found


def _unrealized(row: Mapping[str, Any], cost: int) -> int | None:
    """Our tracked shares at the payout or the mark, less a cost."""
    shares = int(row["shares"])
    if row["resolved"]:
        return shares * int(row["numerator"]) // int(row["denominator"]) - cost
    if not shares:
        return None if row["their_unrealized"] is None else -cost
    return None if row["mark_e6"] is None else shares * int(row["mark_e6"]) // _ONE - cost
