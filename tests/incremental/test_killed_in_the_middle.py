"""SIGKILL in an incremental run or a refresh of markets, and again: the tables of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polyhouse
from polyhouse.sim.rulings import Ruling
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.state import open_state
from polyhouse.sync.reorg import REBUILD_NOTE
from polyhouse.warehouse import open_warehouse

CHILD = Path(__file__).with_name("child.py")
SOURCE = Path(polyhouse.__file__).parents[1]
DAY = 86_400
VISIBLE = {
    "observations": "* EXCEPT (run, version)",
    "resolutions": "* EXCEPT version",
    "market_states": "* EXCEPT version",
    "market_checks": "* EXCEPT (run, version)",
    "markets": "* EXCEPT version",
}
KILLS = (("news", "K8:2"), ("news", "K12:2"), ("markets", "K8:2"))
"""(job, place): the upstream is the same for all, and each kill goes on where the one before left off."""


def run(home: Path, base: str, job: str, now: int, failpoint: str = "") -> int:
    """One process life; returns its exit code (negative = the signal that ended it)."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(home), base, job, str(now)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "POLYHOUSE_FAILPOINT": failpoint},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stdout + done.stderr[-2000:]
    return done.returncode


def look(home: Path) -> dict[str, tuple[int, ...]]:
    """What a reader sees, as rows and a digest per table, whatever run wrote it."""
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        content = {}
        for table, columns in VISIBLE.items():
            sql = f"SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {table}_current)"
            content[table] = tuple(int(value) for value in warehouse.query(sql).rows[0])
    return content


def test_the_same_tables_however_often_it_was_killed(tmp_path: Path) -> None:
    server = SimServer(Universe(seed=5, wallets=20, fills=400, now_fraction=0.8), enforce_limits=False)
    world = server.world
    resolved = [market for market in world.visible_markets() if market.resolution is not None]
    for market, said in zip(resolved[:2], ((), (1, 1)), strict=True):
        world.rulings.add(market.meta.condition_id, Ruling(world.now - DAY, said))
        world.rulings.add(market.meta.condition_id, Ruling(world.now + DAY, truth=True))
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    with ServerThread(server) as thread:
        assert run(killed, server.base_url, "load", world.now) == 0
        shutil.copytree(killed, undisturbed, symlinks=True)
        thread.advance(6 * DAY)
        for job in ("news", "markets"):
            assert run(undisturbed, server.base_url, job, world.now) == 0
        for job, place in KILLS:
            assert run(killed, server.base_url, job, world.now, place) == -signal.SIGKILL, f"{place} was never reached"
        for job in ("news", "markets"):
            assert run(killed, server.base_url, job, world.now) == 0
    before, after = look(undisturbed), look(killed)
    assert before == after
    # Who got rows from a run that was killed is named for the next build, whatever that run's report would have said.
    with open_state(f"sqlite:///{killed}/state.db") as state:
        assert len(state.get_note(REBUILD_NOTE)) >= 3
