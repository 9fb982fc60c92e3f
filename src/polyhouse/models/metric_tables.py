"""The tables of the metrics, generated from the catalogue: their columns, and the SELECT that fills them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from polyhouse.metrics.catalogue import METRICS, RELATIONS, Metric, Relation, computed, digest
from polyhouse.models import packed_metrics
from polyhouse.models.metric_plan import Plan, needed, plan, with_parts
from polyhouse.models.metric_values import OVERALL
from polyhouse.ports import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

COMPLETE, BY_CATEGORY = "wallet_metrics_complete", "wallet_metrics_by_category"
METRIC_TABLES = (COMPLETE, BY_CATEGORY)
MANY = 10
"""Rows from which on all metrics of a scope and window are evaluated; below, those that need fewer."""
WORTH_DIVIDING = 4_000
"""Scopes and windows from which on evaluating fewer metrics for some of them saves more than a second SELECT costs."""
_MODELS = ("priced_trades", "trade_facts", *(relation.name for relation in RELATIONS))
_COUNT = "UInt64"
EVALUATION = "short_circuit_function_evaluation = 'disable'"
"""Setting for ``measured_sql``: to skip the branches that are not taken costs more than to compute them."""
# In a branch that is not taken a division by 0 is no error.
_INT_DIV = re.compile(r"\bintDiv\(")
_KEYS = {"wallet", "category", "window", "as_of", "version", "is_deleted", *packed_metrics.COLUMNS}


def metric_columns() -> dict[str, str]:
    """Name → type of all columns that the catalogue asks for."""
    columns = {relation.sample_column: _COUNT for relation in RELATIONS}
    return columns | {metric.name: _type(metric) for metric in computed()}


def prepare_metric_tables(warehouse: Warehouse) -> None:
    """Bring the columns of both tables, and their views for people, to the catalogue."""
    wanted = metric_columns()
    for table in METRIC_TABLES:
        rows = warehouse.query(
            "SELECT name, type, default_expression FROM system.columns"
            " WHERE database = currentDatabase() AND table = {t:String}",
            {"t": table},
        ).rows
        stored = {name: kind for name, kind, _ in rows if name not in _KEYS}
        if stored != wanted:
            gone = [f"DROP COLUMN IF EXISTS {name}" for name, kind in stored.items() if wanted.get(name) != kind]
            if gone:
                warehouse.command(f"ALTER TABLE {table} {', '.join(packed_metrics.unpacking())}")
                warehouse.command(f"ALTER TABLE {table} {', '.join(gone)}")
            new = [
                f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in wanted.items() if stored.get(name) != kind
            ]
            if new:
                warehouse.command(f"ALTER TABLE {table} {', '.join(new)}")
        if stored != wanted or not packed_metrics.is_today({name: sql for name, _, sql in rows}):
            warehouse.command(f"ALTER TABLE {table} {', '.join(packed_metrics.packing())}")
        warehouse.command(
            f"CREATE OR REPLACE VIEW vw_{table} AS SELECT lower(concat('0x', hex(wallet))) AS wallet,"
            f" * EXCEPT (wallet, version, is_deleted) FROM {table} FINAL"
        )


def is_current(warehouse: Warehouse) -> bool:
    """Whether the stored metrics of all wallets follow the definitions of today."""
    rows = warehouse.query("SELECT DISTINCT digest FROM metric_catalogue").rows
    return rows == [(rules(),)]


def rules() -> str:
    """Names the definitions of everything computed and of the rows it is computed from."""
    folder = resources.files("polyhouse.models")
    texts = [(folder / f"{model}.sql").read_text(encoding="utf-8") for model in _MODELS]
    return hashlib.sha256("".join([digest(), *texts]).encode()).hexdigest()[:16]


def store_catalogue(warehouse: Warehouse, table: str, version: int) -> None:
    """Write the catalogue, which the metrics follow from now on, into an empty table."""
    import pyarrow as pa

    names = (
        "name", "state", "relation", "unit", "direction", "minimum_sample", "meaning", "formula", "source", "undefined",
        "needs",
    )  # fmt: skip
    columns = {name: [getattr(metric, name) for metric in METRICS] for name in names}
    columns["number"] = [metric.number or 0 for metric in METRICS]
    columns["digest"] = [rules()] * len(METRICS)
    columns["version"] = [version] * len(METRICS)
    warehouse.insert_arrow(table, pa.table(columns))


def values_of(relation: Relation) -> str:
    """Name of the table in which the aggregates of a relation are staged, one wallet slice at a time."""
    return f"values_{relation.name}"


_NUMBERS = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64",
    "uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "double": "Float64",
}  # fmt: skip


def values_columns(values: pa.Table) -> str:
    """The columns of that table, as the engine declares them."""
    return ", ".join(f"{field.name} {_kind(field.type)}" for field in values.schema)


def _kind(kind: pa.DataType) -> str:
    """The engine's name of a type; numbers above 64 bits travel as bytes, and stay so until they are looked at."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        return f"Array({_kind(kind.value_type)})"
    if pa.types.is_fixed_size_binary(kind):
        return f"FixedString({kind.byte_width})"
    return "String" if pa.types.is_binary(kind) else _NUMBERS[str(kind)]


