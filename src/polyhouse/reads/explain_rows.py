"""The rows that a wallet's number is the sum of: its units, or the positions of one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from polyhouse.domain.ids import format_token
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment, money
from polyhouse.reads.explain_numbers import Sum
from polyhouse.reads.explain_scope import OF_WALLET, Scope, query, shown
from polyhouse.reads.explain_windows import WINDOWED, by_unit, part_of, window_parts
from polyhouse.reads.totals import OVERALL


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows, with the number and the sum of all of them; ``unknown`` of them have no contribution."""

    rows: list[dict[str, Any]]
    count: int
    total: int
    unknown: int


def unit_rows(warehouse: Warehouse, number: Sum, name: str, scope: Scope, limit: int, offset: int) -> Page:
    """The units that a number of the wallet is the sum of, largest contributions first."""
    if name in WINDOWED and scope.begin >= 0:
        parts = by_unit(window_parts(warehouse, replace(scope, category=OVERALL)))
        known = {unit.hex(): part_of(name, part) for unit, part in parts.items()}
        page = _page_of(query(warehouse, _units("0", scope), scope.bound()), known, "unit_hex", limit, offset)
    else:
        inner = _units_from_ledger(number, name, scope) if number.row else _units(number.unit, scope)
        page = _page(warehouse, inner, "unit_hex", scope, limit, offset)
    titles = _titles(warehouse, [row["unit_hex"] for row in page.rows])
    page.rows[:] = [
        {
            "unit": f"0x{row['unit_hex']}", "title": titles.get(row["unit_hex"]), "category": row["category"],
            "contribution": shown(row["contribution"], number.measure), "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]), "result": None if row["is_open"] else row["result_word"] or None,
            "closed_at": None if row["is_open"] else moment(row["closed"]),
            "next": {"name": name, "unit": f"0x{row['unit_hex']}", "window": scope.window},
        }
        for row in page.rows
    ]  # fmt: skip
    return page


def position_rows(warehouse: Warehouse, number: Sum, name: str, scope: Scope, limit: int, offset: int) -> Page:
    """The positions that a number of the unit is the sum of, largest contributions first."""
    if name in WINDOWED and scope.begin >= 0:
        parts = window_parts(warehouse, scope)
        known = {token.hex(): part_of(name, {token: part}) for token, part in parts.items()}
        page = _page_of(query(warehouse, _positions("0", scope), scope.bound()), known, "token_hex", limit, offset)
    else:
        inner = _positions_from_ledger(number, name, scope) if number.row else _positions(number.position, scope)
        page = _page(warehouse, inner, "token_hex", scope, limit, offset)
    page.rows[:] = [
        {
            "token_id": format_token(bytes.fromhex(row["token_hex"])), "condition_id": f"0x{row['condition_hex']}",
            "outcome_index": int(row["outcome"]), "contribution": shown(row["contribution"], number.measure),
            "shares": money(row["shares"]), "cost": money(row["cost"]), "realized": money(row["realized"]),
            "unrealized": money(row["unrealized"]), "mark": money(row["mark_e6"]), "mark_source": row["mark_source"],
            "status": row["status_word"],
            "next": {
                "name": name, "token": format_token(bytes.fromhex(row["token_hex"])), "window": scope.window,
            },
        }
        for row in page.rows
    ]  # fmt: skip
    return page


def _units(part: str, scope: Scope) -> str:
    inside = scope.after("toUnixTimestamp(u.closed_ts)")
    return f"SELECT {_UNIT_COLUMNS}, {part.replace('{inside}', inside)} AS contribution FROM ({scope.units()}) AS u"


_UNIT_COLUMNS = (
    "lower(hex(u.unit)) AS unit_hex, u.category AS category, u.realized AS realized, u.unrealized AS unrealized,"
    " toString(u.result) AS result_word, u.is_open AS is_open, toUnixTimestamp(u.closed_ts) AS closed"
)
_POSITION_COLUMNS = (
    "lower(hex(p.token)) AS token_hex, lower(hex(p.condition)) AS condition_hex, p.outcome AS outcome,"
    " p.shares AS shares, p.cost AS cost, p.realized AS realized, p.unrealized AS unrealized, p.mark_e6 AS mark_e6,"
    " p.mark_source AS mark_source, toString(p.status) AS status_word"
)


