"""Metrics of daily series: every one against the textbook formula over all days of every window and scope."""

from __future__ import annotations

import pytest
from plain_day_metrics import PLAIN, window_of
from plain_days import plain_days
from score_store import load, universe_tables

from polyhouse.metrics.catalogue import METRIC_WINDOWS, computed
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

DAY = 86_400


def measured(warehouse: Warehouse) -> dict[tuple[str, str, str], dict[str, float | None]]:
    """(wallet, category, window) → the metrics of its daily series, where it has any rows."""
    names = [metric.name for metric in computed("days")]
    found = {}
    for table, category in (("wallet_metrics_complete", "'overall'"), ("wallet_metrics_by_category", "category")):
        result = warehouse.query(
            f"SELECT wallet, {category}, window, days_sample, {', '.join(names)} FROM {table} FINAL"
            " WHERE days_sample > 0"
        )
        for wallet, scope, window, sample, *values in result.rows:
            row = dict(zip(names, values, strict=True)) | {"days_sample": sample}
            found["0x" + bytes(wallet).hex(), str(scope), str(window)] = row
    return found


@pytest.mark.parametrize("seed", [2, 7])
def test_every_metric_equals_the_textbook(warehouse: Warehouse, seed: int) -> None:
    assert PLAIN.keys() == {metric.name for metric in computed("days")}, "every entry has its independent calculation"
    universe = Universe(seed=seed, wallets=40, fills=2_500)
    load(warehouse, universe_tables(universe))
    newest_day = build(warehouse).as_of // DAY
    got = measured(warehouse)
    checked: dict[str, int] = dict.fromkeys(PLAIN, 0)
    for (wallet, category), rows in plain_days(universe).items():
        for name, length in METRIC_WINDOWS.items():
            window = window_of(rows, newest_day, length or None)
            values = got.pop((wallet, category, name), None)
            assert (values is None) == (window is None)
            if values is None or window is None:
                continue
            assert values["days_sample"] == len(window.rows)
            for metric, formula in PLAIN.items():
                want = formula(window)
                where = wallet, category, name, metric, want
                assert (values[metric] is None) == (want is None), where
                assert want is None or values[metric] == pytest.approx(want, rel=1e-7, abs=1e-9), where
                checked[metric] += want is not None
    assert not got, "rows of scopes without days"
    assert min(checked.values()) >= 20, checked
