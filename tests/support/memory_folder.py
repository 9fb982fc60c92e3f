"""Temporary files of the tests lie in memory where there is enough of it.

The stores of the tests are a few megabytes each, but of many small files that are synced: on a disk that costs the
kernel a tenth of all CPU, and the tests a third of their time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_GIB = 1 << 30
_FREE_BYTES = 4 * _GIB
"""The whole suite leaves less than half of it at any time."""
_AVAILABLE_BYTES = 8 * _GIB
"""Files and the processes of the tests together."""


def use_memory() -> None:
    """Let this process and those that it starts make temporary files in memory, unless ``TMPDIR`` says where."""
    if "TMPDIR" in os.environ or not _has_room():
        return
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None


def _has_room() -> bool:
    try:
        room = os.statvfs(_MEMORY)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)
    is_ours = os.access(_MEMORY, os.W_OK | os.X_OK)
    return is_ours and room.f_bavail * room.f_frsize >= _FREE_BYTES and available >= _AVAILABLE_BYTES
