"""Cuts the power of a process that writes, at random moments, and looks at what is left.

``python tests/kills/powerlab.py --cuts 40`` prints one JSON document.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from powerlog import TRACED, PowerCut, recorded

import polyhouse

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(polyhouse.__file__).parents[1])}


@dataclass
class Left:
    """One moment: what had been acknowledged, a copy of the folder, and what the log says of it."""

    acknowledged: int
    copy: Path
    cut: PowerCut
    blind: PowerCut
    found: list[dict[str, Any]] = field(default_factory=list)


class Recording:
    """A writer under strace. Use as a context manager.

    Args:
        folder: an empty one.
        batches: how many it writes.
    """

    def __init__(self, folder: Path, batches: int) -> None:
        self._folder = folder
        self._batches = batches
        self.home = folder / "home"
        self._logs = folder / "logs"
        self._acknowledged = 0

    def __enter__(self) -> Recording:
        if shutil.which("strace") is None:
            raise RuntimeError("These tests record system calls with strace. `make test` installs it where it may.")
        self.home.mkdir()
        self._logs.mkdir()
        strace = [
            "strace", "-ff", "-ttt", "-y", "-s", "0", "-e", f"trace={TRACED}", "-e", "signal=none",
            "-o", str(self._logs / "calls"),
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [*strace, sys.executable, str(HERE / "powerwriter.py"), str(self.home), str(self._batches)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        for child in psutil.Process(self._process.pid).children(recursive=True):
            child.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()

    def next_batch(self) -> None:
        """Wait until one more is acknowledged, and let the writer go on."""
        assert self._process.stdin
        assert self._process.stdout
        self._acknowledged = int(self._process.stdout.readline())
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def cut(self, name: str) -> Left:
        """Stop the writer where it is, copy what is there, and let it go on."""
        (writer,) = psutil.Process(self._process.pid).children()
        writer.send_signal(signal.SIGSTOP)
        while writer.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}:
            time.sleep(0.001)
        time.sleep(0.05)  # every thread of it
        copy = Path(shutil.copytree(self.home, self._folder / name, symlinks=True))
        calls = recorded(self._logs, "calls")
        blind = [call for call in calls if call.name not in {"fsync", "fdatasync"}]
        left = Left(self._acknowledged, copy, PowerCut(calls, self.home), PowerCut(blind, self.home))
        writer.send_signal(signal.SIGCONT)
        return left


def look(home: Path) -> dict[str, Any]:
    """What ``powercheck`` says of a home; ``error`` if it cannot be opened."""
    done = subprocess.run(
        [sys.executable, str(HERE / "powercheck.py"), str(home)], capture_output=True, text=True, check=False,
        env=ENVIRONMENT,
    )  # fmt: skip
    if done.returncode:
        return {"error": done.stderr[-1_500:]}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def trial(left: Left, folder: Path, seed: int, *, is_blind: bool = False) -> dict[str, Any]:
    """Take from a copy what the cut takes, and look at it."""
    copy = Path(shutil.copytree(left.copy, folder / "cut", symlinks=True))
    touched = (left.blind if is_blind else left.cut).apply(copy, seed)
    found = {"acknowledged": left.acknowledged, "touched": touched, "seed": seed, **look(copy)}
    shutil.rmtree(copy)
    return found


def cut_often(folder: Path, moments: int, seeds: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What was found after cuts at random moments, and after one on a disk that forgets what was synced too."""
    chance, found, lefts = random.Random(20261122), [], []
    with Recording(folder, moments * 2 + 2) as recording:
        for number in range(moments):
            recording.next_batch()
            time.sleep(chance.uniform(0, 0.15))
            lefts.append(recording.cut(f"moment-{number}"))
    for left in lefts:
        found += [trial(left, folder, seed) for seed in range(seeds)]
    return found, trial(lefts[-1], folder, 1, is_blind=True)


@click.command(help=__doc__)
@click.option("--cuts", default=40, show_default=True)
def main(cuts: int) -> None:
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        found, blind = cut_often(Path(folder), cuts // 4, 4)
    print(json.dumps({"cuts": found, "blind": blind}))


if __name__ == "__main__":
    main()
