"""``make soak``: many schedules of faults on all cores, what they did, and how to see a failure again.

``make soak SEED=4711`` replays one schedule: the faults that fired, and those without which it would have passed.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median

from faultlab.schedule import ALL, KINDS
from faultlab.world import Result, minimise, play

_CHUNK = 20
_MEASURED_EVERY = 10
"""For every tenth seed the calls of a clean run are counted, too."""


@dataclass
class Sums:
    """What a run of schedules did."""

    seeds: int = 0
    calls: int = 0
    commits: int = 0
    wallets: int = 0
    tied: int = 0
    cpu_seconds: float = 0.0
    measured: int = 0
    slowest: float = 0.0
    pages: list[int] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    failures: dict[int, list[str]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        """Count one schedule."""
        self.seeds += 1
        self.calls += result.calls
        self.commits += result.commits
        self.wallets += result.wallets
        self.tied += result.tied
        self.pages += result.pages
        self.fired += result.counts
        if result.problems:
            self.failures[result.seed] = result.problems[:5]
        if result.clean_calls:
            self.measured += 1
            self.slowest = max(self.slowest, result.healthy_calls / result.clean_calls)
            if result.healthy_calls > 3 * result.clean_calls + 50:
                self.failures[result.seed] = [
                    f"liveness: {result.healthy_calls} calls after the faults, {result.clean_calls} without any"
                ]

    def join(self, other: Sums) -> None:
        """Add what another process did."""
        for name in ("seeds", "calls", "commits", "wallets", "tied", "cpu_seconds", "measured"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest = max(self.slowest, other.slowest)
        self.pages += other.pages
        self.fired += other.fired
        self.failures |= other.failures

    def shortcomings(self) -> list[str]:
        """Why the run proves less than it should, [] if it does not."""
        least = self.seeds / 25
        found = [f"{kind} fired {self.fired[kind]} times" for kind in ALL if self.fired[kind] < least * _share(kind)]
        if self.pages and median(self.pages) < 5:
            found.append(f"half of the wallets have fewer than {median(self.pages)} pages")
        if self.tied < self.wallets / 5:
            found.append(f"only {self.tied} of {self.wallets} wallets have equal seconds at the edge of a page")
        return found

    def report(self) -> Iterator[str]:
        """What was done, line by line."""
        yield (
            f"{self.seeds:,} schedules, {self.calls:,} port calls, {self.commits:,} pages committed and checked, "
            f"{sum(self.fired.values()):,} faults, {self.cpu_seconds:.0f} s of CPU, {len(self.failures)} failures"
        )
        yield (
            f"median pages of a wallet {median(self.pages or [0]):g}; {self.tied:,} of {self.wallets:,} wallets with "
            f"equal seconds at the edge of a page; most calls after the faults {self.slowest:.2f} × a clean run "
            f"({self.measured} measured)"
        )
        yield "  ".join(f"{kind} {self.fired[kind]:,}" for kind in ALL)


def _share(kind: str) -> float:
    """Kinds beyond the 32, and those that need a certain moment of the upstream, may fire less often."""
    return 1.0 if kind in KINDS else 0.5


def play_some(seeds: range) -> Sums:
    """Some schedules, one after the other, without their warnings."""
    began, sums = time.process_time(), Sums()
    logging.disable(logging.CRITICAL)
    try:
        for seed in seeds:
            sums.add(play(seed, measure=seed % _MEASURED_EVERY == 1))
    finally:
        logging.disable(logging.NOTSET)
    sums.cpu_seconds = time.process_time() - began
    return sums


def commit_of_this() -> str:
    """The commit that a failure belongs to."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "unknown"


def explain(result: Result) -> str:
    """A failure as somebody needs it who wants to see it again."""
    fewest = minimise(result)
    lines = [
        f"seed {result.seed} at commit {commit_of_this()}:",
        *(f"  {problem}" for problem in result.problems[:5]),
        f"  faults that fired: {len(result.fired)}; enough of them (life, call, kind): {fewest}",
        f"  again: make soak SEED={result.seed}",
    ]
    return "\n".join(lines)


def soak(first: int, seeds: int, jobs: int) -> int:
    """Play schedules on ``jobs`` processes; 1 if one of them failed, or if they prove too little."""
    sums, shown = Sums(), time.monotonic()
    parts = [range(start, min(start + _CHUNK, first + seeds)) for start in range(first, first + seeds, _CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        try:
            for part in pool.map(play_some, parts):
                sums.join(part)
                if time.monotonic() - shown > 30:
                    shown = time.monotonic()
                    print(f"{sums.seeds:,} of {seeds:,} schedules, failures {sorted(sums.failures)[:5]}", flush=True)
        except KeyboardInterrupt:
            print("stopped; what was done until now:")
            pool.shutdown(cancel_futures=True)
    print(*sums.report(), sep="\n")
    shortcomings = sums.shortcomings()
    for text in shortcomings:
        print(f"this proves too little: {text}")
    for seed in sorted(sums.failures)[:5]:
        result = play(seed, measure=True)
        print(explain(result) if result.problems else f"seed {seed}: {sums.failures[seed]}")
    if sums.failures:
        print(f"all failures: {sorted(sums.failures)}")
    return 1 if sums.failures or shortcomings else 0


def replay(seed: int) -> int:
    """One schedule again, with what is needed to understand it."""
    result = play(seed, measure=True)
    print(f"{result.calls} calls, {len(result.fired)} faults: {dict(result.counts)}")
    print(explain(result) if result.problems else "nothing is wrong")
    return 1 if result.problems else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20_000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, help="replay this one")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    return soak(chosen.first, chosen.seeds, chosen.jobs) if chosen.seed is None else replay(chosen.seed)


if __name__ == "__main__":
    sys.exit(main())
