"""Opens the two stores of an installation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyhouse.disk import disk_error, number_of
from polyhouse.errors import ConfigError
from polyhouse.ports import BuildWishes
from polyhouse.settings import Settings

if TYPE_CHECKING:
    from polyhouse.state import StateStore
    from polyhouse.warehouse import ClickHouseWarehouse


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores of one installation, open."""

    warehouse: ClickHouseWarehouse
    state: StateStore


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open warehouse and state, and close them at the end.

    Raises:
        StoreInUseError: another process owns the embedded warehouse.
        ConfigError: a malformed URL, or a schema newer than this version.
        WarehouseUnavailableError: the server does not answer.
    """
    _make_home(settings)
    with open_warehouse_of(settings) as warehouse, open_state_only(settings) as state:
        stores = Stores(warehouse, state)
        _finish_publication(warehouse)
        yield stores
        if settings.is_bigquery():
            publish_rows(stores)


def _finish_publication(warehouse: ClickHouseWarehouse) -> None:
    """Complete the exchange of model tables in which the last owner of an embedded store was killed."""
    if not warehouse.is_embedded:  # somebody may be at it
        return
    if warehouse.query("SELECT count() FROM publications FINAL WHERE NOT is_done").rows[0][0]:
        from polyhouse.models.publication import finish_publication

        finish_publication(warehouse)


def open_warehouse_of(settings: Settings) -> ClickHouseWarehouse:
    """Open the warehouse alone. Errors as ``open_stores``."""
    from polyhouse.warehouse import open_warehouse

    url = settings.warehouse_url()
    wishes = BuildWishes(settings.checks, settings.keep_previous_build)
    if not settings.is_bigquery():
        warehouse = open_warehouse(url)
        warehouse.build_wishes = wishes
        return warehouse
    from polyhouse.warehouse.bigquery import Limits, open_bigquery

    limits = Limits(
        settings.bigquery_endpoint, settings.bigquery_location, settings.bigquery_query_bytes,
        settings.bigquery_daily_bytes, settings.bigquery_models_seconds, settings.bigquery_metrics_seconds,
    )  # fmt: skip
    following = open_bigquery(url, settings.home, limits)
    following.build_wishes = wishes
    return following


def publish_rows(stores: Stores) -> None:
    """Bring the dataset of a BigQuery warehouse up to date with what this process changed. Nothing elsewhere.

    Raises:
        BudgetSpentError: the budget of the day does not suffice; the rows go with the next command.
        WarehouseUnavailableError: BigQuery does not answer; the same.
    """
    from polyhouse.warehouse.bigquery import BigQueryWarehouse

    if isinstance(stores.warehouse, BigQueryWarehouse):
        stores.warehouse.publish()


@contextmanager
def open_state_only(settings: Settings) -> Iterator[StateStore]:
    """Open the state store alone: it takes several processes, also while another one owns the warehouse.

    Raises:
        ConfigError: the stores are half replaced by a backup.
    """
    from polyhouse.state import open_state
    from polyhouse.state.database import RESTORE_NOTE

    _make_home(settings)
    state = open_state(settings.state_url(), lease_seconds=settings.lease_seconds)
    try:
        if (source := state.get_note(RESTORE_NOTE)) is not None:
            raise ConfigError(
                "A restore is going on here, or was killed in the middle; nothing works on half of a store.",
                hint=f"If it was killed, run it again: polyhouse restore {source} --force",
            )
        yield state
    finally:
        state.close()


def migrate_stores(settings: Settings) -> list[str]:
    """Bring both schemas up to date and name the warehouse migrations that this call applied."""
    started = int(time.time())
    with open_stores(settings) as stores:
        rows = stores.warehouse.query(
            "SELECT name FROM schema_migrations FINAL WHERE applied_at >= toDateTime({started:UInt32}, 'UTC')"
            " ORDER BY number",
            {"started": started},
        ).rows
    return [str(row[0]) for row in rows]


def _make_home(settings: Settings) -> None:
    if not settings.warehouse.get_secret_value() or not settings.state.get_secret_value():
        # For the owner only: the stores know who asked what, and with which keys.
        try:
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            if number := number_of(error):
                raise disk_error("the home folder", settings.home, number) from error
            raise ConfigError(
                f"The home folder {settings.home} cannot be made: {error.strerror}.",
                hint="Choose another one with --home or POLYHOUSE_HOME.",
            ) from error
