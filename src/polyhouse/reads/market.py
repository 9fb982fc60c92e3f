"""One market with its outcomes, payouts and the wallets that hold it."""

from __future__ import annotations

from typing import Any

from polyhouse.domain.ids import format_condition, parse_condition
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money

HOLDERS = 20
_CONDITION = "unhex({condition:String})"


class UnknownMarketError(BadInputError):
    """A well-formed condition id that no source named."""

    code = "UNKNOWN_MARKET"


def market(warehouse: Warehouse, condition_id: str) -> dict[str, Any]:
    """The market document: question, outcomes with marks and payouts, largest holders (from our positions).

    Raises:
        BadInputError: a malformed id.
        UnknownMarketError: no source named it.
    """
    condition = parse_condition(condition_id)
    bound = {"condition": condition.hex()}
    described = _rows(
        warehouse,
        "SELECT question, slug, outcomes, closed, neg_risk, toUnixTimestamp(end_ts) AS end_at FROM markets_current"
        f" WHERE condition = {_CONDITION} ORDER BY length(outcomes) > 0 DESC, source = 'gamma' DESC, source LIMIT 1",
        bound,
    )
    tokens = _rows(
        warehouse,
        "SELECT hex(token) AS token_hex, outcome, category, resolved, numerator, denominator, mark_e6,"
        " toString(mark_source) AS mark_source, toUnixTimestamp(resolved_ts) AS resolved_at, provisional"
        f" FROM token_map FINAL WHERE condition = {_CONDITION} ORDER BY outcome, token",
        bound,
    )
    if not described and not tokens:
        raise UnknownMarketError(f"market {format_condition(condition)} was never seen", hint="polyhouse sync markets")
    head = described[0] if described else {}
    names = list(head.get("outcomes", ()))
    first = tokens[0] if tokens else {}
    return {
        "condition_id": format_condition(condition),
        "question": head.get("question"),
        "slug": head.get("slug"),
        "category": first.get("category"),
        "neg_risk": bool(head["neg_risk"]) if head else None,
        "closed": bool(head["closed"]) if head else None,
        "end_at": moment(head.get("end_at")),
        "resolved_at": moment(first.get("resolved_at")),
        "outcomes": [_outcome(row, names) for row in tokens],
        "holders": _holders(warehouse, bound),
    }


def _outcome(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    index, resolved = int(row["outcome"]), bool(row["resolved"])
    return {
        "outcome_index": index,
        "outcome": names[index] if index < len(names) else None,
        "token_id": str(int(row["token_hex"], 16)),
        "mark": money(row["mark_e6"]),
        "mark_source": row["mark_source"] or None,
        "resolved": resolved,
        "payout_numerator": int(row["numerator"]) if resolved else None,
        "payout_denominator": int(row["denominator"]) if resolved else None,
        "provisional": bool(row["provisional"]) if resolved else None,
    }


def _holders(warehouse: Warehouse, bound: dict[str, str]) -> list[dict[str, Any]]:
    rows = _rows(
        warehouse,
        "SELECT lower(hex(wallet)) AS wallet_hex, outcome, shares + external_shares AS held, realized, unrealized"
        f" FROM positions FINAL WHERE condition = {_CONDITION} AND held > 0"
        f" ORDER BY held DESC, wallet, outcome LIMIT {HOLDERS}",
        bound,
    )
    return [
        {
            "wallet": f"0x{row['wallet_hex']}",
            "outcome_index": int(row["outcome"]),
            "shares": money(row["held"]),
            "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]),
        }
        for row in rows
    ]


def _rows(warehouse: Warehouse, sql: str, bound: dict[str, str]) -> list[dict[str, Any]]:
    result = warehouse.query(sql, bound)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]
