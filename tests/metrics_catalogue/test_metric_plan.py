"""How expressions are divided into what is computed of rows, aggregated, and computed from the values."""

from __future__ import annotations

import re

import pytest

from polyhouse.metrics.catalogue import RELATIONS, computed
from polyhouse.metrics.metric import Relation
from polyhouse.models.metric_plan import AGGREGATES, plan, with_parts

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
    list_of_values = "arrayReduce('quantileExactInclusive(0.5)', value_3)"
    assert made.columns == {"a": "ratio * odd + value_2", "b": f"{list_of_values} + n", "c": "n"}
    assert [call.function for call in made.calls.values()] == ["count", "sum", "sum", "groupArray"]
    assert "max(" not in made.rows_sql


def test_arguments_are_columns_of_the_rows() -> None:
    made = plan(ROWS, {"a": "ratio", "k": "groupArray(if(s = ')', x, 0))", "l": "uniqExactIf(x, is_odd)"})
    assert set(made.arguments) == {"x", "if(s = ')', x, 0)", "toUInt8(is_odd)"}
    assert made.rows_sql.startswith("WITH x % 2 = 1 AS is_odd SELECT"), "parts of rows are there where rows are"
    assert "is_odd" not in with_parts(made.parts)
    unique = made.calls[made.columns["l"]]
    assert (unique.function, unique.condition) == ("uniqExact", made.arguments["toUInt8(is_odd)"])


def test_exact_products_are_left_to_the_sum() -> None:
    """What is written as a product of 128 bits is read as its factors; anything else is computed by the engine."""
    columns = {"a": "sumIf(toInt128(x) * (y - 1) * x, is_odd)", "b": "sum(toInt128(x) * y + 1)", "c": "sum(x * y)"}
    made = plan(ROWS, columns)
    written = {name: sql for sql, name in made.arguments.items()}
    found = [(call.function, [written[name] for name in call.columns]) for call in made.calls.values()]
    assert found == [("sumProduct", ["x", "(y - 1)", "x"]), ("sum", ["toInt128(x) * y + 1"]), ("sum", ["x * y"])]


def test_sums_by_key_are_tuples_of_lists() -> None:
    made = plan(ROWS, {"a": "sumMapIf([k], [x], [f(x, 1)], is_odd).2"})
    assert made.columns == {"a": "tuple(value_0_1, value_0_2, value_0_3).2"}
    with pytest.raises(ValueError, match="one item"):
        plan(ROWS, {"a": "sumMap([k, l], [x, y])"})


def test_brackets_that_do_not_close_are_told() -> None:
    with pytest.raises(ValueError, match="brackets"):
        plan(ROWS, {"a": "sum(x"})


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_no_aggregate_of_the_catalogue_is_left_behind(relation: Relation) -> None:
    """On values nothing is aggregated any more, but for lists."""
    columns = {metric.name: metric.sql for metric in computed(relation.name) if not metric.of_metrics}
    made = plan(relation, columns)
    left = re.compile(
        rf"\b(?:{'|'.join(AGGREGATES)}|avg|any|anyLast|median|quantile\w*|group\w+|uniq\w*|topK)(?:If)?\("
    )
    for sql in (*made.parts.values(), *made.columns.values()):
        assert not left.search(re.sub(r"arrayReduce\('[^']*'", "", sql)), sql
