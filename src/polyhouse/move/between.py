"""A copy between two installations: state store first, then the warehouse, which so is never behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from polyhouse.errors import ConfigError
from polyhouse.move.copy import Copy, TableCopy
from polyhouse.move.state_rows import copy_state, newest_work
from polyhouse.settings import Settings, mask_url
from polyhouse.warehouse import ClickHouseWarehouse
from polyhouse.warehouse.bigquery import BigQueryWarehouse
from polyhouse.wiring import open_warehouse_of

_LOCAL = ("chdb:", "bigquery:")
"""Warehouses that compute in this process; one that is in BigQuery does so beside it."""


def copy_stores(
    settings: Settings, source: str, target: str, state_to: str, tell: Callable[[str], None], only: tuple[str, ...] = ()
) -> Mapping[str, TableCopy]:
    """Copy a warehouse, and the state store if ``state_to`` names where to.

    Args:
        settings: limits, and the state store to copy from.
        source: URL of the warehouse to copy from.
        target: URL of the warehouse to copy into.
        state_to: URL of a state store; "" = it is not copied.
        tell: hears of what is done.
        only: tables; () = all.

    Raises:
        ConfigError: both are the same, both compute in this process, or the target's state store is the newer one.
        PolyhouseError: as ``Copy.run``.
    """
    if source == target:
        raise ConfigError("Source and target are one warehouse.")
    if source.startswith(_LOCAL) and target.startswith(_LOCAL):
        raise ConfigError(
            "One process opens one embedded store at a time, so they cannot be copied like this.",
            hint="polyhouse backup DEST, then: polyhouse --home OTHER restore DEST",
        )
    with _opened(settings, source) as reading, _opened(settings, target) as writing:
        if state_to:
            state_from = settings.state_url()
            if newest_work(state_to) > newest_work(state_from):
                raise ConfigError("The state store to copy to was worked with later than the one to copy from.")
            rows = copy_state(state_from, state_to)
            tell(f"state: {sum(rows.values()):,} rows")
        done = Copy(reading, writing, mask_url(source), tell).run(only)
        if isinstance(writing, BigQueryWarehouse):
            writing.publish()
    return done


def _opened(settings: Settings, url: str) -> ClickHouseWarehouse:
    return open_warehouse_of(settings.model_copy(update={"warehouse": SecretStr(url)}))
