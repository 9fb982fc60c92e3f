"""SIGKILL of a real process at named places and at random times, then the same command again: identical tables."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import polyhouse
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse

CHILD = Path(__file__).with_name("child.py")
SOURCE = Path(polyhouse.__file__).parents[1]

VISIBLE = {
    "observations": "* EXCEPT (run, version)",
    "events": "* EXCEPT version",
    "markets": "* EXCEPT version",
    "tokens": "token, condition, outcome, verified",
    "resolutions": "* EXCEPT version",
    "neg_risk_markets": "* EXCEPT version",
}


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    server = SimServer(Universe(seed=3, wallets=12, fills=150), enforce_limits=False)
    with ServerThread(server):
        yield server.base_url


@pytest.fixture(scope="module")
def undisturbed(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, ...]]:
    home = tmp_path_factory.mktemp("undisturbed")
    assert run(home, base_url) == 0
    return look(home)


def run(home: Path, base_url: str, **environment: str) -> int:
    """One process life; returns its exit code (negative = the signal that ended it)."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(home), base_url],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 1, -signal.SIGKILL}, done.stdout + done.stderr[-2000:]
    return done.returncode


def look(home: Path) -> dict[str, tuple[int, ...]]:
    """What a reader sees, as rows and a digest per table, whatever run wrote it."""
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        content = {}
        for table, columns in VISIBLE.items():
            sql = f"SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {table}_current)"
            content[table] = tuple(int(value) for value in warehouse.query(sql).rows[0])
    return content


KILLS = [
    {"POLYHOUSE_FAILPOINT": "K5:2"},
    {"POLYHOUSE_FAILPOINT": "K6:2"},
    {"POLYHOUSE_FAILPOINT": "K8:3"},
    {"POLYHOUSE_FAILPOINT": "K9:3"},
    {"POLYHOUSE_FAILPOINT": "K10:4"},
    {"KILL_AT_COMMIT": "6"},  # K11
    {"POLYHOUSE_FAILPOINT": "K12:4"},
    {"POLYHOUSE_FAILPOINT": "K14"},
]


def test_killed_at_every_named_place_one_after_the_other(
    base_url: str, undisturbed: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    for kill in KILLS:
        assert run(tmp_path, base_url, **kill) == -signal.SIGKILL, f"{kill} was never reached"
    assert run(tmp_path, base_url) == 0
    assert look(tmp_path) == undisturbed


def test_killed_at_random_times(base_url: str, undisturbed: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    moments = random.Random(20261121)
    codes = [run(tmp_path, base_url, KILL_AFTER_MS=str(moments.randrange(50, 700))) for _ in range(3)]
    assert -signal.SIGKILL in codes, "no run was killed: the test proved nothing"
    assert run(tmp_path, base_url) == 0
    assert look(tmp_path) == undisturbed
