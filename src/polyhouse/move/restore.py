"""Restoring a backup: checked whole, laid beside the stores, and only then put in their place.

From the moment at which the first thing is replaced until the last one is, a note in the state store keeps everybody
from working there; a restore that is killed meanwhile is run again. Before that moment nothing has changed.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polyhouse.errors import ConfigError
from polyhouse.failpoints import reach
from polyhouse.move.backup import STATE_FILE, WAREHOUSE_FOLDER, location_of, rows_of
from polyhouse.move.manifest import Manifest, copy_file, damage, read_manifest, sync_folder
from polyhouse.move.state_rows import (
    copy_state,
    mark_restore,
    newest_work,
    restore_in_progress,
    runs_at_work,
    save_file,
)
from polyhouse.state.database import parse_url, sqlite_path
from polyhouse.state.schema import HEAD
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.warehouse.engine import Engine
from polyhouse.warehouse.location import Embedded, Server
from polyhouse.warehouse.lock import StoreLock
from polyhouse.warehouse.migrate import load_migrations

_SHOWN = 3
_SIDE_FILES = ("", "-wal", "-shm", "-journal")
_BESIDE = "__restoring"
_REPLACED = "replaced_"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``kept``: where the stores that it replaced are now, which nobody needs any more."""

    manifest: Manifest
    kept: tuple[str, ...]


def restore(source: Path, warehouse_url: str, state_url: str, *, force: bool = False) -> Restored:
    """Put both stores back to what a backup says.

    Args:
        source: a folder that ``back_up`` made.
        warehouse_url: the warehouse to replace; of the kind of the backup.
        state_url: the state store to replace; of either kind.
        force: also if the stores were worked with after the backup was made, or cannot be read any more.

    Raises:
        ConfigError: the backup is damaged, of a newer version or of another kind of warehouse; or the stores are newer
            than it and ``force`` is not given.
        StoreInUseError: another process has the embedded store open.
        WarehouseUnavailableError: the server failed.
    """
    manifest = read_manifest(source)
    location = location_of(warehouse_url)
    _check_versions(manifest)
    kind = "embedded" if isinstance(location, Embedded) else "server"
    if manifest.kind != kind:
        raise ConfigError(
            f"{source} is a backup of an {manifest.kind} warehouse and cannot be put into a {kind} one.",
            hint="Restore it where it came from, then: polyhouse copy --from … --to …",
        )
    wrong = list(islice(damage(source, manifest), _SHOWN))
    if wrong:
        raise ConfigError(f"The backup {source} is damaged: {'; '.join(wrong)}.")
    kept = _refuse_newer(manifest, state_url, force=force)
    if isinstance(location, Embedded):
        return Restored(manifest, (*kept, *_embedded(source, manifest, location, state_url)))
    _server(source, manifest, warehouse_url, location, state_url)
    return Restored(manifest, kept)


def _check_versions(manifest: Manifest) -> None:
    ours = {migration.name: migration.checksum for migration in load_migrations()}
    foreign = sorted(name for name, checksum in manifest.migrations.items() if ours.get(name) != checksum)
    if foreign or manifest.state_revision > HEAD:
        what = f"migration {foreign[-1]}" if foreign else f"a state store of schema {manifest.state_revision}"
        raise ConfigError(
            f"The backup was made by another version of Polyhouse ({manifest.product}): it has {what}.",
            hint="Use the version that made it, or a newer one.",
        )


def _refuse_newer(manifest: Manifest, state_url: str, *, force: bool) -> tuple[str, ...]:
    """Returns where a state store that cannot be read was moved to."""
    path = sqlite_path(parse_url(state_url))
    if path is not None and not path.exists():
        return ()
    try:
        newest, goes_on, working = newest_work(state_url), restore_in_progress(state_url), runs_at_work(state_url)
    except ConfigError:
        if not force or path is None:
            raise
        return (_move_away(path),)
    if working and not force:
        raise ConfigError(
            f"Somebody works on these stores: {', '.join(working[:_SHOWN])}.",
            hint="Stop all servers and workers first; --force does not wait for those that died.",
        )
    if newest > manifest.made_at and not goes_on and not force:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(newest))
        raise ConfigError(
            f"The stores were worked with after this backup was made, at {when} for the last time.",
            hint="--force replaces them all the same; what was read since then is read again by the next run.",
        )
    return ()


def _move_away(path: Path) -> str:
    kept = _free_name(path)
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(kept.with_name(kept.name + suffix))
    return str(kept)


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    found, number = path.with_name(f"{path.name}.before-{stamp}"), 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}.before-{stamp}-{number}")
    return found


