"""New embedded stores of a test process begin as copies of one that was migrated.

To define the schema of an empty store takes a second of CPU, a copy of one a third of it, and the suite opens hundreds.
Tests of the schema itself, and every command that a test starts as a process of its own, define it for real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyhouse.warehouse.lock import StoreLock

_MAKE = "import sys; from polyhouse.warehouse import open_warehouse; open_warehouse('chdb://' + sys.argv[1]).close()"


class MigratedStores:
    """Where the copies come from.

    Args:
        folder: an empty one, for the store that is copied.
    """

    def __init__(self, folder: Path) -> None:
        self.is_used = True
        self._model = folder / "store"

    def place(self, target: Path) -> None:
        """Put a migrated store there, unless something is there."""
        if not self.is_used or target.exists():
            return
        if not self._model.exists():
            subprocess.run([sys.executable, "-c", _MAKE, str(self._model)], check=True, env=os.environ)
        shutil.copytree(self._model, target, symlinks=True)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Until the block ends a new store is a copy from the moment in which it is locked."""
        acquire = StoreLock.acquire

        def acquired(location):
            lock = acquire(location)
            self.place(location.path)
            return lock

        StoreLock.acquire = acquired
        try:
            yield
        finally:
            StoreLock.acquire = acquire
