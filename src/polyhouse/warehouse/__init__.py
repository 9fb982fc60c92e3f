"""The warehouse: one ClickHouse-dialect adapter for chDB and servers, its schema and its lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from polyhouse.errors import ConfigError
from polyhouse.warehouse.damage import refuse_headless, refuse_losses
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import Embedded, Server, parse_location
from polyhouse.warehouse.lock import HolderInfo, StoreLock, holder
from polyhouse.warehouse.store import ClickHouseWarehouse

__all__ = ["ClickHouseWarehouse", "HolderInfo", "holder", "open_store", "open_warehouse"]

Opened = TypeVar("Opened", bound=ClickHouseWarehouse)


def open_warehouse(url: str, *, readonly_ok: bool = False) -> ClickHouseWarehouse:
    """Open the warehouse and bring its schema up to date.

    Args:
        url: ``chdb:///absolute/folder`` (made if it is not there) or ``clickhouse://user:password@host:8123/database``,
            with ``?cluster=NAME`` for a cluster of which the host is a node.
        readonly_ok: the caller only reads, so an embedded store that does not exist is an error and is not made.

    Returns:
        The warehouse (``ports.Warehouse`` and more). Close it, or use it as a context manager.

    Raises:
        ConfigError: malformed or unsupported URL, or a store of a newer version.
        StoreDamagedError: rows of an embedded store are gone or cannot be read.
        DiskError: its disk is full, read-only or failing.
        StoreInUseError: another process has the embedded store open; the message names it.
        WarehouseUnavailableError: the engine does not answer.
    """
    location = parse_location(url)
    if isinstance(location, Server) and location.cluster:
        from polyhouse.warehouse.sharded import open_cluster

        return open_cluster(location)
    if isinstance(location, Embedded) and readonly_ok and not location.path.exists():
        raise ConfigError(f"There is no warehouse at {location.path} yet.", hint="`polyhouse run` fills it.")
    return open_store(location, ClickHouseWarehouse)


def open_store(location: Embedded | Server, make: Callable[[Engine, StoreLock | None], Opened]) -> Opened:
    """Lock a store if it is embedded, make its warehouse, and bring the schema up to date. Errors as above."""
    lock = StoreLock.acquire(location) if isinstance(location, Embedded) else None
    warehouse = None
    try:
        if isinstance(location, Embedded):
            refuse_headless(location.path)
        warehouse = make(Engine(location), lock)
        warehouse.migrate()
        if isinstance(location, Embedded):
            refuse_losses(warehouse, location.path)
    except BaseException:
        if warehouse is not None:
            warehouse.close()
        elif lock is not None:
            lock.release()
        raise
    return warehouse