def _embedded(source: Path, manifest: Manifest, location: Embedded, state_url: str) -> tuple[str, ...]:
    kept: list[str] = []
    store = location.path
    draft = store.with_name(store.name + _BESIDE)
    with ExitStack() as stack:
        stack.callback(StoreLock.acquire(location).release)
        _lay_out(source, manifest, draft)
        _try_out(draft / WAREHOUSE_FOLDER, manifest)
        reach("R1")
        path = sqlite_path(parse_url(state_url))
        if path is not None and path.exists() and not restore_in_progress(state_url):
            before = _free_name(path)
            save_file(path, before)
            kept.append(str(before))
        mark_restore(state_url, str(source))
        reach("R2")
        if store.exists():
            before = _free_name(store)
            store.rename(before)
            kept.append(str(before))
        reach("R3")
        (draft / WAREHOUSE_FOLDER).rename(store)
        sync_folder(store.parent)
        reach("R4")
        copy_state(f"sqlite:///{draft / STATE_FILE}", state_url)  # the note goes with the old rows
        shutil.rmtree(draft)
    return tuple(kept)


def _lay_out(source: Path, manifest: Manifest, draft: Path) -> None:
    """Copy the backup beside the store; what is copied is what the manifest says."""
    if draft.exists():
        shutil.rmtree(draft)  # of a restore that was killed
    (draft / WAREHOUSE_FOLDER).mkdir(parents=True, mode=0o700)
    for file in manifest.files:
        if copy_file(source / file.path, draft / file.path) != file.sha256:
            raise ConfigError(f"The backup {source} changed while it was read: {file.path}.")
    for relative, points_at in manifest.links.items():
        (draft / relative).parent.mkdir(parents=True, exist_ok=True)
        (draft / relative).symlink_to(points_at)
    for folder in {(draft / file.path).parent for file in manifest.files}:
        sync_folder(folder)


def _try_out(store: Path, manifest: Manifest) -> None:
    """Open the store and count its rows, before anything is replaced by it."""
    with ClickHouseWarehouse(Engine(Embedded(store)), None) as warehouse:
        found = rows_of(warehouse)
    # Old versions of rows may have been merged away as soon as it was open.
    less = sorted(name for name, rows in manifest.tables.items() if not 0 < found.get(name, 0) <= rows)
    if less:
        raise ConfigError(f"The backup does not open as it was: {', '.join(less)} have other rows.")


def _server(source: Path, manifest: Manifest, url: str, location: Server, state_url: str) -> None:
    if location.cluster:
        raise ConfigError(
            "A warehouse on a cluster is restored by its own means.",
            hint=f"RESTORE DATABASE … ON CLUSTER '{location.cluster}' FROM Disk('{manifest.disk}', '{manifest.name}')",
        )
    beside = location.database + _BESIDE
    with open_warehouse(url) as warehouse, tempfile.TemporaryDirectory() as folder:
        # Opening it may migrate it, and a backup stays as it is.
        state = Path(folder) / STATE_FILE
        copy_file(source / STATE_FILE, state)
        if not restore_in_progress(state_url):
            _lay_beside(warehouse, manifest, beside)
            reach("R1")
            mark_restore(state_url, str(source))
        reach("R2")
        _put_in_place(warehouse, manifest, location.database, beside)
        warehouse.migrate()
        reach("R4")
        copy_state(f"sqlite:///{state}", state_url)
        warehouse.command(f"DROP DATABASE `{beside}` SYNC")


def _lay_beside(warehouse: ClickHouseWarehouse, manifest: Manifest, beside: str) -> None:
    """Let the server read the backup, whose checksums it knows, into a database of its own."""
    warehouse.command(f"DROP DATABASE IF EXISTS `{beside}` SYNC")
    warehouse.command(f"CREATE DATABASE `{beside}` ENGINE = Atomic")
    # Views are those of the migrations: in a backup they name the database that it was made of.
    tables = ", ".join(f"TABLE `{manifest.database}`.`{name}` AS `{beside}`.`{name}`" for name in manifest.tables)
    warehouse.command(f"RESTORE {tables} FROM Disk('{manifest.disk}', '{manifest.name}')")
    missing = sorted(set(manifest.tables) - _tables(warehouse, beside))
    if missing:
        raise ConfigError(f"The backup lacks {', '.join(missing)}.")


def _put_in_place(warehouse: ClickHouseWarehouse, manifest: Manifest, database: str, beside: str) -> None:
    """Table by table; one that is in its place already is not beside any more."""
    ours = _tables(warehouse, database)
    for name in sorted(_tables(warehouse, beside)):
        if name.startswith(_REPLACED):
            continue
        if name in ours:
            warehouse.command(f"RENAME TABLE `{database}`.`{name}` TO `{beside}`.`{_REPLACED}{name}`")
        warehouse.command(f"RENAME TABLE `{beside}`.`{name}` TO `{database}`.`{name}`")
        reach("R3")
    for name in sorted(ours - set(manifest.tables)):  # empty when the backup was made, or not there yet
        warehouse.command(f"TRUNCATE TABLE `{database}`.`{name}` SYNC")


def _tables(warehouse: ClickHouseWarehouse, database: str) -> set[str]:
    rows = warehouse.query(
        "SELECT name AS table_name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'",
        {"database": database},
    ).rows
    return {str(name) for (name,) in rows}
