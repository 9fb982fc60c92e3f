"""One market: outcomes and payouts, who holds it and how good they are, prices, flow, who earned (docs/market.md)."""

from __future__ import annotations

from typing import Any

from polyhouse.domain.ids import format_condition
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.builds import newest_build_time
from polyhouse.reads.exact import moment, money
from polyhouse.reads.market_flow import flow, price_history, traders
from polyhouse.reads.market_holders import (
    Outcome,
    holder_document,
    holders_of,
    positions_of,
    records_of,
    smart_split,
    split_document,
    value_of,
)
from polyhouse.reads.market_id import UnknownMarketError, find_condition

__all__ = ["HOLDERS", "MAX_HOLDERS", "UnknownMarketError", "market"]

HOLDERS = 20
MAX_HOLDERS = 1_000
_CONDITION = "unhex({condition:String})"


def market(warehouse: Warehouse, condition_id: str, *, holders: int = HOLDERS) -> dict[str, Any]:
    """The market document.

    ``holders`` are the largest by value, by our ledger and as reported; ``smart_money`` splits all of them;
    ``traders`` are those who earned and lost most; ``flow`` is maker and taker volume over time and ``prices`` the
    price of the first outcome.

    Args:
        warehouse: the open warehouse.
        condition_id: a condition id, a token id or a slug.
        holders: how many holders and traders are listed at most; all are counted.

    Raises:
        BadInputError: a malformed id, the slug of several markets, a number out of range.
        UnknownMarketError: no source named it.
    """
    if type(holders) is not int or not 1 <= holders <= MAX_HOLDERS:
        raise BadInputError(f"holders {holders!r} is out of range", hint=f"a whole number from 1 to {MAX_HOLDERS}")
    condition = find_condition(warehouse, condition_id)
    bound = {"condition": condition.hex()}
    described = _rows(
        warehouse,
        "SELECT question, slug, outcomes, closed, neg_risk, toUnixTimestamp(end_ts) AS end_at FROM markets_current"
        f" WHERE condition = {_CONDITION} ORDER BY length(outcomes) > 0 DESC, source = 'gamma' DESC, source LIMIT 1",
        bound,
    )
    tokens = _rows(
        warehouse,
        "SELECT token, outcome, category, resolved, numerator, denominator, mark_e6,"
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
        "as_of": moment(newest_build_time(warehouse)),
        "outcomes": [_outcome(row, names) for row in tokens],
        **_people(warehouse, [_as_outcome(row) for row in tokens], holders),
    }


def _people(warehouse: Warehouse, outcomes: list[Outcome], limit: int) -> dict[str, Any]:
    """What needs the outcomes: nothing of it without tokens."""
    if not outcomes:
        return {"holder_count": 0, "holders": [], "smart_money": None, "traders": None, "flow": None, "prices": None}
    marks = {one.index: one.mark_e6 for one in outcomes}
    positions = positions_of(warehouse, outcomes)
    found = holders_of(warehouse, outcomes, positions)
    records = records_of(warehouse, sorted({one.wallet for one in found} | {one.wallet for one in positions}))
    largest = sorted(found, key=lambda one: (-(value_of(one, marks) or 0), -one.shares, one.wallet, one.outcome))
    return {
        "holder_count": len(found),
        "holders": [holder_document(one, records.get(one.wallet), marks) for one in largest[:limit]],
        "smart_money": split_document(smart_split(found, records, outcomes)),
        "traders": traders(positions, records, limit),
        "flow": flow(warehouse, outcomes, positions),
        "prices": price_history(warehouse, outcomes),
    }


def _as_outcome(row: dict[str, Any]) -> Outcome:
    """A resolved outcome is worth its payout."""
    resolved = bool(row["resolved"])
    mark = row["mark_e6"]
    if resolved:
        mark = int(row["numerator"]) * 1_000_000 // max(int(row["denominator"]), 1)
    return Outcome(bytes(row["token"]), int(row["outcome"]), mark, resolved)


def _outcome(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    index, resolved = int(row["outcome"]), bool(row["resolved"])
    return {
        "outcome_index": index,
        "outcome": names[index] if index < len(names) else None,
        "token_id": str(int.from_bytes(bytes(row["token"]), "big")),
        "mark": money(row["mark_e6"]),
        "mark_source": row["mark_source"] or None,
        "resolved": resolved,
        "payout_numerator": int(row["numerator"]) if resolved else None,
        "payout_denominator": int(row["denominator"]) if resolved else None,
        "provisional": bool(row["provisional"]) if resolved else None,
    }


def _rows(warehouse: Warehouse, sql: str, bound: dict[str, str]) -> list[dict[str, Any]]:
    result = warehouse.query(sql, bound)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]
