"""Rows of the results, as the local store's views for people give them and as BigQuery does, in one form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

VIEWS = {
    "wallet_metrics_complete": "vw_wallet_metrics_complete",
    "wallet_metrics_by_category": "vw_wallet_metrics_by_category",
    "wallet_scores": "wallet_scores",
    "wallet_scores_by_category": "wallet_scores_by_category",
    "wallet_flags": "vw_wallet_flags",
    "wallet_intervals": "vw_wallet_intervals",
    "category_specialists": "vw_category_specialists",
    "category_stats": "vw_category_stats",
    "metric_catalogue": "metric_catalogue",
}
"""Table of the dataset → local view that says the same by another way."""
_INNER = {"version", "digest"}


def rows_here(warehouse: Any, table: str, key: tuple[str, ...], kinds: Mapping[str, str]) -> dict[Any, Any]:
    """Identity → the other columns by name, from the local view."""
    found = warehouse.query(f"SELECT * FROM {VIEWS[table]}")
    names = ["period" if name == "window" else name for name in found.columns]
    chosen = [place for place, name in enumerate(names) if name not in _INNER]
    rows = [{names[place]: _plain(row[place], kinds.get(names[place])) for place in chosen} for row in found.rows]
    return _keyed(rows, key)


def rows_there(remote: Any, table: str, key: tuple[str, ...]) -> dict[Any, Any]:
    """The same from BigQuery."""
    found, is_cut = remote.select(f"SELECT * FROM {table}", max_rows=1_000_000, timeout_seconds=60)
    assert not is_cut
    return _keyed([dict(zip(found.columns, map(_plain, row), strict=True)) for row in found.rows], key)


def _plain(value: Any, kind: str | None = None) -> Any:
    if isinstance(value, bytes):
        value = value.decode()
    if kind == "integer" and isinstance(value, Decimal):
        return int(value * 1_000_000)
    if kind == "time" and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC)
    if kind == "document":
        return {_plain(name): number for name, number in value.items()}
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def _keyed(rows: list[dict[str, Any]], key: tuple[str, ...]) -> dict[Any, Any]:
    found = {tuple(row.pop(name) for name in key): row for row in rows}
    assert len(found) == len(rows)
    return found
