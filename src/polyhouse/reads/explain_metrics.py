"""The rows that a metric of the catalogue was computed from, and the inputs that its expression made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from polyhouse.domain.ids import format_address, format_token
from polyhouse.metrics.catalogue import METRIC_WINDOWS, RELATIONS, Metric, Relation
from polyhouse.models.build import WINDOWS, model_sql
from polyhouse.models.metric_plan import AGGREGATES, GIVEN_PARTS, needed, with_parts
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment
from polyhouse.reads.explain_scope import OF_WALLET, Scope, query
from polyhouse.reads.metrics import metrics
from polyhouse.reads.table import readable
from polyhouse.reads.totals import OVERALL

_DAY_SECONDS = 86_400
_RELATIONS = {relation.name: relation for relation in RELATIONS}
_NAMED = re.compile(r"/\*named: (.*?)\*/")
"""In a relation's model file: columns that builds do not need, and that say where a row comes from."""
_CALL = re.compile(rf"\b(?:{'|'.join(AGGREGATES)})(?:If)?\(")
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_NOTHING: dict[str, Any] = {
    "inputs": [],
    "terms": [],
    "rows_are": None,
    "rows": [],
    "count": 0,
    "unknown": 0,
    "sum": None,
}


def explain_metric(warehouse: Warehouse, metric: Metric, scope: Scope, limit: int, offset: int) -> dict[str, Any]:
    """The part of the explanation that a metric fills.

    ``rows`` show what the expression saw: money in micro-USDC, shares in micro-shares, times in Unix seconds;
    ``inputs`` are the named parts of the expression, each with its own; a list among them is shown by its length.
    ``adds_up``: whether the expression gives the stored value again.

    Args:
        warehouse: with built models.
        metric: of the catalogue.
        scope: wallet, category and window.
        limit: rows of a page. offset: rows to pass over.

    Raises:
        BadInputError: metrics have no such window.
    """
    document = metrics(warehouse, format_address(scope.wallet), category=scope.category, window=scope.window)
    entries = {entry["name"]: entry for entry in document["metrics"]}
    entry = entries[metric.name]
    body: dict[str, Any] = {
        "as_of": document["as_of"], "meaning": metric.meaning, "formula": metric.formula, "source": metric.source,
        "measure": metric.unit, "value": entry["value"], "status": entry["status"], "sample": entry["sample"],
        "minimum_sample": metric.minimum_sample, **_NOTHING, "adds_up": None, "limit": limit, "offset": offset,
        "next_offset": None,
    }  # fmt: skip
    if metric.of_metrics:
        named = dict.fromkeys(word for word in _WORD.findall(metric.sql) if word in entries)
        further = {"category": scope.category, "window": scope.window}
        body["inputs"] = [
            {"name": name, "value": entries[name]["value"], "next": {"name": f"metric.{name}", **further}}
            for name in named
        ]
    elif metric.sql and entry["sample"]:
        body |= _from_rows(warehouse, metric, scope, _seconds(document["as_of"]), limit, offset)
        body["adds_up"] = body.pop("again") == entry["value"] or entry["value"] is None
    return body


def _seconds(text: str) -> int:
    from polyhouse.domain.times import parse_time

    return parse_time(text)


def _from_rows(
    warehouse: Warehouse, metric: Metric, scope: Scope, as_of: int, limit: int, offset: int
) -> dict[str, Any]:
    """The metric's rows and inputs, and the value that the expression gives ``again``."""
    relation = _RELATIONS[metric.relation]
    scope = replace(scope, as_of=as_of)
    rows = _entered(relation, scope)
    seconds = METRIC_WINDOWS[scope.window] * _DAY_SECONDS
    parts = {"window_seconds": f"toInt64({seconds})", "n": "toInt64(count())"} | dict(relation.parts)
    used = needed(parts, [metric.sql])
    inputs = _of_all_rows(used)
    chosen = ", ".join([*(f"{name} AS {name}_" for name in inputs), f"{metric.sql} AS again"])
    (values,) = query(warehouse, f"{with_parts(used)}SELECT {chosen} FROM ({rows})", _bound(scope))
    page, count = relation_page(warehouse, metric.relation, scope, limit, offset)
    following = offset + len(page)
    return {
        "inputs": [
            {"name": name, "value": _shown(value), "formula": used[name], "next": None}
            for name, value in zip(inputs, values.values(), strict=False)
        ],
        "rows_are": relation.name, "rows": page, "count": count,
        "again": readable(values["again"]), "next_offset": following if following < count else None,
    }  # fmt: skip


