"""The MERGE statements: by full identity, inside the partitions that the staged rows touch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from polyhouse.warehouse.bigquery.schema import KINDS, Table

MAX_RANGES = 200
"""More ranges of days than this are joined to one: a statement has a length limit too."""


def day_ranges(days: Sequence[date]) -> list[tuple[date, date]]:
    """Days as ranges [first, after last), joined where they follow each other."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] == day:
            ranges[-1] = (ranges[-1][0], day + timedelta(days=1))
        else:
            ranges.append((day, day + timedelta(days=1)))
    return ranges if len(ranges) <= MAX_RANGES else [(ranges[0][0], ranges[-1][1])]


def merge_sql(
    table: Table,
    source: str,
    *,
    days: Sequence[date] | None,
    only_new: bool = False,
    is_whole: bool = False,
) -> str:
    """MERGE of staged rows into a table, idempotent.

    Args:
        table: the target.
        source: a table or SELECT in parentheses with the columns and ``op``: ``D`` = the row does not exist any more.
        days: the partitions that the rows lie in; None = no filter.
        only_new: no staged row has a key that the table may have, so that only key columns are read.
        is_whole: the staged rows are all there are; others are removed.
    """
    same = " AND ".join(f"T.{name} = S.{name}" for name in table.key)
    if not is_whole:
        same += _any_day(table, days, "T.")
    others = [name for name in table.columns if name not in table.key]
    names = ", ".join(table.columns)
    clauses = []
    if not only_new:
        clauses.append("WHEN MATCHED AND S.op = 'D' THEN DELETE")
        if others:
            differs = " OR ".join(_differs(name, table.columns[name]) for name in others)
            changed = ", ".join(f"{name} = S.{name}" for name in others)
            clauses.append(f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {changed}")
    clauses.append(
        f"WHEN NOT MATCHED AND S.op <> 'D' THEN INSERT ({names})"
        f" VALUES ({', '.join(f'S.{name}' for name in table.columns)})"
    )
    if is_whole:
        clauses.append("WHEN NOT MATCHED BY SOURCE THEN DELETE")
    return f"MERGE {table.name} AS T USING {source} AS S ON {same}\n" + "\n".join(clauses)


def computed_source(table: Table, rows: str, chosen: str, days: Sequence[date] | None = None) -> str:
    """Rows as they should be, and with ``op`` D those that the table has among the chosen ones and ``rows`` has not.

    Args:
        table: the target.
        rows: SELECT of at least all chosen rows.
        chosen: condition on the table's columns.
        days: the partitions of rows that may be gone; None = any.
    """
    others = "".join(f", N.{name} AS {name}" for name in table.columns if name not in table.key)
    keys = ", ".join(f"COALESCE(N.{name}, O.{name}) AS {name}" for name in table.key)
    same = " AND ".join(f"N.{name} = O.{name}" for name in table.key)
    return (
        f"(SELECT {keys}{others}, CASE WHEN N.{table.key[0]} IS NULL THEN 'D' ELSE 'N' END AS op FROM ({rows}) AS N"
        f" FULL OUTER JOIN (SELECT {', '.join(table.key)} FROM {table.name} WHERE {chosen}{_any_day(table, days, '')})"
        f" AS O ON {same})"
    )


def _any_day(table: Table, days: Sequence[date] | None, prefix: str) -> str:
    """Condition that a row lies in these partitions, with an AND before it."""
    if not table.day or days is None:
        return ""
    column = prefix + table.day
    inside = [
        f"{column} >= TIMESTAMP '{first} 00:00:00+00' AND {column} < TIMESTAMP '{after} 00:00:00+00'"
        for first, after in day_ranges(days)
    ]
    return f" AND ({' OR '.join(inside)})"


def _differs(name: str, kind: str) -> str:
    if KINDS[kind][1] == "REPEATED":
        return f"TO_JSON_STRING(T.{name}) <> TO_JSON_STRING(S.{name})"
    return f"T.{name} IS DISTINCT FROM S.{name}"
