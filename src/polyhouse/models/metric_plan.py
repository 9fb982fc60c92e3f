"""How the metrics of a relation are computed with each row read once.

An expression of the catalogue is written as if it saw the rows of one wallet, scope and window. This module finds its
aggregate calls: the engine computes their arguments, once per row; ``segments`` aggregates them over the rows of every
scope and window; and the engine evaluates the expressions with the values in the place of the calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polyhouse.metrics.metric import METRIC_WINDOWS, Relation

_DAY_SECONDS = 86_400
_SPANS = {name: days * _DAY_SECONDS for name, days in METRIC_WINDOWS.items()}
GIVEN_PARTS = {
    "window_seconds": f"transform(longest, {list(_SPANS)}, {list(_SPANS.values())}, toInt64(0))",
    "n": "toInt64(count())",
}
"""Parts that every relation has."""

AGGREGATES = (
    "count", "sum", "min", "max", "argMax", "groupArray", "quantileExactInclusive", "uniqExact", "sumMap", "groupBitOr",
)  # fmt: skip
"""Aggregates that expressions may use, with or without the suffix ``If``."""

_WIDE, _MOST_FACTORS = "toInt128(", 3
_OF_LIST = {"quantileExactInclusive": "arrayReduce('quantileExactInclusive({0})', {1})"}
"""Aggregates that the engine computes from the list of their values."""

# A name that is called; in texts it means nothing, and none of ours holds a bracket.
_CALL = re.compile(rf"\b({'|'.join(AGGREGATES)})(If)?(?=\()")
_NAME = re.compile(r"'(?:[^'\\]|\\.)*'|\b[A-Za-z_]\w*\b")


@dataclass(frozen=True, slots=True)
class Call:
    """An aggregate of rows.

    Attributes:
        function: as in the expression; ``sumProduct`` for the exact sum of products of 64-bit numbers, which the
            expression writes as a ``sum`` of products of which one factor is ``toInt128``.
        columns: names of its arguments.
        condition: name of the column that says which rows count; '' = all.
    """

    function: str
    columns: tuple[str, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a relation is measured.

    Attributes:
        rows_sql: the SELECT of the rows with the arguments of all calls; ``FROM /*rows*/`` stands for the relation.
        arguments: expression over a row → name of its column.
        calls: name of a value → the call.
        parts: name → expression on these values, in order.
        columns: the same of the columns that were asked for.
    """

    rows_sql: str
    arguments: dict[str, str]
    calls: dict[str, Call]
    parts: dict[str, str]
    columns: dict[str, str]

    @property
    def by_window(self) -> bool:
        """Whether the same rows may have other values in another window."""
        return "window_seconds" in self.parts

    def rows_sql_without(self, expressions: Iterable[str]) -> str:
        """``rows_sql`` without the columns of some arguments."""
        sql = self.rows_sql
        for expression in expressions:
            if expression in self.arguments:
                sql = sql.replace(f", {expression} AS {self.arguments[expression]}", "", 1)
        return sql


def plan(relation: Relation, columns: Mapping[str, str], also: Mapping[str, str] | None = None) -> Plan:
    """Divide the expressions of a relation into what is aggregated and what is computed from that.

    Args:
        relation: whose parts the expressions may use.
        columns: name → expression over the rows of one wallet, scope and window.
        also: name → expression: further columns of the rows.
    """
    calls = _Calls()
    parts = GIVEN_PARTS | dict(relation.parts)
    after = {name: calls.replaced(sql) for name, sql in needed(parts, columns.values()).items()}
    made = {name: calls.replaced(sql) for name, sql in columns.items()}
    arguments = {name: sql for sql, name in calls.arguments.items()} | dict(also or {})
    row_parts = needed(parts, arguments.values())
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in arguments.items())
    rows = f"{with_parts(row_parts)}SELECT wallet, toString(category) AS scope, at, {chosen} FROM /*rows*/"
    return Plan(rows, calls.arguments, calls.found, needed(after, made.values()), made)


def with_parts(parts: Mapping[str, str]) -> str:
    """``WITH …`` that names these expressions; nothing if there are none."""
    return f"WITH {', '.join(f'{sql} AS {name}' for name, sql in parts.items())} " if parts else ""


