"""Several questions about one thing as one statement.

The engine takes a millisecond to begin a statement, whatever it reads, and longer the more columns it returns. A
document that is made of a dozen small tables is therefore asked for at once: each part comes as rows of JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polyhouse.ports import Warehouse

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        columns: name → SQL of its value: a number, text (ids as hex), a truth value, or a list or map of them.
        rest: the statement behind its columns, ``FROM …``. Its order is lost: whoever wants one sorts.
    """

    columns: Mapping[str, str]
    rest: str


def named(*names: str, **others: str) -> dict[str, str]:
    """Columns of a part: these as they are, and others by their SQL."""
    return {name: name for name in names} | others


def read_parts(warehouse: Warehouse, parts: Mapping[str, Question], bound: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The rows of every part, by its name. Whole numbers are exact, whatever their size; ratios are doubles.

    Args:
        warehouse: the open warehouse.
        parts: name → question; one statement answers all of them.
        bound: parameters of the statement.
    """
    questions = [
        f"SELECT '{name}' AS part, formatRowNoNewline('JSONCompactEachRow', {', '.join(part.columns.values())})"
        f" AS row_text {part.rest}"
        for name, part in parts.items()
    ]
    # A NaN would become a null that nobody notices; as a word it is refused where numbers are read.
    sql = f"{' UNION ALL '.join(questions)} SETTINGS output_format_json_quote_denormals = 1"
    used = {name: value for name, value in bound.items() if f"{{{name}:" in sql}
    found: dict[str, list[Row]] = {name: [] for name in parts}
    for name, text in warehouse.query(sql, used).rows:
        found[name].append(dict(zip(parts[name].columns, json.loads(text), strict=True)))
    return found


def in_order(rows: Sequence[Row], *names: str) -> list[Row]:
    """Rows by these columns, ascending."""
    return sorted(rows, key=lambda row: tuple(row[name] for name in names))
