"""Where a number of a wallet comes from: over units and positions down to ledger rows with their transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from polyhouse.domain.ids import format_address, format_token, parse_address, parse_hash, parse_token
from polyhouse.errors import BadInputError
from polyhouse.metrics.catalogue import Metric, find
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment
from polyhouse.reads.explain_metrics import explain_metric
from polyhouse.reads.explain_numbers import DERIVED, POSITION, SUMS, UNIT, WALLET, Derived, Sum
from polyhouse.reads.explain_rows import Page, position_rows, unit_rows
from polyhouse.reads.explain_scope import OF_WALLET, Scope, check_exists, newest_of, query, shown
from polyhouse.reads.explain_scores import SCORES, explain_score
from polyhouse.reads.explain_steps import income_rows, position_steps, trade_row
from polyhouse.reads.explain_windows import WINDOWED, window_parts
from polyhouse.reads.totals import OVERALL, SELECT_LIST, check_category, check_window, no_totals, totals_document

LIMIT = 100
MAX_LIMIT = 10_000
SOURCE = "accounting §3.5"
_TIMES = {"first_trade_at": "Time of the first fill", "last_trade_at": "Time of the last fill"}


def explain(
    warehouse: Warehouse, address: str, name: str, *, category: str = OVERALL, window: str = "lifetime",
    unit: str | None = None, token: str | None = None, limit: int = LIMIT, offset: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Explain one number of a wallet, of one of its units or of one of its positions.

    ``rows`` are what the number is the sum of, each with its ``contribution``: units of a wallet, positions of a unit,
    ledger rows of a position (``rows_are`` says which). ``sum`` adds up the contributions of all ``count`` rows and the
    ``terms``, other pages included; ``adds_up`` says whether that is the number. ``inputs`` are the numbers that
    a derived one is made of. ``next`` holds the arguments that explain a row or an input further.

    Args:
        warehouse: with built models.
        address: ``0x`` and 40 hex digits, any case.
        name: a number of the wallet document, or a metric of the catalogue (``metric.NAME`` where both have the name).
        category: of the wallet's numbers.
        window: ``1d`` … ``180d``, ``lifetime``.
        unit: condition id or neg-risk market id: the number of this unit.
        token: decimal token id: the number of this position.
        limit: rows of a page. offset: rows to pass over.

    Raises:
        BadInputError: malformed ids, an unknown name, category or window, or a number that does not exist there.
    """
    _check_page(limit, offset)
    scope = _scope(Scope(parse_address(address), check_category(category), check_window(window)), unit, token)
    scope = replace(scope, as_of=newest_of(warehouse, scope))
    level = POSITION if scope.token else UNIT if scope.unit else WALLET
    check_exists(warehouse, scope)
    metric = _metric(name) if level == WALLET else None
    if name in SCORES and level == WALLET:
        body = explain_score(warehouse, name, scope, limit, offset)
    elif metric is not None:
        body = explain_metric(warehouse, metric, scope, limit, offset)
    elif name in _TIMES and level == WALLET:
        body = _time(warehouse, scope, name)
    else:
        definition = SUMS.get(name) or DERIVED.get(name)
        if definition is None or level not in definition.levels:
            raise _unknown(name, level)
        body = _of(definition)(warehouse, definition, name, scope, level, limit, offset)
    return {
        "wallet": format_address(scope.wallet),
        "name": name,
        "level": level,
        "category": category if level == WALLET else None,
        "window": window,
        "unit": f"0x{scope.unit.hex()}" if scope.unit else None,
        "token_id": format_token(scope.token) if scope.token else None,
        "as_of": moment(scope.as_of),
        "source": SOURCE,
        **body,
    }


def _scope(scope: Scope, unit: str | None, token: str | None) -> Scope:
    if unit is not None and token is not None:
        raise BadInputError("give either a unit or a token", hint="a token belongs to one unit")
    if token is not None:
        return replace(scope, token=parse_token(token))
    return scope if unit is None else replace(scope, unit=parse_hash(unit, "unit id"))


def _metric(name: str) -> Metric | None:
    """The metric that is meant: by ``metric.NAME``, or by its name where the wallet itself has no such number."""
    if name in SUMS or name in DERIVED or name in _TIMES:
        return None
    return find(name.removeprefix("metric."))


_Explained = Callable[..., dict[str, Any]]


