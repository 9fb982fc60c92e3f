"""One installation for the tests of a file: a small simulated Polymarket, loaded as users load theirs."""

import subprocess
import sys

import pytest
from api_server import environment


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """The folder of a loaded store that nobody has open."""
    folder = tmp_path_factory.mktemp("api") / "home"
    command = [sys.executable, "-m", "polyhouse", "--home", str(folder), "demo", "--wallets", "16", "--seed", "3"]
    made = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=110, check=False)
    assert made.returncode == 0, made.stderr
    return folder
