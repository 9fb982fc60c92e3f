"""How the metrics of a relation are computed with each row read once.

A row belongs to up to two scopes and four windows. Aggregating it in each of them would cost eight times as much, so
rows are summed up once, per wallet, category and age (the span between two window starts), as states of the engine; the
states of a scope and window are merged; and the catalogue's expressions are evaluated on what comes out. An expression
is written as if it saw the rows: this module finds its aggregate calls and puts the merged values in their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polyhouse.metrics.metric import METRIC_WINDOWS, Relation

OVERALL = "overall"
_DAY_SECONDS = 86_400
_SPANS = {name: days * _DAY_SECONDS for name, days in METRIC_WINDOWS.items()}
GIVEN_PARTS = {
    "window_seconds": f"transform(toString(window), {list(_SPANS)}, {list(_SPANS.values())}, toInt64(0))",
    "n": "toInt64(count())",
}
"""Parts that every relation has."""

AGGREGATES = (
    "count", "sum", "min", "max", "argMin", "argMax", "groupArray", "quantileExactInclusive", "uniqExact", "sumMap",
    "groupBitOr",
)  # fmt: skip
"""Aggregates that expressions may use, with or without the suffix ``If``: their states merge in any order."""

# A name that is called; in texts it means nothing, and none of ours holds a bracket.
_CALL = re.compile(rf"\b(?:{'|'.join(AGGREGATES)})(?:If)?(?=\()")
_NAME = re.compile(r"'(?:[^'\\]|\\.)*'|\b[A-Za-z_]\w*\b")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a relation is measured.

    Attributes:
        values_sql: SELECT of one row per wallet, scope (``overall`` or a category) and window with the values of all
            aggregate calls, from the relation's rows. Takes the starts of the windows as parameters.
        parts: name → expression on these values, in order.
        columns: the same of the columns that were asked for.
    """

    values_sql: str
    parts: dict[str, str]
    columns: dict[str, str]


def plan(relation: Relation, columns: Mapping[str, str]) -> Plan:
    """Divide the expressions of a relation into what is aggregated and what is computed from that.

    Args:
        relation: whose parts the expressions may use.
        columns: name → expression over the rows of one wallet, scope and window.
    """
    calls = _Calls()
    parts = GIVEN_PARTS | dict(relation.parts)
    after = {name: calls.replaced(sql) for name, sql in needed(parts, columns.values()).items()}
    made = {name: calls.replaced(sql) for name, sql in columns.items()}
    sql = _values_sql(relation, calls, needed(parts, calls.names))
    return Plan(sql, needed(after, made.values()), made)


def with_parts(parts: Mapping[str, str]) -> str:
    """``WITH …`` that names these expressions; nothing if there are none."""
    return f"WITH {', '.join(f'{sql} AS {name}' for name, sql in parts.items())} " if parts else ""


def _values_sql(relation: Relation, calls: _Calls, row_parts: Mapping[str, str]) -> str:
    spans = sorted((days, name) for name, days in METRIC_WINDOWS.items() if days)
    windows = [name for _, name in spans] + [name for name, days in METRIC_WINDOWS.items() if not days]
    ages = ", ".join(f"at > {{b_{name}:UInt32}}, {age}" for age, (_, name) in enumerate(spans))
    scope = "group" if relation.has_overall else f"arrayJoin(['{OVERALL}', group])"
    states = (
        f"{with_parts(row_parts)}SELECT wallet, toString(category) AS group, multiIf({ages}, {len(spans)}) AS age,"
        f" {', '.join(calls.states())} FROM {relation.name} GROUP BY wallet, group, age"
    )
    placed = f"SELECT *, {scope} AS scope, arrayJoin(arraySlice({windows}, age + 1)) AS window FROM ({states})"
    return f"SELECT wallet, scope, window, {', '.join(calls.values())} FROM ({placed}) GROUP BY wallet, scope, window"


@dataclass(slots=True)
class _Calls:
    """The aggregate calls of some expressions, each once: call → name of its value."""

    names: dict[str, str] = field(default_factory=dict)

    def replaced(self, sql: str) -> str:
        """The expression on values; its aggregate calls are noted."""
        pieces, done = [], 0
        for call in _CALL.finditer(sql):
            if call.start() >= done:
                end = _end_of_call(sql, call.end())
                pieces += [sql[done : call.start()], self._name(sql[call.start() : end])]
                done = end
        return "".join([*pieces, sql[done:]])

    def _name(self, call: str) -> str:
        return self.names.setdefault(call, f"value_{len(self.names)}")

    def states(self) -> list[str]:
        """Columns with the states of some rows."""
        return [call.replace("(", "State(", 1) + f" AS {name}" for call, name in self.names.items()]

    def values(self) -> list[str]:
        """Columns with the values of some states, under the same names."""
        return [f"{_merged(call, name)} AS {name}" for call, name in self.names.items()]


def _merged(call: str, state: str) -> str:
    start = call.index("(")
    end = _end_of_brackets(call, start)
    parameters = call[start:end] if end < len(call) else ""
    return f"{call[:start]}Merge{parameters}({state})"


def needed(parts: Mapping[str, str], expressions: Iterable[str]) -> dict[str, str]:
    """The parts that expressions name, and that these name in turn, in the order of ``parts``."""
    found: set[str] = set()
    waiting = list(expressions)
    while waiting:
        new = {name for name in _NAME.findall(waiting.pop()) if name in parts} - found
        found |= new
        waiting += [parts[name] for name in new]
    return {name: sql for name, sql in parts.items() if name in found}


def _end_of_call(sql: str, start: int) -> int:
    """Behind the last bracket of the call whose first one is at ``start``; an aggregate may have two pairs."""
    end = _end_of_brackets(sql, start)
    return _end_of_brackets(sql, end) if sql[end : end + 1] == "(" else end


def _end_of_brackets(sql: str, start: int) -> int:
    depth, is_text = 0, False
    for place in range(start, len(sql)):
        sign = sql[place]
        if sign == "'":
            is_text = not is_text
        elif not is_text:
            depth += (sign == "(") - (sign == ")")
            if not depth:
                return place + 1
    raise ValueError(f"brackets that do not close: {sql}")
