"""How expressions are divided into what is aggregated, merged, and computed from the values."""

from __future__ import annotations

import re

import pytest

from polyhouse.metrics.catalogue import METRIC_WINDOWS, RELATIONS, computed
from polyhouse.metrics.metric import Relation
from polyhouse.models.metric_states import AGGREGATES, plan, with_parts

ROWS = Relation(
    "given",
    "rows",
    parts={
        "is_odd": "x % 2 = 1",
        "odd": "sumIf(x, is_odd)",
        "ratio": "odd / sum(x)",
        "unused": "max(y)",
    },
)


def test_calls_become_values_and_each_is_aggregated_once() -> None:
    made = plan(ROWS, {"a": "ratio * odd + sum(x)", "b": "quantileExactInclusive(0.5)(x - (1 + 1)) + n", "c": "n"})
    # Given parts come first, then those of the relation, then the columns.
    assert made.parts == {"n": "toInt64(value_0)", "odd": "value_1", "ratio": "odd / value_2"}
    assert made.columns == {"a": "ratio * odd + value_2", "b": "value_3 + n", "c": "n"}
    assert "max(" not in made.values_sql


def test_rows_are_summed_as_states_and_merged() -> None:
    sql = plan(
        ROWS, {"a": "ratio", "m": "quantileExactInclusive(0.5)(x - (1 + 1))", "k": "groupArray(if(s = ')', x, 0))"}
    )
    inner, outer = sql.values_sql.split("FROM given")[0], sql.values_sql
    assert inner.count("State(") == 4
    assert "quantileExactInclusiveState(0.5)(x - (1 + 1))" in inner
    assert "groupArrayState(if(s = ')', x, 0))" in inner
    assert re.search(r"quantileExactInclusiveMerge\(0\.5\)\(value_\d\)", outer)
    assert re.search(r"sumIfMerge\(value_\d\)", outer)
    assert "WITH x % 2 = 1 AS is_odd" in inner, "parts of rows are there where rows are"
    assert "is_odd" not in with_parts(sql.parts)


def test_brackets_that_do_not_close_are_told() -> None:
    with pytest.raises(ValueError, match="brackets"):
        plan(ROWS, {"a": "sum(x"})


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_no_aggregate_of_the_catalogue_is_left_behind(relation: Relation) -> None:
    """On values nothing is aggregated any more, and every window is given its ages."""
    columns = {metric.name: metric.sql for metric in computed(relation.name) if not metric.of_metrics}
    made = plan(relation, columns)
    left = re.compile(
        rf"\b(?:{'|'.join(AGGREGATES)}|avg|any|anyLast|median|quantile\w*|group\w+|uniq\w*|topK)(?:If)?\("
    )
    for sql in (*made.parts.values(), *made.columns.values()):
        assert not left.search(sql), sql
    for window in METRIC_WINDOWS:
        assert f"'{window}'" in made.values_sql