def _decoded(name: str, kind: pa.DataType) -> str:
    """A value as the number it is; '' where it is one already."""
    import pyarrow as pa

    is_list = pa.types.is_list(kind)
    inner = kind.value_type if is_list else kind
    if name == "wallet" or not pa.types.is_fixed_size_binary(inner):
        return ""
    number = f"reinterpretAsInt{8 * inner.byte_width}"
    return f"arrayMap(v -> {number}(v), {name}) AS {name}" if is_list else f"{number}({name}) AS {name}"


def measured(relation: Relation) -> str:
    """Name of the table in which the metrics of a relation are staged, one wallet slice at a time."""
    return f"measured_{relation.name}"


def measured_sql(relation: Relation, values: pa.Table) -> str:
    """The SELECT of a relation's metrics per wallet, scope (``overall`` or category) and window, from its values.

    Most scopes and windows hold few rows, and there most metrics have no value: they are not evaluated, unless there
    are so few values that analysing two SELECTs costs more. Takes the parameter ``as_of``.

    Args:
        relation: whose.
        values: those that are staged.
    """
    few = {
        metric.name: f"CAST(NULL AS {_type(metric)})"
        for metric in computed(relation.name)
        if metric.minimum_sample >= MANY
    }
    decoded = ", ".join(filter(None, (_decoded(field.name, field.type) for field in values.schema)))
    rows = f"SELECT *{f' REPLACE ({decoded})' if decoded else ''}, windows[-1] AS longest FROM {values_of(relation)}"
    sizes = values.column(_size_column(relation)).to_numpy()
    if (sizes < MANY).all():
        parts = [_evaluated(relation, rows, few, "n > 0")]
    elif len(sizes) < WORTH_DIVIDING or (sizes >= MANY).all():
        parts = [_evaluated(relation, rows, {}, "n > 0")]
    else:
        parts = [_evaluated(relation, rows, few, f"n < {MANY}"), _evaluated(relation, rows, {}, f"n >= {MANY}")]
    names = ", ".join(plan_of(relation).columns)
    keys = "wallet, arrayJoin(scopes) AS scope, arrayJoin(windows) AS window"
    return f"SELECT {keys}, {names} FROM ({' UNION ALL '.join(parts)})"


def _size_column(relation: Relation) -> str:
    """The value that says how many rows a scope and window hold."""
    calls = plan_of(relation).calls
    return next(name for name, call in calls.items() if call.function == "count" and not call.condition)


def _evaluated(relation: Relation, rows: str, known: Mapping[str, str], chosen: str) -> str:
    """The metrics of the scopes and windows for which a condition on ``n`` holds, some of which are known there."""
    made = plan_of(relation)
    columns = made.columns | {name: sql for name, sql in known.items() if name in made.columns}
    parts = needed(made.parts, [*columns.values(), chosen])
    made_of = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    sql = f"{with_parts(parts)}SELECT wallet, scopes, windows, {made_of} FROM ({rows}) WHERE {chosen}"
    return _INT_DIV.sub("intDivOrZero(", sql)


def plan_of(relation: Relation) -> Plan:
    """How a relation is measured."""
    return _plan(relation.name)


@cache
def _plan(name: str) -> Plan:
    relation = next(one for one in RELATIONS if one.name == name)
    columns = {relation.sample_column: "toUInt64(n)"}
    columns |= {
        metric.name: f"CAST(if(n >= {metric.minimum_sample}, {metric.sql}, NULL) AS {_type(metric)})"
        for metric in computed(name)
        if not metric.of_metrics
    }
    return plan(relation, columns, {"seed": "sipHash64(wallet)"} if name == "bets" else None)


def rows_sql(relations: Sequence[Relation]) -> str:
    """The SELECT of both tables' rows, without ``version``, from the staged metrics. Takes the parameter ``as_of``.

    Args:
        relations: those that have rows.
    """
    columns = [
        f"{measured(relation)}.{name} AS {name}" if relation in relations else f"CAST({nothing}) AS {name}"
        for relation in RELATIONS
        for name, nothing in _columns_of(relation).items()
    ]
    columns += [
        f"CAST(if({metric.relation}_sample >= {metric.minimum_sample}, {metric.sql}, NULL) AS {_type(metric)})"
        f" AS {metric.name}"
        for metric in computed()
        if metric.of_metrics
    ]
    known = " UNION DISTINCT ".join(f"SELECT wallet, scope, window FROM {measured(one)}" for one in relations)
    joins = " ".join(f"LEFT JOIN {measured(one)} USING (wallet, scope, window)" for one in relations)
    return (
        "SELECT k.wallet AS wallet, k.scope AS category, k.window AS window,"
        f" toDateTime({{as_of:UInt32}}, 'UTC') AS as_of, {', '.join(columns)} FROM ({known}) AS k {joins}"
    )


def rows_of_table(table: str, rows: str) -> str:
    """Those of the staged rows that belong to one of ``METRIC_TABLES``.

    Args:
        table: which one.
        rows: where the rows of both are staged.
    """
    return f"SELECT * FROM {rows} WHERE category {'=' if table == COMPLETE else '!='} '{OVERALL}'"


def _columns_of(relation: Relation) -> dict[str, str]:
    """The columns of a relation's metrics that are made of its rows, and what they are where it has none."""
    made = {m.name: f"NULL AS {_type(m)}" for m in computed(relation.name) if not m.of_metrics}
    return {relation.sample_column: f"0 AS {_COUNT}"} | made


def _type(metric: Metric) -> str:
    return "Nullable(String)" if metric.is_text else "Nullable(Float64)"
