"""Backups: one folder that holds the state store, the warehouse or where its server keeps it, and a manifest.

State first, then the warehouse: the state store never says more than the warehouse holds, so what is younger than it is
read again after a restore, and nothing is missed. An embedded warehouse is closed and locked meanwhile, its files are
copied as they are; a server makes the backup by its own means, on a disk that its administrator set up for that.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polyhouse
from polyhouse.errors import ConfigError
from polyhouse.failpoints import reach
from polyhouse.move.manifest import (
    NOT_INCLUDED,
    NOT_ON_SERVERS,
    File,
    Manifest,
    copy_file,
    describe,
    read_manifest,
    sync_folder,
    write_manifest,
)
from polyhouse.move.state_rows import save_state
from polyhouse.state import open_state
from polyhouse.state.schema import HEAD
from polyhouse.sync.turns import building
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import Embedded, Server, parse_location
from polyhouse.warehouse.lock import StoreLock
from polyhouse.warehouse.migrate import load_migrations

STATE_FILE = "state.db"
WAREHOUSE_FOLDER = "warehouse"
SCRATCH = frozenset({"tmp", "status"})
"""What the engine makes at the top of its folder while it is open."""

_DISK = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ROWS = (
    "SELECT table AS table_name, sum(rows) AS rows FROM system.parts WHERE active AND database = currentDatabase()"
    " GROUP BY table ORDER BY table"
)


def back_up(
    warehouse_url: str, state_url: str, destination: Path, *, base: Path | None = None, disk: str = ""
) -> Manifest:
    """Make a backup of both stores.

    Args:
        warehouse_url: the warehouse.
        state_url: the state store.
        destination: folder of the backup; it appears when it is complete, and must not be there yet.
        base: an earlier backup of the same stores; what it has already is linked (embedded) or referred to (server).
        disk: on servers: the disk for backups (``backups.allowed_disk`` of the server).

    Raises:
        ConfigError: the destination is there already, or the base is no backup of this kind of store.
        StoreInUseError: another process has the embedded store open.
        WarehouseUnavailableError: the server failed.
    """
    location = location_of(warehouse_url)
    earlier = None if base is None else read_manifest(base)
    _check(location, destination, earlier, disk)
    started = int(time.time())
    with _draft(destination) as draft:
        state = save_state(state_url, draft / STATE_FILE)
        if isinstance(location, Embedded):
            found = _embedded(location, draft, base, earlier)
        else:
            # Half of a build is nothing to keep.
            with open_state(state_url) as turns, building(turns):
                found = _server(warehouse_url, location, f"{destination.name}-{started}", disk, earlier)
        engine, tables, files, links = found
        manifest = Manifest(
            product=polyhouse.__version__,
            made_at=started,
            kind="embedded" if isinstance(location, Embedded) else "server",
            engine=engine,
            migrations={migration.name: migration.checksum for migration in load_migrations()},
            state_revision=HEAD,
            tables=tables,
            state=state,
            files=[describe(draft / STATE_FILE, STATE_FILE), *files],
            links=links,
            disk=disk,
            name="" if isinstance(location, Embedded) else f"{destination.name}-{started}",
            database="" if isinstance(location, Embedded) else location.database,
            base="" if base is None else str(base.resolve()),
            not_included=NOT_INCLUDED if isinstance(location, Embedded) else (*NOT_INCLUDED, NOT_ON_SERVERS),
        )
        reach("B1")
        write_manifest(draft, manifest)
        reach("B2")
    return manifest


def location_of(url: str) -> Embedded | Server:
    """Where a warehouse is that can be backed up.

    Raises:
        ConfigError: it is in BigQuery, or the URL is malformed.
    """
    if url.startswith("bigquery:"):
        raise ConfigError(
            "A warehouse in BigQuery has a history of its own and is not backed up from here.",
            hint="Time travel and table snapshots of BigQuery; or: polyhouse copy --to clickhouse://…",
        )
    return parse_location(url)


_Found = tuple[str, dict[str, int], list[File], dict[str, str]]


def _check(location: Embedded | Server, destination: Path, earlier: Manifest | None, disk: str) -> None:
    if destination.exists():
        raise ConfigError(f"{destination} is there already.", hint="Give each backup a folder of its own.")
    kind = "embedded" if isinstance(location, Embedded) else "server"
    if earlier is not None and earlier.kind != kind:
        raise ConfigError(f"The base is a backup of an {earlier.kind} warehouse, and this one is of a {kind}.")
    if kind == "server" and not _DISK.fullmatch(disk):
        raise ConfigError(
            "The backup of a server's warehouse needs the name of the server's disk for backups.",
            hint="polyhouse backup DEST --disk backups (docs/backup.md shows how to set it up)",
        )


@contextmanager
def _draft(destination: Path) -> Iterator[Path]:
    """A folder beside the destination that takes its name when the block is over."""
    draft = destination.with_name(f".{destination.name}.partial")
    if draft.exists():
        shutil.rmtree(draft)  # of a backup that was killed
    draft.mkdir(parents=True, mode=0o700)
    try:
        yield draft
        sync_folder(draft)
        draft.rename(destination)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    sync_folder(destination.parent)


def _embedded(location: Embedded, draft: Path, base: Path | None, earlier: Manifest | None) -> _Found:
    lock = StoreLock.acquire(location)
    try:
        with ClickHouseWarehouse(Engine(location), None) as warehouse:
            warehouse.migrate()
            engine, tables = _facts(warehouse)
        files, links = _copy_store(location.path, draft, base, earlier)
    finally:
        lock.release()
    return engine, tables, files, links


def _copy_store(
    store: Path, draft: Path, base: Path | None, earlier: Manifest | None
) -> tuple[list[File], dict[str, str]]:
    known = {} if earlier is None else {file.path: file for file in earlier.files}
    files, links = [], {}
    for path in _walk(store):
        relative = f"{WAREHOUSE_FOLDER}/{path.relative_to(store)}"
        if path.is_symlink():
            links[relative] = str(path.readlink())
            continue
        before, facts = known.get(relative), path.stat()
        # Parts never change once they are written, so the time of a file tells whether it is the same.
        if (
            base is not None
            and before is not None
            and (before.size, before.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
        ):
            (draft / relative).parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # gone from the base, or it lies on another file system
                os.link(base / relative, draft / relative)
                files.append(before)
                continue
        found = copy_file(path, draft / relative)
        files.append(File(relative, facts.st_size, found, facts.st_mtime_ns))
    return files, links


def _walk(store: Path) -> Iterator[Path]:
    for path in sorted(store.rglob("*")):
        if path.relative_to(store).parts[0] not in SCRATCH and (path.is_symlink() or path.is_file()):
            yield path


def _server(url: str, location: Server, name: str, disk: str, earlier: Manifest | None) -> _Found:
    with open_warehouse(url) as warehouse:
        engine, tables = _facts(warehouse)
        base = "" if earlier is None else f" SETTINGS base_backup = Disk('{earlier.disk}', '{earlier.name}')"
        everywhere = f" ON CLUSTER '{location.cluster}'" if location.cluster else ""
        warehouse.command(f"BACKUP DATABASE `{location.database}`{everywhere} TO Disk('{disk}', '{name}'){base}")
    return engine, tables, [], {}


def _facts(warehouse: ClickHouseWarehouse) -> tuple[str, dict[str, int]]:
    return str(warehouse.query("SELECT version()").rows[0][0]), rows_of(warehouse)


def rows_of(warehouse: ClickHouseWarehouse) -> dict[str, int]:
    """Rows per table as they are stored, superseded versions included; tables without rows are left out."""
    return {str(name): int(rows) for name, rows in warehouse.query(_ROWS).rows}
