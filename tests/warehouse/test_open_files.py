"""A store needs more open files than shells usually allow."""

from __future__ import annotations

import subprocess
import sys

from polyhouse.warehouse.open_files import WANTED

_OPEN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
from polyhouse.warehouse import open_warehouse
with open_warehouse("chdb://" + sys.argv[1]) as warehouse:
    warehouse.query("SELECT 1")
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def _limits(folder, soft: int, hard: int) -> tuple[int, ...]:
    command = [sys.executable, "-c", _OPEN, str(folder / "store"), str(soft), str(hard)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(int, done.stdout.split()))


def test_an_open_store_has_as_many_files_as_the_hard_limit_allows(tmp_path) -> None:
    assert _limits(tmp_path, 512, 4096) == (4096, 4096)
    assert WANTED > 4096
