"""What needs no BigQuery: names, statements, days, budgets, the bill of a day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from polyhouse.errors import BudgetSpentError, ConfigError
from polyhouse.settings import Settings
from polyhouse.warehouse.bigquery.accounting import RESULTS, Day
from polyhouse.warehouse.bigquery.budget import LABEL, DailyBudget
from polyhouse.warehouse.bigquery.computed import READS, TOTALS, UNITS, VIEWS, model_sql, view_sql
from polyhouse.warehouse.bigquery.location import GIB, DatasetName, Limits, parse_dataset
from polyhouse.warehouse.bigquery.merge import MAX_RANGES, day_ranges, merge_sql
from polyhouse.warehouse.bigquery.schema import EVENTS, MARKETS, TRADES

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


def test_a_dataset_is_named_by_its_project():
    assert parse_dataset("bigquery://my-project/poly_1") == DatasetName("my-project", "poly_1")
    assert parse_dataset("bigquery://example.com:my-project/d") == DatasetName("example.com:my-project", "d")


@pytest.mark.parametrize(
    "url", ["bigquery://p", "bigquery://My/d", "bigquery://p/d/e", "bigquery://project/a-b", "x://p/d"]
)
def test_anything_else_is_refused(url):
    with pytest.raises(ConfigError, match="does not name one dataset"):
        parse_dataset(url)


def test_the_engine_that_computes_lies_in_the_home(tmp_path):
    settings = Settings(home=tmp_path, warehouse="bigquery://my-project/polymarket")
    assert settings.engine_url() == f"chdb://{tmp_path}/bigquery/my-project/polymarket"
    assert Settings(home=tmp_path).engine_url() == f"chdb://{tmp_path}/warehouse"


def test_days_become_ranges_and_too_many_become_one():
    first = date(2026, 1, 1)
    days = [first + timedelta(days=n) for n in (3, 0, 1, 9, 1)]
    assert day_ranges(days) == [
        (date(2026, 1, 1), date(2026, 1, 3)), (date(2026, 1, 4), date(2026, 1, 5)),
        (date(2026, 1, 10), date(2026, 1, 11)),
    ]  # fmt: skip
    many = [first + timedelta(days=2 * n) for n in range(MAX_RANGES + 1)]
    assert day_ranges(many) == [(first, many[-1] + timedelta(days=1))]


def test_trades_are_merged_by_their_full_identity_inside_their_days():
    sql = merge_sql(TRADES, "staging_trades", days=[date(2026, 11, 21)], only_new=True)
    matched, clauses = sql.split("\n", 1)
    for name in TRADES.key:
        assert f"T.{name} = S.{name}" in matched
    assert {"tx_hash", "wallet_address", "token_id", "pos", "ordinal"} < set(TRADES.key)
    assert "id" not in TRADES.key  # a name for people, never the identity
    assert "T.timestamp >= TIMESTAMP '2026-11-21 00:00:00+00' AND T.timestamp < TIMESTAMP '2026-11-22" in matched
    assert clauses.startswith("WHEN NOT MATCHED AND S.op <> 'D' THEN INSERT (")
    assert (MARKETS.key, EVENTS.key) == (("condition_id",), ("event_slug",))


def test_models_are_neutral_sql():
    """Equal to what they were written as: transpiled, not rewritten; and no engine's own functions in them."""
    for name in (UNITS.name, TOTALS.name, *VIEWS):
        for dialect in ("bigquery", "duckdb", "clickhouse"):
            assert model_sql(name, dialect).startswith(("SELECT", "WITH"))
    assert set(READS) == {UNITS.name, TOTALS.name}


def test_a_view_names_its_tables_in_full():
    """A view has no default dataset; what it names itself stays as it is."""
    sql = view_sql("leaderboard", "my-project.scores")
    assert "FROM `my-project`.`scores`.wallet_totals AS t" in sql
    assert sql.count("FROM ranked AS r") == 2


class Label(dict):
    """A table's labels without a table."""

    def change_labels(self, change, *, tries):
        self.update(change(dict(self)))
        return dict(self)


def test_a_budget_is_of_a_day_and_corrected_by_the_bill():
    labels, now = Label(other="kept"), [NOON]
    budget = DailyBudget(labels, query_bytes=100, daily_bytes=250, clock=lambda: now[0])
    assert budget.take(100) == 100
    budget.settle(100, 40)
    assert budget.take(100) == 140
    with pytest.raises(ConfigError, match="one may read"):
        budget.take(101)
    assert budget.take(100) == 240
    again = DailyBudget(labels, query_bytes=100, daily_bytes=250, clock=lambda: now[0])  # another process
    with pytest.raises(BudgetSpentError, match="was not run"):
        again.take(11)
    assert again.take(10) == 250
    now[0] += 43_200
    assert again.spent() == 0
    assert again.take(100) == 100
    assert labels == {"other": "kept", LABEL: "20261122_100"}


def test_the_predecessors_day_stays_under_the_stated_bytes():
    """48 publications of a day with 10 M trades on top of 84 M: docs/bigquery.md states 300 GiB, the default budget is
    more, and one statement never reaches its cap."""
    day = Day()
    billed = day.bytes_billed()
    assert (day.runs, day.trades, day.history) == (48, 10_000_000, 84_000_000)
    assert sum(billed.values()) < 300 * GIB < Limits().daily_bytes
    assert sum(Day(history=0).bytes_billed().values()) < 180 * GIB
    results = sum(billed[name] for name in RESULTS)
    assert results < 35 * GIB  # once a day: with each of the four publications of models the day would be above 300
    assert sum(billed.values()) + 3 * results > 300 * GIB
    # What made the bill of 56,000 dollars: everything again with every run.
    rebuilt = Day(model_runs=48).bytes_billed()
    assert sum(rebuilt[name] for name in ("units", "wallet_totals")) > 10 * sum(
        billed[name] for name in ("units", "wallet_totals")
    )
    assert (
        max(billed[name] // day.model_runs for name in ("positions", "units", "wallet_totals")) < Limits().query_bytes
    )


def test_the_bill_of_a_day_grows_with_its_rows_and_not_faster():
    """Trades cost (rows of the day) × (runs): the formula is linear in rows, so that small counts may be scaled."""
    small, large = (Day(trades=n, history=0).bytes_billed()["trades"] for n in (10_000_000, 20_000_000))
    assert large == pytest.approx(2 * small, rel=0.001)
    few, many = (Day(runs=n, history=0).bytes_billed()["trades"] for n in (24, 48))
    assert many < 2.05 * few