def _of(definition: Sum | Derived) -> _Explained:
    return _sum if isinstance(definition, Sum) else _derived


def _sum(
    warehouse: Warehouse, number: Sum, name: str, scope: Scope, level: str, limit: int, offset: int
) -> dict[str, Any]:
    if level == WALLET:
        return _wallet_sum(warehouse, number, name, scope, limit, offset)
    value = _part(warehouse, number, name, scope, level)
    if level == POSITION:
        return _position_sum(warehouse, number, name, scope, value, limit, offset)
    if not (number.position or number.row):
        realized = _part(warehouse, SUMS["realized"], "realized", replace(scope, window="lifetime"), level)
        inputs = [_input("realized", realized, "usd", scope, window="lifetime")]
        return _document(number, value, Page([], 0, value or 0, 0), "positions", limit, offset, inputs=inputs)
    # A unit without such a number has positions that are part of none.
    is_part = value != 0 or name not in {"gains", "losses_abs", "unrealized_marked"}
    page = position_rows(warehouse, number, name, scope, limit, offset) if is_part else Page([], 0, 0, 0)
    if name in {"gains", "losses_abs"}:
        for row in page.rows:
            row["next"] |= {"name": "realized", "window": "lifetime"}
    return _document(number, value, page, "positions", limit, offset)


def _wallet_sum(warehouse: Warehouse, number: Sum, name: str, scope: Scope, limit: int, offset: int) -> dict[str, Any]:
    value = _stored_total(_totals(warehouse, scope), name)
    if name == "income":
        rows, count, total = income_rows(warehouse, scope, limit, offset)
        if scope.category != OVERALL:
            rows, count, total = [], 0, 0
        return _document(number, value, Page(rows, count, total, 0), "ledger", limit, offset)
    return _document(number, value, unit_rows(warehouse, number, name, scope, limit, offset), "units", limit, offset)


def _position_sum(
    warehouse: Warehouse, number: Sum, name: str, scope: Scope, value: int | None, limit: int, offset: int
) -> dict[str, Any]:
    steps = position_steps(warehouse, number, scope)
    # Numbers without windows describe the position as it stands.
    begin = scope.begin if name in WINDOWED or number.row else -1
    parts = steps.parts(number, begin)
    terms: list[dict[str, Any]] = []
    if name == "unrealized":
        parts = [-part for part in parts]
        terms = _values(warehouse, scope, value)
    total = sum(parts) + sum(int(term.pop("micros")) for term in terms)
    documents = steps.documents(parts, number.measure, min(offset, len(parts)), min(offset + limit, len(parts)))
    page = Page(documents, len(parts), total, 0)
    return _document(number, value, page, "ledger", limit, offset, terms=terms)


def _values(warehouse: Warehouse, scope: Scope, unrealized: int | None) -> list[dict[str, Any]]:
    """What the open shares are worth at their marks now and, in a window, were worth at its start."""
    if unrealized is None:
        return []
    (row,) = query(
        warehouse,
        "SELECT p.unrealized AS now, p.cost AS cost, p.shares AS shares, p.mark_e6 AS mark_e6,"
        f" p.mark_source AS mark_source FROM ({scope.positions()}) AS p",
        scope.bound(),
    )
    now = int(row["now"]) + int(row["cost"])
    terms = [
        {
            "name": "value", "value": shown(now, "usd"), "micros": now, "shares": shown(row["shares"], "shares"),
            "mark": shown(row["mark_e6"], "usd"), "mark_source": row["mark_source"] or None,
            "meaning": "what the open shares are worth at the mark",
        }
    ]  # fmt: skip
    if scope.begin >= 0:
        then = window_parts(warehouse, scope)[scope.token].value_before
        terms.append({
            "name": "value_before", "value": shown(-then, "usd"), "micros": -then, "shares": None, "mark": None,
            "mark_source": None, "meaning": "less what they were worth when the window began",
        })  # fmt: skip
    return terms


def _derived(
    warehouse: Warehouse, number: Derived, name: str, scope: Scope, level: str, _limit: int, _offset: int
) -> dict[str, Any]:
    totals = _totals(warehouse, scope) if level == WALLET else {}
    parts = [
        _stored_total(totals, one) if level == WALLET else _part(warehouse, SUMS[one], one, scope, level)
        for one in number.inputs
    ]
    inputs = [_input(one, part, _measure(one), scope) for one, part in zip(number.inputs, parts, strict=True)]
    if level == WALLET:
        value = totals["document"][name]
    else:
        value = None if None in parts else shown(sum(part for part in parts if part is not None), "usd")
    return {
        "meaning": number.meaning, "formula": number.formula, "measure": number.measure, "value": value,
        "inputs": inputs, "terms": [], "rows_are": None, "rows": [], "count": 0, "unknown": 0, "sum": None,
        "adds_up": None, "limit": None, "offset": 0, "next_offset": None,
    }  # fmt: skip


