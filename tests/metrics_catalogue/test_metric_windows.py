"""What builds compute in memory of other rows of a wallet is what the window functions of the model files say."""

from __future__ import annotations

import numpy as np
from score_store import load, universe_tables

from polyhouse.metrics.catalogue import RELATIONS, Relation
from polyhouse.models.build import Build
from polyhouse.models.metric_tables import plan_of
from polyhouse.models.metric_values import gather
from polyhouse.models.metric_windows import days_since_first, gaps, in_memory
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe


def differing(run: Build, relation: Relation) -> list[str]:
    """Expressions whose columns differ from those of the engine."""
    plan, made = plan_of(relation), in_memory(relation.name)
    whole = f"({run.sql(relation.name, '1')})"
    rows = gather(run.query_columns(plan.rows_sql.replace("/*rows*/", whole)))
    left = gather(run.query_columns(plan.rows_sql_without(made).replace("/*rows*/", whole)))
    assert rows is not None
    assert left is not None
    names = {expression: plan.arguments[expression] for expression in made}
    assert set(rows.columns) - set(left.columns) == set(names.values()), "they are asked for, and spared"
    assert all(len(rows.columns[name].unique()) > 1 for name in names.values()), "they tell rows apart"
    return [expression for expression, name in names.items() if made[expression](rows, run.as_of) != rows.columns[name]]


def test_columns_made_in_memory_are_those_of_the_engine(warehouse: Warehouse) -> None:
    load(warehouse, universe_tables(Universe(seed=11, wallets=12, fills=500)))
    build(warehouse)
    run = Build(warehouse, None)
    made = {relation.name: differing(run, relation) for relation in RELATIONS if in_memory(relation.name)}
    assert made == {"days": [], "fills": []}


def test_a_gap_is_the_time_since_an_earlier_second_of_the_same_wallet() -> None:
    wallet, at = np.array([1, 0, 1, 1, 0, 1]), np.array([50, 7, 50, 20, 2_000_000_000, 53])
    assert gaps(wallet, at).tolist() == [30, -1, 30, -1, 1_999_999_993, 3]
    assert gaps(wallet[:0], at[:0]).tolist() == []


def test_days_count_from_the_first_row_of_a_wallet_and_category() -> None:
    day = 86_400
    wallet, category, at = np.array([0, 0, 1, 0]), np.array([0, 1, 0, 0]), np.array([3, 5, 1, 2]) * day
    assert days_since_first(wallet, category, at, 9 * day + 17).tolist() == [7, 4, 8, 7]
    none = np.zeros(0, np.int64)
    assert days_since_first(none, none, none, day).tolist() == []
