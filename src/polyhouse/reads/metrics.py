"""Metrics of one wallet: values, and why there is none where there is none.

``metrics`` explains all entries of one category and window; ``metric_rows`` holds every category and window, briefly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from polyhouse.domain.categories import CATEGORIES
from polyhouse.domain.ids import format_address, parse_address
from polyhouse.domain.suggestions import check_word
from polyhouse.metrics.catalogue import METRIC_WINDOWS, METRICS, RELATIONS, Metric, computed
from polyhouse.models.questions import Row
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment

OK = "OK"
SMALL_SAMPLE = "SMALL_SAMPLE"
"""Fewer rows than the metric's minimum sample."""
UNDEFINED = "UNDEFINED"
"""Rows enough, but the formula has no value for them; the entry says when."""
NOT_COMPUTED = "NOT_COMPUTED"
"""The product does not compute it yet, or no build has seen the wallet."""
NEEDS_DATA = "NEEDS_DATA"
"""Public data cannot give it."""
OVERALL = "overall"

_WALLET = "wallet = toFixedString(unhex({wallet:String}), 20)"
_SAMPLES = {relation.name: relation.sample_column for relation in RELATIONS}


def metrics(warehouse: Warehouse, address: str, *, category: str = OVERALL, window: str = "lifetime") -> dict[str, Any]:
    """The metrics document of one wallet.

    ``metrics`` lists every entry of the catalogue: ``name``, ``number`` (of the 102, or None), ``value``, ``status``,
    ``unit``, and ``sample``: the rows it was computed from, None where it is not computed.

    Args:
        warehouse: the open warehouse.
        address: ``0x`` and 40 hex digits, any case.
        category: ``overall`` or one of ``domain.categories``.
        window: ``30d``, ``90d``, ``180d`` or ``lifetime``.

    Raises:
        BadInputError: a malformed address, an unknown category or window.
    """
    check_word("category", category, (OVERALL, *CATEGORIES))
    check_word("window", window, tuple(METRIC_WINDOWS))
    wallet = parse_address(address)
    bound = {"wallet": wallet.hex(), "window": window}
    table, condition = "wallet_metrics_complete", ""
    if category != OVERALL:
        table, condition = "wallet_metrics_by_category", " AND category = {category:String}"
        bound["category"] = category
    wanted = _stored(warehouse)
    stored = set(wanted)
    result = warehouse.query(
        f"SELECT {', '.join(['toUnixTimestamp(as_of) AS measured_at', *wanted])} FROM {table} FINAL"
        f" WHERE {_WALLET} AND window = {{window:String}}{condition}",
        bound,
    )
    row = dict(zip(result.columns, result.rows[0], strict=True)) if result.rows else {}
    is_known = bool(row) or was_built(warehouse, wallet)
    samples = {name: int(row.get(column, 0)) if is_known else None for name, column in _SAMPLES.items()}
    return {
        "wallet": format_address(wallet),
        "category": category,
        "window": window,
        "as_of": moment(row.get("measured_at")),
        "metrics": [_entry(metric, row, samples, stored) for metric in METRICS],
    }


def metric_rows(warehouse: Warehouse, wallet: bytes, packed: Sequence[Row] | None) -> list[dict[str, Any]]:
    """All metrics of a wallet, one entry per category and window of which a build has rows; ``overall`` first.

    ``values`` has every computed entry of the catalogue, None where there is no value; ``statuses`` says why for those
    alone (``SMALL_SAMPLE``, ``UNDEFINED`` or ``NOT_COMPUTED``), so a name that is not in it is ``OK``. ``samples``:
    rows per relation. What public data cannot give is not repeated here: ``metrics`` lists it.

    Args:
        warehouse: asked where there is nothing packed.
        wallet: 20 bytes.
        packed: the rows of ``models.packed_metrics`` for this wallet; None if only the tables have them.
    """
    known = _wide_rows(warehouse, wallet) if packed is None else list(packed)
    categories, windows = (OVERALL, *CATEGORIES), tuple(METRIC_WINDOWS)
    known.sort(key=lambda row: (categories.index(row["category"]), windows.index(row["window"])))
    wanted = computed()
    return [_brief(row, wanted) for row in known]


def _wide_rows(warehouse: Warehouse, wallet: bytes) -> list[Row]:
    """The same rows from the columns of the tables, at eight times the cost."""
    wanted = ", ".join(["window", *_stored(warehouse)])
    result = warehouse.query(
        f"SELECT '{OVERALL}' AS category, {wanted} FROM wallet_metrics_complete FINAL WHERE {_WALLET} UNION ALL"
        f" SELECT toString(category) AS category, {wanted} FROM wallet_metrics_by_category FINAL WHERE {_WALLET}",
        {"wallet": wallet.hex()},
    )
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def _brief(row: Mapping[str, Any], wanted: Sequence[Metric]) -> dict[str, Any]:
    samples = {name: int(row.get(column, 0)) for name, column in _SAMPLES.items()}
    known = [(metric, row.get(metric.name), metric.name in row) for metric in wanted]
    return {
        "category": row["category"],
        "window": row["window"],
        "samples": samples,
        "values": {metric.name: _exact(value) for metric, value, _ in known},
        "statuses": {
            metric.name: _status(metric, None, samples[metric.relation] if is_stored else None)
            for metric, value, is_stored in known
            if value is None
        },
    }


def _stored(warehouse: Warehouse) -> list[str]:
    """The columns of the catalogue that the tables have: those of today's definitions appear with the next build."""
    sql = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'wallet_metrics_complete'"
    stored = {name for (name,) in warehouse.query(sql).rows}
    return [name for name in (*_SAMPLES.values(), *(metric.name for metric in computed())) if name in stored]


def was_built(warehouse: Warehouse, wallet: bytes) -> bool:
    """Whether a build has seen the wallet."""
    sql = "SELECT count() FROM wallet_totals FINAL WHERE wallet = toFixedString(unhex({w:String}), 20)"
    return bool(warehouse.query(sql, {"w": wallet.hex()}).rows[0][0])


def _entry(
    metric: Metric, row: Mapping[str, Any], samples: Mapping[str, int | None], stored: set[str]
) -> dict[str, Any]:
    sample = samples.get(metric.relation) if metric.name in stored else None
    value = row.get(metric.name)
    return {
        "name": metric.name, "number": metric.number, "value": _exact(value),
        "status": _status(metric, value, sample), "sample": sample, "unit": metric.unit,
    }  # fmt: skip


def _status(metric: Metric, value: Any, sample: int | None) -> str:
    if metric.needs:
        return NEEDS_DATA
    if sample is None:
        return NOT_COMPUTED
    if value is not None:
        return OK
    return SMALL_SAMPLE if sample < metric.minimum_sample else UNDEFINED


def _exact(value: Any) -> Decimal | str | None:
    """A number by its shortest digits, a text as it is."""
    if value is None or isinstance(value, str):
        return value
    if not math.isfinite(value):
        raise ValueError(f"a metric of {value}")
    return Decimal(repr(float(value)))