def _measure(name: str) -> str:
    return SUMS[name].measure if name in SUMS else DERIVED[name].measure


def _input(name: str, amount: int | None, measure: str, scope: Scope, *, window: str = "") -> dict[str, Any]:
    further = {"name": name, "window": window or scope.window}
    if scope.token:
        further["token"] = format_token(scope.token)
    elif scope.unit:
        further["unit"] = f"0x{scope.unit.hex()}"
    else:
        further["category"] = scope.category
    return {"name": name, "value": shown(amount, measure), "next": further}


def _document(
    number: Sum, value: int | None, page: Page, rows_are: str, limit: int, offset: int, *,
    terms: list[dict[str, Any]] | None = None, inputs: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The part of the document that a sum fills."""
    following = offset + len(page.rows)
    return {
        "meaning": number.meaning, "formula": number.formula, "measure": number.measure,
        "value": shown(value, number.measure), "inputs": inputs or [], "terms": terms or [], "rows_are": rows_are,
        "rows": page.rows, "count": page.count, "unknown": page.unknown, "sum": shown(page.total, number.measure),
        "adds_up": None if value is None else page.total == value, "limit": limit, "offset": offset,
        "next_offset": following if following < page.count else None,
    }  # fmt: skip


def _totals(warehouse: Warehouse, scope: Scope) -> dict[str, Any]:
    """The wallet's row of ``wallet_totals``, zeros if it has none, with the published numbers under ``document``."""
    rows = query(
        warehouse,
        f"SELECT {SELECT_LIST} FROM wallet_totals FINAL WHERE {OF_WALLET} AND category = {{category:String}}"
        " AND `window` = {window:String}",
        scope.bound() | {"window": scope.window},
    )
    row: dict[str, Any] = rows[0] if rows else {}
    return {**row, "document": totals_document(row) if row else no_totals()}


def _stored_total(totals: Mapping[str, Any], name: str) -> int | None:
    if name == "position_pnl":
        parts = [_stored_total(totals, part) for part in ("realized", "unrealized")]
        return None if None in parts else sum(part for part in parts if part is not None)
    amount = totals.get(name, 0)
    return None if amount is None else int(amount)


def _part(warehouse: Warehouse, number: Sum, name: str, scope: Scope, level: str) -> int | None:
    """The number of one unit or of one position."""
    if level == POSITION:
        page = position_rows(warehouse, number, name, scope, 1, 0)
    else:
        page = unit_rows(warehouse, number, name, scope, 1, 0)
    return None if page.unknown else page.total


def _time(warehouse: Warehouse, scope: Scope, name: str) -> dict[str, Any]:
    row = trade_row(warehouse, scope, is_first=name == "first_trade_at")
    return {
        "meaning": _TIMES[name], "formula": "time of that ledger row", "measure": "time",
        "value": _totals(warehouse, scope)["document"][name], "inputs": [], "terms": [], "rows_are": "ledger",
        "rows": [row] if row else [], "count": int(row is not None), "unknown": 0, "sum": None, "adds_up": None,
        "limit": 1, "offset": 0, "next_offset": None,
    }  # fmt: skip


def _check_page(limit: int, offset: int) -> None:
    for name, value, least, most in (("limit", limit, 1, MAX_LIMIT), ("offset", offset, 0, 2**31)):
        if type(value) is not int or not least <= value <= most:
            raise BadInputError(f"{name} {value!r} is out of range", hint=f"a whole number from {least} to {most}")


def _unknown(name: str, level: str) -> BadInputError:
    known = [one for numbers in (SUMS, DERIVED) for one, number in numbers.items() if level in number.levels]
    if level == WALLET:
        known += [*_TIMES, *SCORES]
    hint = f"one of: {' '.join(known)}"
    if level == WALLET:
        hint += "; or a metric, see polyhouse metric"
    return BadInputError(f"a {level} has no number {name[:40]!r}", hint=hint)
