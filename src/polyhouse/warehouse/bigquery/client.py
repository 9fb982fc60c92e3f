"""One dataset through the official client: loads, statements under a byte cap, and errors in the product's words."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyhouse.errors import BadInputError, PolyhouseError, WarehouseUnavailableError
from polyhouse.ports import QueryResult
from polyhouse.warehouse.bigquery.accounting import MIN_BYTES
from polyhouse.warehouse.bigquery.budget import DailyBudget
from polyhouse.warehouse.bigquery.faults import connect, translate, translate_user_sql
from polyhouse.warehouse.bigquery.location import DatasetName, Limits
from polyhouse.warehouse.bigquery.schema import CHECKPOINT, KINDS, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud import bigquery

_log = logging.getLogger("polyhouse.bigquery")


@dataclass(frozen=True, slots=True)
class Done:
    """What a statement did. ``rows``: that it changed; ``estimate``, ``billed``: bytes."""

    rows: int
    estimate: int
    billed: int


class BigQuery:
    """A dataset. Safe for threads as far as the official client is.

    Args:
        name: of the dataset.
        limits: how to reach it and what may be read.
        clock: Unix seconds.

    Raises:
        ConfigError: the optional packages are not installed.
        AuthError: no credentials were found.
    """

    def __init__(self, name: DatasetName, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.limits = limits
        self._client = connect(name, limits)
        self._patience: dict[str, Any] = {"timeout": limits.timeout_seconds}
        if limits.endpoint:  # an emulator's errors are no reason to wait: retrying hides them
            self._patience["retry"] = None
        self._ready: set[str] = set()
        self.budget = DailyBudget(self, limits.query_bytes, limits.daily_bytes, clock)

    def change_labels(self, change: Callable[[dict[str, str]], dict[str, str]], *, tries: int) -> dict[str, str]:
        """See ``budget.Labels``.

        Raises:
            WarehouseUnavailableError: others were faster every time.
        """
        from google.api_core.exceptions import PreconditionFailed

        name = f"{self.name}.{self.ensure(CHECKPOINT)}"
        for _ in range(tries):
            with self._errors():
                table = self._client.get_table(name, **self._patience)
                labels = dict(table.labels)
                changed = change(labels)
                if changed == labels:
                    return labels
                table.labels = changed
                try:
                    self._client.update_table(table, ["labels"], **self._patience)
                except PreconditionFailed:
                    continue
                return changed
        raise WarehouseUnavailableError(f"The labels of {name} are changed by others all the time.")

    def ensure(self, table: Table, *, staging: bool = False) -> str:
        """Make a table if it is not there; returns its name."""
        from google.cloud import bigquery

        name = f"staging_{table.name}" if staging else table.name
        if name in self._ready:
            return name
        with self._errors():
            self._ensure_dataset()
            fields = [bigquery.SchemaField(column, *KINDS[kind][:2]) for column, kind in table.columns.items()]
            if staging:
                fields.append(bigquery.SchemaField("op", "STRING"))
            made = bigquery.Table(f"{self.name}.{name}", fields)
            if table.day and not staging:
                made.time_partitioning = bigquery.TimePartitioning(field=table.day)
            if table.cluster and not staging:
                made.clustering_fields = list(table.cluster)
            self._client.create_table(made, exists_ok=True, **self._patience)
        self._ready.add(name)
        return name

    def fit(self, table: Table, known: Iterable[str]) -> None:
        """Make a table if it is not there; if it is, give it the columns that it lacks and drop those that are gone.

        Both are free. Its staging table is made anew when it is needed.

        Args:
            table: as it should be.
            known: columns that it was given before.
        """
        name = f"{self.name}.{self.ensure(table)}"
        staging = f"staging_{table.name}"
        with self._errors():
            there = self._client.get_table(name, **self._patience)
            names = {field.name for field in there.schema}
            self._client.delete_table(f"{self.name}.{staging}", not_found_ok=True, **self._patience)
            self._ready.discard(staging)
        lacking = [
            f"ADD COLUMN IF NOT EXISTS {column} {KINDS[kind][0]}"
            for column, kind in table.columns.items()
            if column not in names
        ]
        gone = [f"DROP COLUMN IF EXISTS {column}" for column in sorted({*names, *known} - set(table.columns))]
        for changes in filter(None, (lacking, gone)):
            self.run(f"ALTER TABLE {table.name} {', '.join(changes)}", tables=0, planned=0)

    def ensure_view(self, name: str, sql: str) -> None:
        """Make a view, or let it say what it should."""
        from google.api_core.exceptions import NotFound
        from google.cloud import bigquery

        if name in self._ready:
            return
        with self._errors():
            try:
                view = self._client.get_table(f"{self.name}.{name}", **self._patience)
                if view.view_query != sql:
                    view.view_query = sql
                    self._client.update_table(view, ["view_query"], **self._patience)
            except NotFound:
                view = bigquery.Table(f"{self.name}.{name}")
                view.view_query = sql
                self._client.create_table(view, exists_ok=True, **self._patience)
        self._ready.add(name)

    def load(self, name: str, files: Iterable[pa.Table]) -> tuple[int, int]:
        """Replace a table's rows by load jobs of Parquet files; returns the rows and the jobs. Loads are free."""
        import pyarrow.parquet as pq
        from google.cloud import bigquery

        rows = jobs = 0
        for part in files:
            options = bigquery.ParquetOptions()  # type: ignore[no-untyped-call]
            options.enable_list_inference = True
            config = bigquery.LoadJobConfig(
                source_format="PARQUET",
                write_disposition="WRITE_APPEND" if jobs else "WRITE_TRUNCATE",
                parquet_options=options,
            )
            with tempfile.TemporaryFile() as file, self._errors():
                pq.write_table(part, file, compression="zstd")
                file.seek(0)
                job = self._client.load_table_from_file(
                    file, f"{self.name}.{name}", job_config=config, timeout=self.limits.timeout_seconds
                )
                job.result(**self._patience)
            rows += part.num_rows
            jobs += 1
        return rows, jobs

    def run(self, sql: str, *, tables: int, planned: int, on_start: Callable[[], None] | None = None) -> Done:
        """Run one statement of ours: dry run, budget, cap, then the statement.

        Args:
            sql: the statement.
            tables: how many tables it names, each of which is billed with ``MIN_BYTES`` at least.
            planned: our own estimate of the bytes it reads.
            on_start: called when it is allowed, before it runs.

        Raises:
            BudgetSpentError: the day's budget does not suffice.
            ConfigError: it would read more than one statement may.
            WarehouseUnavailableError: BigQuery does not answer, or a quota is used up.
        """
        with self._errors():
            estimate = max(self._dry_run(sql).total_bytes_processed or 0, planned, tables * MIN_BYTES)
            job = self._capped(sql, estimate, on_start=on_start)
            billed = int(job.total_bytes_billed or estimate)
            rows = int(job.num_dml_affected_rows or 0)
        self.budget.settle(estimate, billed)
        return Done(rows, estimate, billed)

    def select(self, sql: str, *, max_rows: int, timeout_seconds: float) -> tuple[QueryResult, bool]:
        """Run a user's SELECT under the caps; the first ``max_rows`` rows, and whether there are more.

        Raises:
            BadInputError: it is wrong, or no SELECT.
            ConfigError: it would read more than one statement may.
            BudgetSpentError: the day's budget does not suffice.
        """
        statement = sql.strip().rstrip(";")
        if ";" in statement:  # BigQuery would take several; where a text ends is better not guessed
            raise BadInputError("Only one statement at a time is allowed.", hint="write CHR(59) for a ';' in a text")
        with self._errors(translate_user_sql):
            dry = self._dry_run(statement)
            if dry.statement_type != "SELECT":
                raise BadInputError(f"Only SELECT is allowed in BigQuery, not {dry.statement_type or 'this'}.")
            processed = int(dry.total_bytes_processed or 0)
            # A query that reads a table is billed with the minimum; one of constants is free.
            estimate = max(processed, MIN_BYTES) if "from" in sql.lower() else processed
            job = self._capped(statement, estimate, seconds=timeout_seconds)
            result = job.result(max_results=max_rows + 1, **self._patience)
            names = tuple(str(field.name) for field in result.schema)
            rows = [tuple(row.values()) for row in result]
            billed = int(job.total_bytes_billed or estimate)
        self.budget.settle(estimate, billed)
        return QueryResult(names, rows[:max_rows]), len(rows) > max_rows

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _ensure_dataset(self) -> None:
        from google.api_core.exceptions import NotFound
        from google.cloud import bigquery

        if self._ready:
            return
        try:
            self._client.get_dataset(str(self.name), **self._patience)
        except NotFound:
            made = bigquery.Dataset(str(self.name))
            made.location = self.limits.location
            self._client.create_dataset(made, exists_ok=True, **self._patience)

    def _config(self, **options: Any) -> bigquery.QueryJobConfig:
        from google.cloud import bigquery

        return bigquery.QueryJobConfig(
            default_dataset=bigquery.DatasetReference(self.name.project, self.name.dataset),
            use_query_cache=False,
            maximum_bytes_billed=max(self.limits.query_bytes, MIN_BYTES),
            **options,
        )

    def _dry_run(self, sql: str) -> bigquery.QueryJob:
        return self._client.query(sql, job_config=self._config(dry_run=True), job_retry=None, **self._patience)

    def _capped(
        self, sql: str, estimate: int, *, seconds: float = 0, on_start: Callable[[], None] | None = None
    ) -> bigquery.QueryJob:
        spent = self.budget.take(estimate)
        if on_start is not None:
            on_start()
        options = {"job_timeout_ms": int(seconds * 1000)} if seconds else {}
        job = self._client.query(sql, job_config=self._config(**options), job_retry=None, **self._patience)
        job.result(**self._patience)
        _log.debug("%s: estimate %d bytes, today %d", job.statement_type, estimate, spent)
        return job

    @contextmanager
    def _errors(self, translator: Callable[[Exception], PolyhouseError] = translate) -> Iterator[None]:
        try:
            yield
        except PolyhouseError:
            raise
        except Exception as error:
            raise translator(error) from error


def columns_of(rows: Mapping[str, Any], table: Table) -> pa.Table:
    """Rows as they come from the local engine, as the columns of a table; ``op`` too if they have one."""
    import pyarrow as pa

    kinds = dict(table.columns) | ({"op": "word"} if "op" in rows else {})
    return pa.table({name: _cast(rows[name], kind) for name, kind in kinds.items()})


def _cast(values: Any, kind: str) -> Any:
    import pyarrow as pa

    types = {
        "STRING": pa.string(), "INT64": pa.int64(), "BOOL": pa.bool_(), "NUMERIC": pa.decimal128(38, 9),
        "FLOAT64": pa.float64(),
    }  # fmt: skip
    name, mode, _ = KINDS[kind]
    if name == "TIMESTAMP":
        return values.cast(pa.int64()).cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC"))
    return values.cast(pa.list_(pa.string()) if mode == "REPEATED" else types[name])