def _units_from_ledger(number: Sum, name: str, scope: Scope) -> str:
    part = f"toInt64(uniqExactIf(h.condition, {number.row} = 1))" if name == "markets" else f"sum({number.row})"
    return (
        f"SELECT {_UNIT_COLUMNS}, c.part AS contribution FROM (SELECT * FROM units FINAL WHERE {OF_WALLET}) AS u"
        f" INNER JOIN (SELECT h.unit AS unit, {part} AS part {_moved(scope)} GROUP BY unit) AS c ON c.unit = u.unit"
    )


def _positions(part: str, scope: Scope) -> str:
    return f"SELECT {_POSITION_COLUMNS}, {part} AS contribution FROM ({scope.positions()}) AS p"


def _positions_from_ledger(number: Sum, name: str, scope: Scope) -> str:
    parts = f"SELECT h.token AS token, sum({number.row}) AS part {_moved(scope)} GROUP BY token"
    part = "c.part"
    if name == "markets":
        part = "toInt64(c.part > 0 AND p.outcome = minIf(p.outcome, c.part > 0) OVER (PARTITION BY p.condition))"
    return (
        f"SELECT {_POSITION_COLUMNS}, {part} AS contribution FROM ({scope.positions()}) AS p"
        f" INNER JOIN ({parts}) AS c ON c.token = p.token"
    )


def _moved(scope: Scope) -> str:
    """Ledger rows (l) of the window with their positions (h)."""
    return (
        f"FROM (SELECT * FROM ledger FINAL WHERE {OF_WALLET} AND {scope.after('toUnixTimestamp(ts)')}) AS l"
        f" INNER JOIN ({scope.positions()}) AS h ON h.token = l.token"
    )


def _page(warehouse: Warehouse, inner: str, key: str, scope: Scope, limit: int, offset: int) -> Page:
    counted = f"({inner}) WHERE contribution IS NULL OR contribution != 0"
    bound = scope.bound()
    ((count, total, unknown),) = warehouse.query(
        f"SELECT count(), sum(toInt128(ifNull(contribution, 0))), countIf(contribution IS NULL) FROM {counted}",
        {name: value for name, value in bound.items() if f"{{{name}:" in inner},
    ).rows
    rows = query(
        warehouse,
        f"SELECT * FROM {counted} ORDER BY contribution IS NULL DESC, abs(toInt128(ifNull(contribution, 0))) DESC,"
        f" {key} LIMIT {int(limit)} OFFSET {int(offset)}",
        bound,
    )
    return Page(rows, int(count), int(total), int(unknown))


def _page_of(rows: list[dict[str, Any]], known: Mapping[str, int | None], key: str, limit: int, offset: int) -> Page:
    """The same from rows whose contributions are worked out here."""
    rows = [row | {"contribution": known[row[key]]} for row in rows if row[key] in known and known[row[key]] != 0]
    rows.sort(key=lambda row: (row["contribution"] is not None, -abs(row["contribution"] or 0), row[key]))
    total = sum(int(row["contribution"] or 0) for row in rows)
    unknown = sum(row["contribution"] is None for row in rows)
    return Page(rows[offset : offset + limit], len(rows), total, unknown)


def _titles(warehouse: Warehouse, units: list[str]) -> dict[str, str]:
    """Unit → question of its condition, or title of the event of its neg-risk market."""
    if not units:
        return {}
    rows = query(
        warehouse,
        "SELECT lower(hex(m.id)) AS unit_hex, argMax(m.text, length(m.text)) AS title FROM"
        " (SELECT condition AS id, question AS text FROM markets_current UNION ALL"
        "  SELECT neg_risk_market, title FROM events_current WHERE neg_risk_market != '') AS m"
        " WHERE m.id IN (SELECT unhex(arrayJoin({units:Array(String)}))) GROUP BY m.id",
        {"units": units},
    )
    return {row["unit_hex"]: row["title"] for row in rows if row["title"]}
