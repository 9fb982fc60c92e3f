"""Several questions about one thing as one statement.

The engine takes a millisecond to begin a statement, whatever it reads, and longer the more columns it returns. A
document that is made of several small tables is therefore asked for at once: each part comes as rows of text or bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polyhouse.models.questions import Part, Row
from polyhouse.ports import Warehouse


def read_parts(warehouse: Warehouse, parts: Mapping[str, Part], bound: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The rows of every part, by its name.

    Args:
        warehouse: the open warehouse.
        parts: name → question; one statement answers all of them.
        bound: parameters of the statement.
    """
    return read_parts_and(warehouse, parts, "", bound)[0]


def read_parts_and(
    warehouse: Warehouse, parts: Mapping[str, Part], more: str, bound: Mapping[str, Any]
) -> tuple[dict[str, list[Row]], dict[str, bytes]]:
    """The same, and by name the content of whatever else a SELECT of ``part`` and ``part_bytes`` finds.

    Args:
        warehouse: the open warehouse.
        parts: name → question.
        more: the SELECT; its parts have other names. "" = none.
        bound: parameters of the statement.
    """
    questions = [f"SELECT '{name}' AS part, {part.text} AS part_bytes {part.rest}" for name, part in parts.items()]
    # A NaN would become a null that nobody notices; as a word it is refused where numbers are read.
    sql = f"{' UNION ALL '.join([*questions, *filter(None, [more])])} SETTINGS output_format_json_quote_denormals = 1"
    used = {name: value for name, value in bound.items() if f"{{{name}:" in sql}
    found: dict[str, list[bytes]] = {name: [] for name in parts}
    others: dict[str, bytes] = {}
    for name, content in warehouse.query(sql, used).rows:
        if name in found:
            found[name].append(content)
        else:
            others[name] = content
    return {name: part.rows(found[name]) for name, part in parts.items()}, others


def in_order(rows: Sequence[Row], *names: str) -> list[Row]:
    """Rows by these columns, ascending."""
    return sorted(rows, key=lambda row: tuple(row[name] for name in names))
