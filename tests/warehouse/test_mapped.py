"""Pages of the engine's library that only loading it touched are given back, and the engine still works."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polyhouse.warehouse.mapped import LoadedLibrary

_SCRIPT = """
import sys
from polyhouse.warehouse import memory, open_warehouse

def resident_file_pages():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssFile"))

from polyhouse.warehouse.mapped import LoadedLibrary
library = LoadedLibrary("_chdb")
memory._library = LoadedLibrary("_no_such_library")
memory.import_engine()
before = resident_file_pages()
assert library.release() > 100_000_000
after = resident_file_pages()
with open_warehouse(sys.argv[1]) as warehouse:
    print(before - after, warehouse.query("SELECT sum(number) FROM numbers(1000)").rows[0][0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and takes back resident pages")
def test_the_engine_works_on_after_its_library_was_given_back(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, f"chdb://{tmp_path}/warehouse"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    kilobytes, total = done.stdout.split()
    assert int(kilobytes) > 80_000
    assert total == "499500"


def test_a_library_that_is_not_loaded_releases_nothing() -> None:
    assert LoadedLibrary("_no_such_library").release() == 0
