"""SIGKILL at random moments: one worker, all workers, the owner too, then the same command again.

``python -m tests.fleet.kills --kills 100`` prints what it did as one JSON document and fails if a ledger differs from
the undisturbed one or if more pages were fetched again than were in the hands of killed workers.

A worker has one page in its hands. When the owner is killed, its workers lose theirs; what they had handed over is in
its journal. Requests are counted by the simulated server.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import click

from polyhouse.sim.faults import Fault
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe

sys.path.insert(0, str(Path(__file__).parent))
import fleetlab

COMMAND = ("sync", "wallets", "--all", "--no-metrics", "--workers")


@dataclass
class Tally:
    """What was killed, and what it cost."""

    kills: Counter[str] = field(default_factory=Counter)
    killed_workers: int = 0
    fetched_again: int = 0
    allowed: int = 0
    rounds: int = 0


@dataclass
class Round:
    """One home from its first start to its last page."""

    home: Path
    server: SimServer
    minimum: int
    workers: int
    random: random.Random
    tally: Tally

    def play(self, plan: list[str], kills: int) -> int:
        """Disturb the command up to ``kills`` times, as ``plan`` says, and let it end; returns how many kills it met.

        What is done is taken from the plan.
        """
        before = self.server.requests[fleetlab.LEDGER]
        done = allowed = 0
        owner = self.start()
        while owner.poll() is None:
            if plan and done < kills and self.wait(owner):
                what = plan[0]
                lost = self.kill(owner, what)
                if lost:
                    done, allowed = done + 1, allowed + lost
                    self.tally.kills[plan.pop(0)] += 1
                if what == "owner":
                    owner.wait(30)
                    owner = self.start()
            time.sleep(0.005)
        assert owner.returncode == 0, (self.home / "log.txt").read_text()[-3000:]
        again = self.server.requests[fleetlab.LEDGER] - before - self.minimum
        assert 0 <= again <= allowed, f"{again} pages were fetched again, {allowed} were in the hands of killed workers"
        self.tally.fetched_again += again
        self.tally.allowed += allowed
        self.tally.rounds += 1
        return done

    def start(self) -> Popen[bytes]:
        return fleetlab.start(self.home, self.server, *COMMAND, str(self.workers))

    def wait(self, owner: Popen[bytes]) -> bool:
        """A random moment later; whether the run then still goes on and has all its workers."""
        seen = self.server.requests[fleetlab.LEDGER]
        end = time.monotonic() + 60
        while owner.poll() is None and time.monotonic() < end:
            busy = self.server.requests[fleetlab.LEDGER] > seen
            if busy and len(fleetlab.workers_of(owner.pid)) == self.workers:
                time.sleep(self.random.uniform(0, 0.3))
                return owner.poll() is None
            time.sleep(0.005)
        return False

    def kill(self, owner: Popen[bytes], what: str) -> int:
        """Kill; returns how many workers lost the page that they may have had in their hands."""
        workers = [worker.pid for worker in fleetlab.workers_of(owner.pid)]
        if what == "one":
            return fleetlab.kill(*self.random.sample(workers, min(1, len(workers))))
        if what == "all":
            return fleetlab.kill(*workers)
        return self.workers if fleetlab.kill(owner.pid) else 0


def planned(kills: int, rng: random.Random) -> list[str]:
    """What is killed, in a random order: three times of five one worker, else all of them, or the owner."""
    plan = ["one"] * (kills - 2 * (kills // 5)) + ["all", "owner"] * (kills // 5)
    rng.shuffle(plan)
    return plan


def disturb(folder: Path, *, kills: int, seed: int, workers: int, wallets: int, per_round: int) -> dict[str, Any]:
    """Kill so often and compare; returns the report.

    Raises:
        AssertionError: a ledger differs, or too many pages were fetched again.
    """
    server = SimServer(Universe(seed=seed, wallets=wallets, fills=wallets * 40), enforce_limits=False)
    tally, rng = Tally(), random.Random(seed)
    plan = planned(kills, rng)
    with ServerThread(server):
        prepared = folder / "prepared"
        fleetlab.prepare(prepared, server)
        alone = Path(shutil.copytree(prepared, folder / "alone", symlinks=True))
        fleetlab.run(alone, server, "sync", "wallets", "--all", "--no-metrics")
        minimum = server.requests[fleetlab.LEDGER]
        expected = fleetlab.look(alone, fleetlab.VISIBLE)
        # Answers take a while, so that a random moment finds pages in the workers' hands.
        server.faults.set([Fault(fleetlab.LEDGER, "slow", seconds=0.06)])
        while plan:
            home = Path(shutil.copytree(prepared, folder / f"round-{tally.rounds}", symlinks=True))
            done = Round(home, server, minimum, workers, rng, tally).play(plan, per_round)
            assert done, "no kill met the run: it was over too soon"
            assert fleetlab.look(home, fleetlab.VISIBLE) == expected, f"the ledger of round {tally.rounds} differs"
            shutil.rmtree(home)
    return {
        "kills": dict(tally.kills), "rounds": tally.rounds, "requests_of_a_round": minimum,
        "fetched_again": tally.fetched_again, "allowed": tally.allowed, "rows": expected["observations_current"][0],
    }  # fmt: skip


@click.command(help=__doc__)
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=4, show_default=True)
@click.option("--workers", default=3, show_default=True)
@click.option("--wallets", default=300, show_default=True)
@click.option("--per-round", default=10, show_default=True, help="Kills of one run until it may end.")
def main(**options: int) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        report = disturb(Path(folder), **options)
    print(json.dumps({**report, "seconds": round(time.monotonic() - started)}))


if __name__ == "__main__":
    main()