def _of_all_rows(parts: Mapping[str, str]) -> list[str]:
    """Those parts that say something about all rows together; the others are columns of each row."""
    found: list[str] = []
    for name, sql in parts.items():
        if name in GIVEN_PARTS or _CALL.search(sql) or set(_WORD.findall(sql)) & set(found):
            found.append(name)
    return found


def relation_page(
    warehouse: Warehouse, relation: str, scope: Scope, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """A page of the rows of a relation that belong to a wallet, category and window, and how many there are.

    Args:
        warehouse: with built models.
        relation: its name.
        scope: wallet, category, window and its end.
        limit: rows of a page. offset: rows to pass over.
    """
    rows, bound = _entered(_RELATIONS[relation], scope), _bound(scope)
    (counted,) = query(warehouse, f"SELECT count() AS n FROM ({rows})", bound)
    page = query(
        warehouse,
        f"SELECT at, * EXCEPT (at, wallet) FROM ({rows}) ORDER BY ALL LIMIT {int(limit)} OFFSET {int(offset)}",
        bound,
    )
    hashes = _hashes(warehouse, scope, page) if page and "tx_key" in page[0] else {}
    return [_row(row, hashes) for row in page], int(counted["n"])


def _entered(relation: Relation, scope: Scope) -> str:
    """SELECT of the rows of a relation that belong to a wallet, category and window."""
    conditions = ["1"]
    if relation.has_overall or scope.category != OVERALL:
        conditions.append("category = {category:String}")
    if METRIC_WINDOWS[scope.window]:
        conditions.append(f"at > {{b_{scope.window}:UInt32}}")
    rows = _NAMED.sub(r"\1", model_sql(relation.name, OF_WALLET))
    return f"SELECT * FROM ({rows}) WHERE {' AND '.join(conditions)}"


def _bound(scope: Scope) -> dict[str, Any]:
    starts = {f"b_{name}": max(scope.as_of - days * _DAY_SECONDS, 0) for name, days in WINDOWS.items()}
    return scope.bound() | starts | {"as_of": scope.as_of}


def _shown(value: Any) -> Any:
    return f"{len(value)} values" if isinstance(value, list | tuple) else readable(value)


def _hashes(warehouse: Warehouse, scope: Scope, page: list[dict[str, Any]]) -> dict[int, str]:
    """Key → hash of the transactions on a page."""
    rows = query(
        warehouse,
        f"SELECT DISTINCT sipHash64(tx) AS tx_key, lower(hex(tx)) AS tx_hex FROM ledger FINAL WHERE {OF_WALLET}"
        " AND sipHash64(tx) IN ({keys:Array(UInt64)})",
        scope.bound() | {"keys": [row["tx_key"] for row in page]},
    )
    return {int(row["tx_key"]): f"0x{row['tx_hex']}" for row in rows}


def _row(row: dict[str, Any], hashes: dict[int, str]) -> dict[str, Any]:
    """A row as the expression saw it, and what to ask for what stands behind it."""
    shown: dict[str, Any] = {"at": moment(row["at"])}
    shown |= {name: readable(value) for name, value in row.items() if name not in {"at", "token", "tx_key"}}
    if "unit" in row:
        shown["next"] = {"name": "realized", "unit": shown["unit"]}
    if "token" in row:
        token = format_token(bytes(row["token"]))
        shown |= {"token_id": token, "tx_hash": hashes.get(int(row["tx_key"]))}
        shown["next"] = {"name": "realized", "token": token}
    return shown
