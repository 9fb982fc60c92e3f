"""The metric tables: of the chosen wallets, or of all when the definitions changed since the last build."""

from __future__ import annotations

from polyhouse.metrics.catalogue import RELATIONS
from polyhouse.models import metric_tables
from polyhouse.models.build import Build
from polyhouse.models.steps.intervals_step import build_intervals


def build_metrics(run: Build) -> bool:
    """Write the metrics; return whether those of all wallets follow today's definitions now."""
    everyone = run.full or not metric_tables.is_current(run.warehouse)
    for wallets in run.slices(everyone=everyone):
        for relation in RELATIONS:
            run.stage(relation.name, wallets)
            if relation.name == "bets":
                build_intervals(run, wallets)
            values = metric_tables.values_of(relation)
            run.stage_rows(values, metric_tables.values_sql(relation), settings=metric_tables.AGGREGATION)
            run.forget_staged(relation.name)
            measured = metric_tables.measured_sql(relation)
            run.stage_rows(metric_tables.measured(relation), measured, settings=metric_tables.EVALUATION)
            run.forget_staged(values)
        for table in metric_tables.METRIC_TABLES:
            run.insert_rows(metric_tables.rows_sql(table), run.place_of(table))
            run.bury(table, wallets)
    return everyone
