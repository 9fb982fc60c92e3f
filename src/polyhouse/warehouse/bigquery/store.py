"""BigQuery as the warehouse: an embedded store computes, the dataset follows it.

The same product runs on it unchanged: every read and build is the local store's, which costs nothing and needs no
network. ``publish`` brings the dataset up to date; ``polyhouse sql`` asks the dataset, under its byte caps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from polyhouse.errors import BadInputError, BudgetSpentError, WarehouseUnavailableError
from polyhouse.warehouse.bigquery.client import BigQuery
from polyhouse.warehouse.bigquery.location import DatasetName, Limits
from polyhouse.warehouse.bigquery.publish import Publication, Publisher
from polyhouse.warehouse.bigquery.tracking import Tracking
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.guard import ReadonlyResult
from polyhouse.warehouse.store import ClickHouseWarehouse

if TYPE_CHECKING:
    from polyhouse.warehouse.changes import Changes
    from polyhouse.warehouse.lock import StoreLock


class BigQueryWarehouse(ClickHouseWarehouse):
    """``ports.Warehouse`` whose rows are kept in BigQuery too. Made by ``open_bigquery``."""

    def __init__(
        self,
        engine: Engine,
        lock: StoreLock | None,
        changes: Changes | None = None,
        *,
        name: DatasetName,
        limits: Limits,
    ) -> None:
        super().__init__(engine, lock, changes)
        self._name = name
        self._limits = limits
        self._remote: BigQuery | None = None
        self._remote_lock = threading.Lock()
        self._published_at = 0

    @property
    def remote(self) -> BigQuery:
        """The dataset, connected at its first use: commands that only read the local store need no network.

        Raises:
            ConfigError: the optional packages are not installed.
            AuthError: no credentials were found.
        """
        with self._remote_lock:
            if self._remote is None:
                self._remote = BigQuery(self._name, self._limits)
            return self._remote

    def start_counting(self) -> None:
        """What was changed up to now (opening makes tables) is no reason to publish."""
        self._published_at = self.changes.statements

    def publish(self) -> Publication | None:
        """Bring the dataset up to date; None if this process changed nothing since.

        Raises:
            StoreInUseError: the dataset follows another local store.
            BudgetSpentError: the day's budget does not suffice; what was done stays, the rest goes with the next call.
            WarehouseUnavailableError: BigQuery does not answer, or a quota is used up.
        """
        if self.changes.statements == self._published_at:
            return None
        try:
            done = Publisher(Tracking(self), self.remote, self.next_version).publish()
        except (BudgetSpentError, WarehouseUnavailableError) as error:
            kept = (
                "What was done is in the local store and goes to BigQuery with the next command that changes something."
            )
            raise type(error)(f"{kept} {error}", hint=error.hint) from error
        self.start_counting()
        return done

    def query_readonly(
        self, sql: str, *, max_rows: int, timeout_seconds: float, truncate: bool = False
    ) -> ReadonlyResult:
        """Run a user's SELECT in BigQuery, in its dialect: only SELECT, under the byte caps, tables of the dataset by
        their plain names.

        Raises:
            BadInputError: refused or wrong SQL, or more rows than ``max_rows``.
            ConfigError: it would read more than one statement may.
            BudgetSpentError: the day's budget does not suffice.
        """
        result, is_cut = self.remote.select(sql, max_rows=max_rows, timeout_seconds=timeout_seconds)
        if is_cut and not truncate:
            raise BadInputError(
                f"The query returns more than {max_rows:,} rows.", hint="Add a LIMIT, or raise the limit."
            )
        return ReadonlyResult(result.columns, result.rows, truncated=is_cut)

    def reader(self) -> BigQueryWarehouse:
        """The same store through connections of its own."""
        return BigQueryWarehouse(
            Engine(self._engine.location), None, self.changes, name=self._name, limits=self._limits
        )

    def close(self) -> None:
        """Release both stores."""
        if self._remote is not None:
            self._remote.close()
            self._remote = None
        super().close()


def maker(name: DatasetName, limits: Limits) -> Callable[[Engine, StoreLock | None], BigQueryWarehouse]:
    """Makes the warehouse of one dataset on an engine."""
    return lambda engine, lock: BigQueryWarehouse(engine, lock, name=name, limits=limits)


def cache_folder(home: Path, name: DatasetName) -> Path:
    """Where the store that computes for a dataset lies."""
    return home / "bigquery" / name.project.replace(":", "_") / name.dataset
