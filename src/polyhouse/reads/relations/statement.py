"""The statement of a question, and the form of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from polyhouse.domain.ids import parse_address, parse_token
from polyhouse.domain.suggestions import did_you_mean
from polyhouse.domain.times import parse_time
from polyhouse.errors import BadInputError
from polyhouse.ports import Warehouse
from polyhouse.reads.relations.catalogue import KEY_COLUMNS, Source, find_source, shares_columns
from polyhouse.reads.relations.question import Question

Kind = Literal["text", "money", "ratio", "time", "date", "whole", "number", "flag", "list"]
_HIDDEN = frozenset({"version", "is_deleted", "run", "row_key"})
_IDS_AS_BYTES = frozenset({"condition", "unit", "neg_risk_market", "question_id", "market"})
_WRAPPED = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")
_DECIMAL = re.compile(r"Decimal\(\d+, (\d+)\)")
_KEY_PARSERS = {"wallet": parse_address, "token_id": parse_token}
_MICRO_SCALE = 6
_FOR_USERS = {"max_execution_time": "3600", "timeout_overflow_mode": "'throw'", "max_memory_usage": str(1 << 30)}
SQL = "sql"
"""Name of the table that a user's SELECT stands for."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an answer.

    Attributes:
        name: as people see it.
        kind: of its values.
        scale: decimals of kinds ``money`` and ``ratio``.
        sql: its expression over the source.
        unit: of amounts: "USDC", "shares" or "USDC per share"; "" = none.
        type: of the engine.
    """

    name: str
    kind: Kind
    sql: str
    type: str
    scale: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A question in SQL.

    Attributes:
        source: of the rows.
        columns: of the answer, in order.
        sql: one SELECT.
        user_text: it holds a condition that somebody typed, so it goes through the fences of users' SQL.
        settings: of the engine, that narrow the stored tables.
    """

    source: Source
    columns: tuple[Column, ...]
    sql: str
    user_text: bool
    settings: Mapping[str, str]


_COUNT = Column("count", "whole", "count()", "UInt64")


def statement_of(warehouse: Warehouse, question: Question) -> Statement:
    """The statement that answers a question.

    Raises:
        BadInputError: no such table or column, or a value that its column cannot have.
    """
    source = _sql_source(question.sql) if question.sql else find_source(warehouse, question.table)
    columns = columns_of(warehouse, source)
    chosen = _chosen(source, columns, question.columns)
    filters = [_filter(source, columns, name, value) for name, value in question.where.items()]
    filters += _period(source, columns, question)
    stored = _stored_filter(source, question)
    if question.keys is not None and not stored:
        raise BadInputError(f"{source.name} is not sorted by a key, so it is read in one piece")
    if question.condition:
        filters.append(f"({question.condition}\n)")
    inner = f"SELECT * FROM {source.sql(is_narrow=bool(stored))}"
    where = f" WHERE {' AND '.join(filters)}" if filters else ""
    limit = f" LIMIT {question.limit}" if question.limit else ""
    listed = ", ".join(f"{column.sql} AS `{column.name}`" for column in chosen)
    sql = f"SELECT {listed} FROM ({inner}{where}) AS t{_order(source, columns, question)}{limit}"
    if question.counting:
        chosen = (_COUNT,)
        sql = f"SELECT count() AS count FROM ({inner}{where}{limit}) AS t"
    settings = {"additional_table_filters": _as_map(source.stored, stored)} if stored else {}
    is_typed = bool(question.condition or question.sql)
    return Statement(source, chosen, sql, is_typed, settings | (_FOR_USERS if is_typed else {}))


def columns_of(warehouse: Warehouse, source: Source) -> tuple[Column, ...]:
    """All columns of a table."""
    described = warehouse.query(f"DESCRIBE TABLE (SELECT * FROM {source.sql(is_narrow=False)})").rows
    hidden = frozenset() if source.name == SQL else _HIDDEN
    return tuple(_column(str(name), str(kind)) for name, kind, *_ in described if str(name) not in hidden)


def _sql_source(statement: str) -> Source:
    return Source(SQL, "a SELECT of the user", f"(\n{statement.rstrip().rstrip(';')}\n)")


def _column(name: str, kind: str) -> Column:
    plain = kind
    while match := _WRAPPED.match(plain):
        plain = match.group(1)
    here = f"t.`{name}`"
    if decimal := _DECIMAL.fullmatch(plain):
        scale = int(decimal.group(1))
        is_money = scale == _MICRO_SCALE
        return Column(name, "money" if is_money else "ratio", here, kind, scale, _unit(name))
    if plain.startswith("Enum"):
        return Column(name, "text", f"toString({here})", kind)
    if plain.startswith("FixedString") or (plain == "String" and name in _IDS_AS_BYTES):
        return Column(name, "text", f"if({here} = '', '', lower(concat('0x', hex({here}))))", kind)
    if plain.startswith(("Map", "Tuple")):
        return Column(name, "text", f"toJSONString({here})", kind)
    return Column(name, _plain_kind(plain), here, kind)


