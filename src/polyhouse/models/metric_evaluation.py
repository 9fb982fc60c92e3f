"""The statements by which the engine evaluates metrics: from the values of aggregate calls, and from other metrics."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from polyhouse.metrics.catalogue import Relation, computed
from polyhouse.models.metric_plan import needed, with_parts
from polyhouse.models.metric_tables import evaluated, metric_columns, plan_of

if TYPE_CHECKING:
    import pyarrow as pa

MANY = 10
"""Rows from which on all metrics of a scope and window are evaluated; below, those that need fewer."""
WORTH_DIVIDING = 4_000
"""Scopes and windows from which on evaluating fewer metrics for some of them saves more than a second SELECT costs."""
EVALUATION = "short_circuit_function_evaluation = 'disable'"
"""Setting for ``measured_sql``: to skip the branches that are not taken costs more than to compute them."""
OTHERS = "metric_rows"
"""Name of the table in which those metrics are staged of which others are made."""
PLACE = "place"
"""Column of what is staged: the number of the row, because the engine may return rows in another order."""
KEYS = ("wallet", "scopes", "windows")
"""Columns of values that name their rows."""
# In a branch that is not taken a division by 0 is no error.
_INT_DIV = re.compile(r"\bintDiv\(")
_NAME = re.compile(r"\b[a-z]\w*")
_NUMBERS = {
    "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64",
    "uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "double": "Float64",
}  # fmt: skip


def values_table(relation: Relation) -> str:
    """Name of the table in which the aggregates of a relation are staged, one wallet slice at a time."""
    return f"values_{relation.name}"


def staged_values(relation: Relation, values: pa.Table) -> pa.Table:
    """What the engine is given of the values of a relation: without the names of the rows, but with their places."""
    import pyarrow as pa

    staged = values.drop_columns(list(KEYS)).append_column(PLACE, places(len(values)))
    if not plan_of(relation).by_window:
        return staged
    windows = values.column("windows").combine_chunks()
    last = pa.array(windows.offsets.to_numpy()[1:] - 1)
    return staged.append_column("longest", windows.values.take(last))


def places(rows: int) -> pa.Array:
    """Numbers of so many rows."""
    import pyarrow as pa

    return pa.array(np.arange(rows, dtype=np.uint32))


def declared(staged: pa.Table) -> str:
    """The columns of staged values, as the engine declares them."""
    return ", ".join(f"{field.name} {_kind(field.type)}" for field in staged.schema)


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
    if not pa.types.is_fixed_size_binary(inner):
        return ""
    number = f"reinterpretAsInt{8 * inner.byte_width}"
    return f"arrayMap(v -> {number}(v), {name}) AS {name}" if is_list else f"{number}({name}) AS {name}"


def measured_sql(relation: Relation, staged: pa.Table) -> str:
    """The SELECT of a relation's metrics by place, from its staged values. Takes the parameter ``as_of``.

    Metrics that need more rows than any scope and window holds are left out: they have no value. Most scopes and
    windows hold few rows, and there most metrics have none: they are not evaluated, unless there are so few values
    that analysing two SELECTs costs more.
    """
    decoded = ", ".join(filter(None, (_decoded(field.name, field.type) for field in staged.schema)))
    rows = f"SELECT *{f' REPLACE ({decoded})' if decoded else ''} FROM {values_table(relation)}"
    sizes = staged.column(_size_column(relation)).to_numpy()
    least = {metric.name: metric.minimum_sample for metric in computed(relation.name)}
    largest = int(sizes.max(initial=0))
    names = [name for name in plan_of(relation).columns if least.get(name, 0) <= largest]
    if len(sizes) < WORTH_DIVIDING or (sizes >= MANY).all() or largest < MANY:
        return _evaluated(relation, rows, names, (), "")
    few = {name for name in names if least.get(name, 0) >= MANY}
    parts = _evaluated(relation, rows, names, few, f"n < {MANY}"), _evaluated(relation, rows, names, (), f"n >= {MANY}")
    return " UNION ALL ".join(parts)


def _size_column(relation: Relation) -> str:
    """The value that says how many rows a scope and window hold."""
    calls = plan_of(relation).calls
    return next(name for name, call in calls.items() if call.function == "count" and not call.condition)


def _evaluated(relation: Relation, rows: str, names: Collection[str], unknown: Collection[str], chosen: str) -> str:
    """Metrics of the scopes and windows for which a condition on ``n`` holds; some of them have no value there."""
    made = plan_of(relation)
    kinds = metric_columns()
    columns = {name: f"CAST(NULL AS {kinds[name]})" if name in unknown else made.columns[name] for name in names}
    parts = needed(made.parts, [*columns.values(), chosen])
    made_of = ", ".join(f"{sql} AS {name}" for name, sql in columns.items())
    where = f" WHERE {chosen}" if chosen else ""
    return _INT_DIV.sub("intDivOrZero(", f"{with_parts(parts)}SELECT {PLACE}, {made_of} FROM ({rows}){where}")


def of_others() -> tuple[dict[str, str], str]:
    """Metrics that are made of others: name → type of those that are staged for it, and the SELECT by place."""
    made = [metric for metric in computed() if metric.of_metrics]
    kinds = metric_columns()
    used = {name for metric in made for name in (f"{metric.relation}_sample", *_NAME.findall(metric.sql))}
    columns = ", ".join(f"{evaluated(metric, f'{metric.relation}_sample')} AS {metric.name}" for metric in made)
    return {name: kind for name, kind in kinds.items() if name in used}, f"SELECT {PLACE}, {columns} FROM {OTHERS}"
