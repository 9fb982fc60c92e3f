"""The manifest of a backup: of what it is, what it holds, and by what it is known again."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from polyhouse.errors import ConfigError

NAME = "manifest.json"
FORMAT = 1
NOT_INCLUDED = (
    "journal: pages that were fetched and not committed; the next run fetches them again",
    "polyhouse.toml and the environment: settings, keys and passwords",
    "published tables in PostgreSQL: `polyhouse publish --full` makes them again",
)
"""Named in every manifest. Keys of the admin routes are included: as digests, in the state store."""
NOT_ON_SERVERS = "models as of moments of the past: `polyhouse metrics --as-of` makes them again"
"""They are databases of their own, which a server's backup leaves out."""
_CHUNK = 1 << 20


class File(msgspec.Struct, frozen=True):
    """One file: path inside the backup, bytes, SHA-256, and the time that it had in the store (ns)."""

    path: str
    size: int
    sha256: str
    mtime_ns: int = 0


class Manifest(msgspec.Struct, frozen=True):
    """What a backup is.

    Attributes:
        product: version of Polyhouse that made it.
        made_at: Unix seconds; everything that was done before is in it.
        kind: the warehouse is here as files, or on a disk of its server.
        engine: version of the engine whose files they are.
        migrations: name → checksum of the warehouse's migrations.
        state_revision: of the state store's schema.
        tables: rows per table of the warehouse before deduplication. Of a server's, which goes on meanwhile, as it was
            at the beginning.
        state: rows per table of the state store.
        files: every file but this one.
        links: links inside the store → what they point at.
        disk: disk of the server, ``name`` of the backup on it, ``database`` that it is of; "" for embedded stores.
        base: the backup that this one shares files with, "" = none.
        not_included: what a restore does not bring back.
    """

    product: str
    made_at: int
    kind: Literal["embedded", "server"]
    engine: str
    migrations: dict[str, str]
    state_revision: str
    tables: dict[str, int]
    state: dict[str, int]
    files: list[File]
    links: dict[str, str] = {}
    disk: str = ""
    name: str = ""
    database: str = ""
    base: str = ""
    not_included: tuple[str, ...] = NOT_INCLUDED
    format: int = FORMAT


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, last of all, durably."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    with (folder / NAME).open("wb") as file:
        file.write(data + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read it.

    Raises:
        ConfigError: there is none, or it is of a newer format.
    """
    try:
        data = (folder / NAME).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{folder} is no backup: its {NAME} cannot be read ({error.strerror}).",
            hint="A backup that was killed leaves none under its name.",
        ) from None
    try:
        shape = msgspec.json.decode(data)
        if isinstance(shape, dict) and shape.get("format") != FORMAT:
            raise ConfigError(f"{folder} has the format {shape.get('format')!r}; this version reads {FORMAT}.")
        return msgspec.convert(shape, Manifest)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{folder / NAME} is damaged: {error}.") from None


def describe(path: Path, relative: str) -> File:
    """A file as the manifest names it."""
    facts = path.stat()
    return File(relative, facts.st_size, digest(path), facts.st_mtime_ns)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_file(source: Path, target: Path) -> str:
    """Copy durably; returns the SHA-256 of what was copied."""
    found = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(_CHUNK):
            found.update(chunk)
            writing.write(chunk)
        writing.flush()
        os.fsync(writing.fileno())
    return found.hexdigest()


def damage(folder: Path, manifest: Manifest) -> Iterator[str]:
    """What is wrong with a backup's files, in words."""
    for file in manifest.files:
        path = folder / file.path
        if not path.is_file():
            yield f"{file.path} is missing"
        elif path.stat().st_size != file.size:
            yield f"{file.path} has {path.stat().st_size:,} bytes instead of {file.size:,}"
        elif digest(path) != file.sha256:
            yield f"{file.path} has another content"


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """What the file system refuses leaves as an error of the product.

    Raises:
        ConfigError: no room, no right, a broken disk; names the file.
    """
    try:
        yield
    except (OSError, sqlite3.Error, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        name = getattr(error, "filename", None) or what
        raise ConfigError(
            f"{name}: {reason}.", hint="Make room or give the right, and run the same command again."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
