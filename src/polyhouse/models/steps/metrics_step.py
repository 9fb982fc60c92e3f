"""The metric tables: of the chosen wallets, or of all when the definitions changed since the last build."""

from __future__ import annotations

from polyhouse.metrics.catalogue import RELATIONS
from polyhouse.metrics.metric import Relation
from polyhouse.models import metric_tables
from polyhouse.models.build import Build
from polyhouse.models.metric_values import Rows, Windows, gather, values_of
from polyhouse.models.steps.intervals_step import build_intervals

SLICE_ROWS = 1_000_000
"""Observations of a slice: its rows and what is computed of them are in memory."""

_ROWS = "metric_rows"
_UNIQUE = "optimize_on_insert = 0"
"""For rows of which no two have one key."""


def build_metrics(run: Build) -> bool:
    """Write the metrics; return whether those of all wallets follow today's definitions now."""
    everyone = run.full or not metric_tables.is_current(run.warehouse)
    for wallets in run.slices(everyone=everyone, most=SLICE_ROWS):
        measured = []
        for relation in RELATIONS:
            rows = _rows(run, relation, wallets)
            if rows is not None:
                _measure(run, relation, rows)
                measured.append(relation)
            if relation.name == "bets":
                build_intervals(run, wallets, rows)
        if measured:
            run.stage_rows(_ROWS, metric_tables.rows_sql(measured))
        for table in metric_tables.METRIC_TABLES:
            if measured:
                run.insert_rows(metric_tables.rows_of_table(table, _ROWS), run.place_of(table), settings=_UNIQUE)
            run.bury(table, wallets)
        run.forget_staged(_ROWS, *(metric_tables.measured(relation) for relation in measured))
    return everyone


def _rows(run: Build, relation: Relation, wallets: str) -> Rows | None:
    """The rows of a relation with what is aggregated."""
    sql = metric_tables.plan_of(relation).rows_sql
    return gather(run.query_columns(sql.replace("/*rows*/", f"({run.sql(relation.name, wallets)})")))


def _measure(run: Build, relation: Relation, rows: Rows) -> None:
    """Stage the metrics of a relation."""
    plan = metric_tables.plan_of(relation)
    windows = Windows.of(run.params)
    values = values_of(rows, plan.calls, windows, has_overall=relation.has_overall, by_window=plan.by_window)
    table = metric_tables.values_of(relation)
    run.stage_columns(table, metric_tables.values_columns(values), values)
    sql = metric_tables.measured_sql(relation, values)
    run.stage_rows(metric_tables.measured(relation), sql, settings=metric_tables.EVALUATION)
    run.forget_staged(table)
