"""One installation for all files of the folder: a small simulated Polymarket, loaded by a program."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from api_server import environment


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """The folder of a loaded store that nobody has open; each test process has a copy of its own."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "api-demo"
    with (shared.parent / "api-demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            _load(shared)
    folder = base / "api-home"
    shutil.copytree(shared, folder, symlinks=True)
    return folder


def _load(folder):
    script = Path(__file__).with_name("load_from_python.py")
    command = [sys.executable, str(script), str(folder)]
    made = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=200, check=False)
    assert made.returncode == 0, made.stderr
