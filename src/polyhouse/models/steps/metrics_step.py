"""The metric tables: of the chosen wallets, or of all when the definitions changed since the last build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polyhouse.metrics.catalogue import RELATIONS
from polyhouse.metrics.metric import Relation
from polyhouse.models import metric_evaluation, metric_tables
from polyhouse.models.arrow_columns import numbers
from polyhouse.models.build import Build
from polyhouse.models.metric_rows import Measured, MetricRows, by_place, joined
from polyhouse.models.metric_values import Rows, Windows, gather, values_of
from polyhouse.models.metric_windows import in_memory
from polyhouse.models.steps.intervals_step import build_intervals
from polyhouse.models.wallet_documents import write_metrics

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_ROWS = 1_000_000
"""Observations of a slice: its rows and what is computed of them are in memory."""


def build_metrics(run: Build) -> bool:
    """Write the metrics; return whether those of all wallets follow today's definitions now."""
    everyone = run.full or not metric_tables.is_current(run.warehouse)
    for wallets in run.slices(everyone=everyone, most=SLICE_ROWS):
        measured = {}
        for relation in RELATIONS:
            rows = _rows(run, relation, wallets)
            if rows is not None:
                measured[relation.name] = _measured(run, relation, rows)
            if relation.name == "bets":
                build_intervals(run, wallets, rows)
        found = joined(measured) if measured else None
        if found is not None:
            found.columns.update(_of_others(run, found))
        for table in metric_tables.METRIC_TABLES:
            if found is None:
                run.bury(table, wallets)
            else:
                columns = found.of_table(has_categories=table == metric_tables.BY_CATEGORY)
                as_of = numbers(np.full(len(columns["wallet"]), run.as_of), "uint32")
                run.store(table, wallets, columns | {"as_of": as_of})
        if found is not None:
            write_metrics(run, found)
        run.bury_gone()
    return everyone


def _rows(run: Build, relation: Relation, wallets: str) -> Rows | None:
    """The rows of a relation with what is aggregated."""
    plan, made = metric_tables.plan_of(relation), in_memory(relation.name)
    sql = plan.rows_sql_without(made).replace("/*rows*/", f"({run.sql(relation.name, wallets)})")
    rows = gather(run.query_columns(sql))
    if rows is not None:
        asked = {plan.arguments[expression]: make for expression, make in made.items() if expression in plan.arguments}
        rows.columns.update({name: make(rows, run.as_of) for name, make in asked.items()})
    return rows


def _measured(run: Build, relation: Relation, rows: Rows) -> Measured:
    """The metrics of a relation that are made of its rows."""
    plan = metric_tables.plan_of(relation)
    windows = Windows.of(run.params)
    values = values_of(rows, plan.calls, windows, has_overall=relation.has_overall, by_window=plan.by_window)
    staged, table = metric_evaluation.staged_values(relation, values), metric_evaluation.values_table(relation)
    run.stage_columns(table, metric_evaluation.declared(staged), staged)
    sql = metric_evaluation.measured_sql(relation, staged)
    found = by_place(run.query_columns(sql, settings=metric_evaluation.EVALUATION))
    run.forget_staged(table)
    return Measured(values.select(metric_evaluation.KEYS), found)


def _of_others(run: Build, rows: MetricRows) -> dict[str, pa.Array]:
    """The metrics that are made of other metrics."""
    import pyarrow as pa

    kinds, sql = metric_evaluation.of_others()
    staged = {name: rows.column(name) for name in kinds}
    place = metric_evaluation.places(len(rows.is_overall))
    columns = ", ".join(f"{name} {kind}" for name, kind in {metric_evaluation.PLACE: "UInt32", **kinds}.items())
    run.stage_columns(metric_evaluation.OTHERS, columns, pa.table({metric_evaluation.PLACE: place, **staged}))
    found = by_place(run.query_columns(sql))
    run.forget_staged(metric_evaluation.OTHERS)
    return found
