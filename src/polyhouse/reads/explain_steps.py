"""The ledger rows of one position, each with what it changed: where every number of the product comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyhouse.ledger.trace import Change, trace
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.explain_ledger import FACTS, load_ledger
from polyhouse.reads.explain_numbers import Sum
from polyhouse.reads.explain_scope import OF_WALLET, Scope, query, shown

RESOLUTION = "RESOLUTION"
"""Kind of the step that a token's resolution makes; it is no ledger row."""


class Steps:
    """The steps of one position, in order.

    Attributes:
        changes: what happened.
        rows: the ledger row behind each of them, None for the resolution.
    """

    def __init__(self, changes: Sequence[Change], rows: Sequence[dict[str, Any] | None]) -> None:
        self.changes = changes
        self.rows = rows

    def parts(self, number: Sum, begin: int) -> list[int]:
        """What each step adds to a number: the change of a field of the state, or what the ledger row says itself.

        Args:
            number: for which the steps were asked.
            begin: steps up to this time add nothing; −1 = all do.
        """
        if number.step:
            return [change.of(number.step) if change.at > begin else 0 for change in self.changes]
        is_row = [change.row is not None for change in self.changes]
        return [
            int(row["part"]) if is_own and row is not None and row["at"] > begin else 0
            for is_own, row in zip(is_row, self.rows, strict=True)
        ]

    def documents(self, parts: Sequence[int], measure: str, start: int, end: int) -> list[dict[str, Any]]:
        """The steps from ``start`` to ``end`` as documents, with what each adds to the number."""
        return [
            _document(self.changes[place], self.rows[place], shown(parts[place], measure))
            for place in range(start, end)
        ]


def position_steps(warehouse: Warehouse, number: Sum, scope: Scope) -> Steps:
    """Fold the ledger rows of a position again and remember every step.

    Args:
        warehouse: with built models.
        number: whose parts the rows are to tell.
        scope: names wallet and token.
    """
    ledger = load_ledger(warehouse, scope, [scope.token], number.row or "0")
    changes = trace(ledger.fold_rows(), ledger.settlements).get(scope.token, [])
    own = iter([row for row in ledger.rows if bytes(row["token"]) == scope.token])
    resolution = ledger.resolved.get(scope.token)
    if resolution is not None:
        resolution["tx_hex"], resolution["source_word"] = _resolved_by(warehouse, resolution)
    return Steps(changes, [resolution if change.row is None else next(own) for change in changes])


def income_rows(warehouse: Warehouse, scope: Scope, limit: int, offset: int) -> tuple[list[dict[str, Any]], int, int]:
    """A page of the wallet's income rows, oldest first, with number and sum of all of them."""
    where = (
        f"FROM ledger FINAL WHERE {OF_WALLET} AND token = toFixedString('', 32) AND kind = 'INCOME' AND"
        f" {scope.after('toUnixTimestamp(ts)')}"
    )
    ((count, total),) = (
        tuple(row.values())
        for row in query(warehouse, f"SELECT count() AS n, sum(toInt128(du)) AS total {where}", scope.bound())
    )
    rows = query(
        warehouse,
        f"SELECT {FACTS} {where} ORDER BY ts, block, tx_index, pos, cls, sub, tx, row_key"
        f" LIMIT {int(limit)} OFFSET {int(offset)}",
        scope.bound(),
    )
    return [_facts(row) | {"contribution": money(row["du"])} for row in rows], int(count), int(total)


def trade_row(warehouse: Warehouse, scope: Scope, *, is_first: bool) -> dict[str, Any] | None:
    """The first or the last fill of the wallet in the category."""
    category = "1" if scope.category == "overall" else "category = {category:String}"
    rows = query(
        warehouse,
        f"SELECT {FACTS} FROM ledger FINAL WHERE {OF_WALLET} AND kind IN ('BUY', 'SELL') AND label = ''"
        f" AND token IN (SELECT token FROM positions FINAL WHERE {OF_WALLET} AND {category})"
        f" ORDER BY ts {'ASC' if is_first else 'DESC'}, block, tx_index, pos, tx, row_key LIMIT 1",
        scope.bound(),
    )
    return _facts(rows[0]) if rows else None


def _resolved_by(warehouse: Warehouse, resolution: dict[str, Any]) -> tuple[str, str]:
    """Transaction and source of a resolution; the transaction is zero where the source does not tell it."""
    rows = query(
        warehouse,
        "SELECT lower(hex(tx)) AS tx_hex, toString(source) AS source_word FROM resolutions FINAL"
        " WHERE hex(condition) = {condition:String} AND toUnixTimestamp(ts) = {at:UInt32} AND block = {block:UInt32}"
        " AND pos = {pos:UInt32} ORDER BY source != 'chain', source LIMIT 1",
        {
            "condition": bytes(resolution["condition"]).hex().upper(), "at": resolution["at"],
            "block": resolution["block"], "pos": resolution["pos"],
        },
    )  # fmt: skip
    return (rows[0]["tx_hex"], rows[0]["source_word"]) if rows else ("", "")


def _document(change: Change, row: dict[str, Any] | None, contribution: Any) -> dict[str, Any]:
    before, after = change.before, change.after
    if change.row is None:
        resolution = row or {}
        facts = {
            "kind": RESOLUTION, "at": moment(resolution.get("at")), "tx_hash": _hash(resolution.get("tx_hex", "")),
            "block": resolution.get("block") or None, "log_index": resolution.get("pos") or None,
            "source": resolution.get("source_word") or None, "share_change": None, "cash_change": None, "fee": None,
            "volume": None, "label": None, "payout": [resolution.get("numerator"), resolution.get("denominator")],
        }  # fmt: skip
    else:
        facts = _facts(row or {}) | {"payout": None}
    return {
        **facts,
        "contribution": contribution,
        "realized": money(change.of("realized")),
        "cost_change": money(change.of("cost")),
        "shares_before": money(before.shares), "shares_after": money(after.shares),
        "external_before": money(before.external_shares), "external_after": money(after.external_shares),
        "cost_before": money(before.cost), "cost_after": money(after.cost),
        "untracked_cash": money(change.of("untracked_cash")),
    }  # fmt: skip


def _facts(row: dict[str, Any]) -> dict[str, Any]:
    """A ledger row as it happened."""
    on_chain = bool(row["block"])
    return {
        "kind": row["kind_word"], "at": moment(row["at"]), "tx_hash": _hash(row["tx_hex"]),
        "block": row["block"] or None, "log_index": row["pos"] if on_chain else None, "source": row["source_word"],
        "share_change": money(row["ds"]), "cash_change": money(row["du"]), "fee": money(row["fee"]),
        "volume": money(row["volume"]), "label": row["label"] or None,
    }  # fmt: skip


def _hash(digits: str) -> str | None:
    return f"0x{digits}" if digits.strip("0") else None