def _plain_kind(kind: str) -> Kind:
    if kind.startswith("DateTime"):
        return "time"
    if kind.startswith("Array"):
        return "list"
    if kind in {"Date", "Date32"}:
        return "date"
    if kind.startswith(("Int", "UInt")):
        return "whole"
    if kind.startswith("Float"):
        return "number"
    return "flag" if kind == "Bool" else "text"


def _unit(name: str) -> str:
    if name in shares_columns():
        return "shares"
    if name == "fee_rate":
        return ""
    return "USDC per share" if name in {"mark", "closing_price", "payout"} or "price" in name else "USDC"


def _chosen(source: Source, columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(_named(source, columns, name) for name in names) if names else tuple(columns)


def _named(source: Source, columns: Sequence[Column], name: str) -> Column:
    for column in columns:
        if column.name == name:
            return column
    names = [column.name for column in columns]
    raise BadInputError(
        f"{source.name} has no column {name[:60]!r}.{did_you_mean(name, names)}", hint=f"columns: {' '.join(names)}"
    )


def _filter(source: Source, columns: Sequence[Column], name: str, value: Any) -> str:
    column = _named(source, columns, name)
    if value is None:
        return f"`{name}` IS NULL"
    if isinstance(value, list | tuple | set | frozenset):
        values = ", ".join(_literal(column, one) for one in value)
        return f"`{name}` IN ({values})" if values else "false"
    return f"`{name}` = {_literal(column, value)}"


def _literal(column: Column, value: Any) -> str:
    """A value as SQL, of the column's own kind; whatever else somebody gave is refused."""
    if column.name in _KEY_PARSERS and isinstance(value, str):
        _KEY_PARSERS[column.name](value)
        return _quoted(value.lower())
    if column.kind in {"time", "date"}:
        seconds = parse_time(value if isinstance(value, int | str) else str(value), column.name)
        return f"toDateTime({seconds}, 'UTC')" if column.kind == "time" else f"toDate(toDateTime({seconds}, 'UTC'))"
    if column.kind == "flag" and isinstance(value, bool):
        return "true" if value else "false"
    if column.kind == "text" and isinstance(value, str):
        return _quoted(value)
    if column.kind in {"whole", "money", "ratio", "number"} and not isinstance(value, bool):
        number = _number(column, value)
        return f"toDecimal128('{number:f}', {column.scale})" if column.scale else f"{number:f}"
    raise BadInputError(f"{column.name} cannot be {str(value)[:60]!r}: it is a column of {column.kind}")


def _number(column: Column, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) >= Decimal(10) ** 30:
        raise BadInputError(f"{column.name} cannot be {str(value)[:60]!r}: it is a number")
    return number


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _period(source: Source, columns: Sequence[Column], question: Question) -> list[str]:
    bounds = [(word, bound) for word, bound in ((">=", question.since), ("<", question.until)) if bound]
    if not bounds:
        return []
    if not source.time:
        raise BadInputError(f"{source.name} has no time, so it takes no since and until")
    column = _named(source, columns, source.time)
    return [f"`{source.time}` {word} {_literal(column, bound)}" for word, bound in bounds]


def _stored_filter(source: Source, question: Question) -> str:
    """What narrows the stored tables themselves, which are sorted by the key: a view hides that from the engine."""
    if source.key not in KEY_COLUMNS or not source.stored:
        return ""
    column, size = KEY_COLUMNS[source.key]
    parts = []
    if question.keys is not None:
        first, last = question.keys
        parts.append(f"{column} >= {_bytes(first.to_bytes(4).ljust(size, bytes(1)))}")
        if last < 1 << 32:
            parts.append(f"{column} < {_bytes(last.to_bytes(4).ljust(size, bytes(1)))}")
    value = question.where.get(source.key)
    if value is not None:
        given = [value] if isinstance(value, str) else list(value)
        keys = ", ".join(_bytes(_KEY_PARSERS[source.key](one)) for one in given)
        parts.append(f"{column} IN ({keys})" if keys else "false")
    return " AND ".join(parts)


def _bytes(raw: bytes) -> str:
    return f"toFixedString(unhex('{raw.hex()}'), {len(raw)})"


def _as_map(tables: Sequence[str], condition: str) -> str:
    quoted = condition.replace("\\", "\\\\").replace("'", "\\'")
    return "{" + ", ".join(f"'{table}': '{quoted}'" for table in tables) + "}"


def _order(source: Source, columns: Sequence[Column], question: Question) -> str:
    if not question.ordered:
        return ""
    known = {column.name for column in columns}
    names = [source.key, *source.order] if source.key else [column.name for column in columns if column.kind != "list"]
    listed = ", ".join(f"t.`{name}`" for name in names if name in known)
    return f" ORDER BY {listed}" if listed else ""
