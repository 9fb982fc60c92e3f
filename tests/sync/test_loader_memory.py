"""The loader's memory, measured on the command as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from polyhouse.cli.simulation import simulated_polymarket

PROMISED_MB = 500

# A process counts as its own peak what its parent held when it was forked, so a small one starts the command.
LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def test_a_loader_stays_under_500_mb(tmp_path: Path) -> None:
    with simulated_polymarket(1, 1_500, 1_000.0) as upstreams:
        environment = os.environ | {
            "POLYHOUSE_HOME": str(tmp_path / "home"),
            "POLYHOUSE_GAMMA_URL": upstreams.gamma_url,
            "POLYHOUSE_CLOB_URL": upstreams.clob_url,
            "POLYHOUSE_DATA_URL": upstreams.data_url,
            "POLYHOUSE_RATE_SCALE": "20",
        }
        with (tmp_path / "log").open("wb") as log:
            done = subprocess.run(
                [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "polyhouse", "run", "--no-metrics"],
                env=environment, stdout=subprocess.PIPE, stderr=log, check=False,
            )  # fmt: skip
    assert done.returncode == 0, (tmp_path / "log").read_text()
    assert int(done.stdout) * 1.024 / 1_000 < PROMISED_MB
