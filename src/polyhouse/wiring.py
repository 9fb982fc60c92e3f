"""Builds every object from the settings. The only module that knows all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyhouse.settings import Settings

if TYPE_CHECKING:
    from polyhouse.ports import Warehouse
    from polyhouse.sources.http import HttpClient
    from polyhouse.state import StateStore
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.progress import Reporter


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores of one installation, open."""

    warehouse: Warehouse
    state: StateStore


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open warehouse and state, and close them at the end.

    Raises:
        StoreInUseError: another process owns the embedded warehouse.
        ConfigError: a malformed URL, or a schema newer than this version.
        WarehouseUnavailableError: the server does not answer.
    """
    from polyhouse.state import open_state
    from polyhouse.warehouse import open_warehouse

    if not settings.warehouse.get_secret_value() or not settings.state.get_secret_value():
        settings.home.mkdir(parents=True, exist_ok=True)
    warehouse = open_warehouse(settings.warehouse_url())
    try:
        state = open_state(settings.state_url())
        try:
            yield Stores(warehouse, state)
        finally:
            state.close()
    finally:
        warehouse.close()
