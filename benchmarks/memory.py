"""The loader's memory: the resident peak of ``run --no-metrics`` on a small and on a large universe.

The command runs in a process of its own, as users run it, and so does the simulated Polymarket. What counts is that the
peak does not follow the size of the universe.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from polyhouse.cli.simulation import simulated_polymarket

PROMISED_MB = 500
_RATE_SCALE = 20.0


# A process counts as its own peak what its parent held when it was forked, so a small one starts the command.
_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


def run(small: int, large: int) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, ratio of the large universe's peak to the small one's."""
    few, many = loader_peak(small), loader_peak(large)
    return [
        ("loader memory, resident peak", f"{few:.0f} MB for {small:,} wallets", ""),
        (
            f"  on a universe {large / small:.0f} times as large",
            f"{many:.0f} MB for {large:,} wallets (promised: {PROMISED_MB})",
            f"{many / few:.2f} ×",
        ),
    ]


def loader_peak(wallets: int) -> float:
    """Resident peak in decimal MB of loading a universe of so many wallets into a fresh store."""
    with (
        tempfile.TemporaryDirectory() as home,
        simulated_polymarket(1, wallets, 1_000.0) as upstreams,
    ):
        environment = os.environ | {
            "POLYHOUSE_HOME": home,
            "POLYHOUSE_GAMMA_URL": upstreams.gamma_url,
            "POLYHOUSE_CLOB_URL": upstreams.clob_url,
            "POLYHOUSE_DATA_URL": upstreams.data_url,
            "POLYHOUSE_RATE_SCALE": str(_RATE_SCALE),
        }
        command = [sys.executable, "-c", _LAUNCHER, sys.executable, "-m", "polyhouse", "run", "--no-metrics"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return int(done.stdout) * 1.024 / 1_000