@dataclass(slots=True)
class _Calls:
    """The aggregate calls of some expressions, each once.

    Attributes:
        found: name of a value → the call. values: a call as it is written → what stands for it.
        arguments: expression over a row → name of the column.
    """

    found: dict[str, Call] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)

    def replaced(self, sql: str) -> str:
        """The expression on values; its aggregate calls are noted."""
        pieces, done = [], 0
        for call in _CALL.finditer(sql):
            if call.start() >= done:
                end = _end_of_call(sql, call.end())
                text = sql[call.start() : end]
                if text not in self.values:
                    self.values[text] = self._noted(call[1], bool(call[2]), sql[call.end() : end])
                pieces += [sql[done : call.start()], self.values[text]]
                done = end
        return "".join([*pieces, sql[done:]])

    def _noted(self, function: str, is_conditional: bool, brackets: str) -> str:
        """What stands for a call: the name of its value, or a function of that."""
        end = _end_of_brackets(brackets, 0)
        parameters = brackets[1 : end - 1] if end < len(brackets) else ""
        arguments = _divided(brackets[end + 1 : -1] if parameters else brackets[1:-1])
        if function == "sumMap":
            arguments[: len(arguments) - is_conditional] = [
                _only_item(text) for text in arguments[: len(arguments) - is_conditional]
            ]
        condition = self._column(f"toUInt8({arguments.pop()})") if is_conditional else ""
        if function == "sum":
            function, arguments = _multiplied(arguments[0])
        kind = "groupArray" if function in _OF_LIST else function
        name = f"value_{len(self.found)}"
        self.found[name] = Call(kind, tuple(self._column(text) for text in arguments), condition)
        if function == "sumMap":
            return f"tuple({', '.join(f'{name}_{place + 1}' for place in range(len(arguments)))})"
        return _OF_LIST[function].format(parameters, name) if function in _OF_LIST else name

    def _column(self, sql: str) -> str:
        return self.arguments.setdefault(sql, f"argument_{len(self.arguments)}")


def needed(parts: Mapping[str, str], expressions: Iterable[str]) -> dict[str, str]:
    """The parts that expressions name, and that these name in turn, in the order of ``parts``."""
    found: set[str] = set()
    waiting = list(expressions)
    while waiting:
        new = {name for name in _NAME.findall(waiting.pop()) if name in parts} - found
        found |= new
        waiting += [parts[name] for name in new]
    return {name: sql for name, sql in parts.items() if name in found}


def _only_item(sql: str) -> str:
    """The one item of a list that is written as ``[item]``."""
    if not (sql.startswith("[") and sql.endswith("]") and len(_divided(sql[1:-1])) == 1):
        raise ValueError(f"sumMap takes lists of one item, not {sql}")
    return sql[1:-1]


def _multiplied(sql: str) -> tuple[str, list[str]]:
    """How to sum an expression up, and its factors: 64-bit numbers whose product has 128, or the expression."""
    factors = _divided(sql, "*")
    narrow = [
        factor[len(_WIDE) : -1] if factor.startswith(_WIDE) and _end_of_call(factor, len(_WIDE) - 1) == len(factor)
        else factor for factor in factors
    ]  # fmt: skip
    is_wide = narrow != factors and len(factors) <= _MOST_FACTORS and not any(_has_sums(factor) for factor in factors)
    return ("sumProduct", narrow) if is_wide else ("sum", [sql])


def _has_sums(factor: str) -> bool:
    """Whether more than the factor belongs to an expression that is no product."""
    return any(len(_divided(factor, sign)) > 1 for sign in "+-/%<>=")


def _divided(sql: str, mark: str = ",") -> list[str]:
    """Arguments, divided at the commas (or another mark) that are inside of no bracket and no text."""
    pieces, depth, is_text, start = [], 0, False, 0
    for place, sign in enumerate(sql):
        if sign == "'":
            is_text = not is_text
        elif not is_text:
            depth += (sign in "([") - (sign in ")]")
            if sign == mark and not depth:
                pieces.append(sql[start:place].strip())
                start = place + 1
    return [*pieces, sql[start:].strip()] if sql.strip() else []


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
