"""SIGKILL in an incremental run or a refresh of markets, and again: the tables of an undisturbed run."""

from __future__ import annotations

import asyncio
import importlib.util
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
_spec = importlib.util.spec_from_file_location("incremental_child", CHILD)
assert _spec is not None
assert _spec.loader is not None
child = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(child)
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


def run(home: Path, base: str, job: str, now: int, failpoint: str) -> int:
    """One process life; returns its exit code (negative = the signal that ended it)."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(home), base, job, str(now)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "POLYHOUSE_FAILPOINT": failpoint},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode


def live(home: Path, base: str, job: str, now: int) -> None:
    """The same in this process, where nothing is killed."""
    assert asyncio.run(child.main(str(home), base, job, now)) == 0


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
        live(killed, server.base_url, "load", world.now)
        shutil.copytree(killed, undisturbed, symlinks=True)
        thread.advance(6 * DAY)
        for job in ("news", "markets"):
            live(undisturbed, server.base_url, job, world.now)
        for job, place in KILLS:
            assert run(killed, server.base_url, job, world.now, place) == -signal.SIGKILL, f"{place} was never reached"
        for job in ("news", "markets"):
            live(killed, server.base_url, job, world.now)
    before, after = look(undisturbed), look(killed)
    assert before == after
    # Who got rows from a run that was killed is named for the next build, whatever that run's report would have said.
    with open_state(f"sqlite:///{killed}/state.db") as state:
        assert len(state.get_note(REBUILD_NOTE)) >= 3
