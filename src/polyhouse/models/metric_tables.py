"""The tables of the metrics, generated from the catalogue: their columns, and the SELECT that fills them."""

from __future__ import annotations

import hashlib
from importlib import resources

from polyhouse.metrics.catalogue import METRIC_WINDOWS, METRICS, RELATIONS, Metric, Relation, computed, digest
from polyhouse.ports import Warehouse

COMPLETE, BY_CATEGORY = "wallet_metrics_complete", "wallet_metrics_by_category"
METRIC_TABLES = (COMPLETE, BY_CATEGORY)
OVERALL = "overall"
_DAY_SECONDS = 86_400
_MODELS = ("priced_trades", *(relation.name for relation in RELATIONS))
_COUNT = "UInt64"
_KEYS = {"wallet", "category", "window", "as_of", "version", "is_deleted"}


def metric_columns() -> dict[str, str]:
    """Name → type of all columns that the catalogue asks for."""
    columns = {relation.sample_column: _COUNT for relation in RELATIONS}
    return columns | {metric.name: _type(metric) for metric in computed()}


def prepare_metric_tables(warehouse: Warehouse) -> None:
    """Bring the columns of both tables, and their views for people, to the catalogue."""
    wanted = metric_columns()
    for table in METRIC_TABLES:
        rows = warehouse.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {t:String}",
            {"t": table},
        ).rows
        stored = {name: kind for name, kind in rows if name not in _KEYS}
        if stored != wanted:
            changes = [f"DROP COLUMN IF EXISTS {name}" for name, kind in stored.items() if wanted.get(name) != kind]
            changes += [
                f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in wanted.items() if stored.get(name) != kind
            ]
            warehouse.command(f"ALTER TABLE {table} {', '.join(changes)}")
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


def store_catalogue(warehouse: Warehouse, version: int) -> None:
    """Write the catalogue beside the metrics: they follow it from now on."""
    import pyarrow as pa

    warehouse.command("TRUNCATE TABLE metric_catalogue")
    names = (
        "name", "state", "relation", "unit", "direction", "minimum_sample", "meaning", "formula", "source", "undefined",
        "needs",
    )  # fmt: skip
    columns = {name: [getattr(metric, name) for metric in METRICS] for name in names}
    columns["number"] = [metric.number or 0 for metric in METRICS]
    columns["digest"] = [rules()] * len(METRICS)
    columns["version"] = [version] * len(METRICS)
    warehouse.insert_arrow("metric_catalogue", pa.table(columns))


def measured(relation: Relation) -> str:
    """Name of the table in which the metrics of a relation are staged, one wallet slice at a time."""
    return f"measured_{relation.name}"


def measured_sql(relation: Relation) -> str:
    """The SELECT of a relation's metrics per wallet, scope (``overall`` or category) and window, from its staged rows.

    Takes the parameters ``as_of`` and, per window, ``b_<window>`` (Unix seconds).
    """
    values = [f"count() AS {relation.sample_column}"]
    values += [
        f"CAST(if(n >= {metric.minimum_sample}, {metric.sql}, NULL) AS {_type(metric)}) AS {metric.name}"
        for metric in computed(relation.name)
        if not metric.of_metrics
    ]
    # The scope is not called category: that is a column of the rows.
    return (
        f"WITH {_parts(relation)} SELECT wallet, scope, window, {', '.join(values)}"
        f" FROM ({_rows(relation)}) GROUP BY wallet, scope, window"
    )


def rows_sql(table: str) -> str:
    """The SELECT of a table's rows, without ``version``, from the staged metrics. Takes the parameter ``as_of``."""
    is_overall = table == COMPLETE
    keys = "k.wallet AS wallet, k.window AS window" + ("" if is_overall else ", k.scope AS category")
    columns = [
        f"{measured(relation)}.{name} AS {name}"
        for relation in RELATIONS
        for name in (relation.sample_column, *(m.name for m in computed(relation.name) if not m.of_metrics))
    ]
    columns += [
        f"CAST(if({metric.relation}_sample >= {metric.minimum_sample}, {metric.sql}, NULL) AS {_type(metric)})"
        f" AS {metric.name}"
        for metric in computed()
        if metric.of_metrics
    ]
    known = " UNION DISTINCT ".join(f"SELECT wallet, scope, window FROM {measured(one)}" for one in RELATIONS)
    joins = " ".join(f"LEFT JOIN {measured(one)} USING (wallet, scope, window)" for one in RELATIONS)
    return (
        f"SELECT {keys}, toDateTime({{as_of:UInt32}}, 'UTC') AS as_of, {', '.join(columns)} FROM ({known}) AS k {joins}"
        f" WHERE (k.scope = '{OVERALL}') = {str(is_overall).lower()}"
    )


def _parts(relation: Relation) -> str:
    lengths = {name: days * _DAY_SECONDS for name, days in METRIC_WINDOWS.items()}
    given = {
        "window_seconds": f"transform(toString(window), {list(lengths)}, {list(lengths.values())}, toInt64(0))",
        "n": "toInt64(count())",
    }
    return ", ".join(f"{sql} AS {name}" for name, sql in (given | dict(relation.parts)).items())


def _rows(relation: Relation) -> str:
    """The staged rows of a relation, each in every scope and window to which it belongs."""
    scope = "toString(category)" if relation.has_overall else f"arrayJoin(['{OVERALL}', toString(category)])"
    inside = [f"if(at > {{b_{name}:UInt32}}, ['{name}'], [])" for name, days in METRIC_WINDOWS.items() if days]
    always = [f"['{name}']" for name, days in METRIC_WINDOWS.items() if not days]
    window = "" if relation.has_windows else f", arrayJoin(arrayConcat({', '.join(inside + always)})) AS window"
    return f"SELECT *, {scope} AS scope{window} FROM {relation.name}"


def _type(metric: Metric) -> str:
    return "Nullable(String)" if metric.is_text else "Nullable(Float64)"
