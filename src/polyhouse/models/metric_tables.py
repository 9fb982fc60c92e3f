"""The tables of the metrics, generated from the catalogue: their columns, and how each relation is measured."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from polyhouse.metrics.catalogue import METRICS, RELATIONS, Metric, Relation, computed, digest
from polyhouse.models.metric_plan import Plan, plan
from polyhouse.ports import Warehouse

COMPLETE, BY_CATEGORY = "wallet_metrics_complete", "wallet_metrics_by_category"
METRIC_TABLES = (COMPLETE, BY_CATEGORY)
_MODELS = ("priced_trades", "trade_facts", *(relation.name for relation in RELATIONS))
_COUNT = "UInt64"
_KEYS = {"wallet", "category", "window", "as_of", "version", "is_deleted"}


def metric_columns() -> dict[str, str]:
    """Name → type of all columns that the catalogue asks for."""
    columns = {relation.sample_column: _COUNT for relation in RELATIONS}
    return columns | {metric.name: _type(metric) for metric in computed()}


def prepare_metric_tables(warehouse: Warehouse) -> None:
    """Bring the columns of both tables, and their views for people, to the catalogue."""
    wanted = metric_columns()
    found = warehouse.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase()"
        f" AND table IN ({', '.join(repr(name) for table in METRIC_TABLES for name in (table, f'vw_{table}'))})"
    ).rows
    for table in METRIC_TABLES:
        rows = [row[1:] for row in found if row[0] == table]
        stored = {name: kind for name, kind in rows if name not in _KEYS}
        if stored != wanted:
            gone = [f"DROP COLUMN IF EXISTS {name}" for name, kind in stored.items() if wanted.get(name) != kind]
            if gone:
                warehouse.command(f"ALTER TABLE {table} {', '.join(gone)}")
            new = [
                f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in wanted.items() if stored.get(name) != kind
            ]
            if new:
                warehouse.command(f"ALTER TABLE {table} {', '.join(new)}")
        shown = {name: kind for view, name, kind in found if view == f"vw_{table}" and name not in _KEYS}
        if shown != wanted:
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


def plan_of(relation: Relation) -> Plan:
    """How a relation is measured."""
    return _plan(relation.name)


@cache
def _plan(name: str) -> Plan:
    relation = next(one for one in RELATIONS if one.name == name)
    columns = {relation.sample_column: "toUInt64(n)"}
    columns |= {metric.name: evaluated(metric, "n") for metric in computed(name) if not metric.of_metrics}
    return plan(relation, columns, {"seed": "sipHash64(wallet)"} if name == "bets" else None)


def evaluated(metric: Metric, size: str) -> str:
    """A metric as a column of its type: null below its minimum sample; ``size``: SQL of the number of rows."""
    least = metric.minimum_sample
    return f"CAST({f'if({size} >= {least}, {metric.sql}, NULL)' if least > 1 else metric.sql} AS {_type(metric)})"


def _type(metric: Metric) -> str:
    return "Nullable(String)" if metric.is_text else "Nullable(Float64)"
