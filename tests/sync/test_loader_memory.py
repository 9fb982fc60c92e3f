"""The loader's memory, measured on the command as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from polyhouse.cli.simulation import simulated_polymarket

PROMISED_MB = 500


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
            process = subprocess.Popen(
                [sys.executable, "-m", "polyhouse", "run", "--no-metrics"],
                env=environment, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (tmp_path / "log").read_text()
    assert usage.ru_maxrss * 1.024 / 1_000 < PROMISED_MB
