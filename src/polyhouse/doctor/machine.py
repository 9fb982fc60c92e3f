"""The machine: can the home folder be written, and do disk, memory and open files suffice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from polyhouse.doctor.finding import Finding, Level
from polyhouse.memory import available_memory

GIGABYTE = 1 << 30
DISK_FAIL, DISK_WARN = GIGABYTE, 10 * GIGABYTE
"""Free bytes: a build of all wallets writes every model beside the old one."""
MEMORY_FAIL, MEMORY_WARN = GIGABYTE // 2, 2 * GIGABYTE
FILES_FAIL, FILES_WARN = 1_024, 16_384
"""Hard limit of open files: a merge opens every column of every part."""


def examine_machine(home: Path, folders: dict[str, Path]) -> Iterator[Finding]:
    """Look at the machine.

    Args:
        home: the home folder.
        folders: where stores lie, by what they are called.
    """
    yield _home(home)
    devices = set()
    for name, folder in {"home": home, **folders}.items():
        there = _existing(folder)
        device = there.stat().st_dev
        if device not in devices:
            devices.add(device)
            yield _disk(name, there)
    yield _memory()
    yield _files()
    yield Finding("time_zone", "ok", f"everything is stored and shown in UTC; that this machine says {_zone()} is fine")


def _home(home: Path) -> Finding:
    there = _existing(home)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fix = f"sudo chown -R $(id -u) {there}, or set POLYHOUSE_HOME to a folder of yours"
        return Finding("home", "fail", f"{there} cannot be written: {error.strerror}", fix)
    return Finding("home", "ok", f"{home} can be written" if there == home else f"{home} will be made")


def _disk(name: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    text = f"{usage.free / GIGABYTE:,.1f} GB are free where {name} lies ({folder})"
    level = _level(usage.free, DISK_FAIL, DISK_WARN)
    fix = "make room there, move the store (polyhouse backup, restore), or set POLYHOUSE_KEEP_PREVIOUS_BUILD=false"
    return Finding("disk", level, text, "" if level == "ok" else fix)


def _memory() -> Finding:
    free = available_memory()
    if free is None:
        return Finding("memory", "ok", "this system does not say how much memory is available")
    level = _level(free, MEMORY_FAIL, MEMORY_WARN)
    fix = "end other programs, or give the container more memory (docs/capacity.md)"
    return Finding("memory", level, f"{free / GIGABYTE:,.1f} GB are available", "" if level == "ok" else fix)


def _files() -> Finding:
    try:
        import resource
    except ImportError:
        return Finding("open_files", "ok", "this system has no limit of open files")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Finding("open_files", "ok", "no limit of open files")
    level = _level(hard, FILES_FAIL + 1, FILES_WARN)
    fix = "ulimit -Hn 65536 before the command; LimitNOFILE=65536 in a systemd unit; --ulimit nofile=65536 for Docker"
    return Finding("open_files", level, f"up to {hard:,} files may be open", "" if level == "ok" else fix)


def _level(value: float, fail: float, warn: float) -> Level:
    return "fail" if value < fail else "warn" if value < warn else "ok"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _zone() -> str:
    return datetime.now().astimezone().tzname() or "no zone"
