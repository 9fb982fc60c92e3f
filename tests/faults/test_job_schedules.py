"""Jobs of servers under schedules of faults: a state store that is busy or whose answers are lost, servers that die and
are stopped. Whoever was told a job gets one that began after the question, once it is over for good.

The servers here do what ``polyhouse.jobs.runner`` does with the real store of jobs, in virtual time.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from faultlab.mutants import Mutant, planted
from faultlab.schedule import Faults
from faultlab.stores import FaultyState, fresh_state
from faultlab.vtime import START, Crash, Life, VirtualLoop

from polyhouse.errors import RetryableError
from polyhouse.state.jobs import JOB_LEASE_SECONDS, MOST_DEATHS, JobRecord, JobRequest

SEEDS = 8
ACTIONS = ("full", "metrics", "discover")
RATES = {"state_busy": 0.1, "state_answer_lost": 0.1, "crash": 0.03}
_BEAT = 5.0
Steps = Generator[float, None, None]
"""Yields how long it waits."""


@dataclass
class Yard:
    """Servers, clients, and what was seen of them.

    Attributes:
        told: number of a job → when somebody was told it.
        worked: number → when each work on it that came to its end had begun.
        under_way: action → until when somebody may be at work on it.
    """

    seed: int
    loop: VirtualLoop = field(default_factory=VirtualLoop)
    told: dict[int, float] = field(default_factory=dict)
    worked: dict[int, list[float]] = field(default_factory=dict)
    under_way: dict[str, tuple[str, float]] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    tasks: list[tuple[float, int, Steps]] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        self.engine = fresh_state()
        self.dice = random.Random(f"jobs/{self.seed}")

    def state(self, name: str, *, healthy: bool = False) -> FaultyState:
        self._number += 1
        faults = Faults(self.seed, self._number, {} if healthy else RATES)
        life = Life(f"{name}-{self._number}", self.loop)
        life.on_die.append(lambda: self.fired.update(faults.counts()))
        return FaultyState(self.engine, faults, life, is_elsewhere=False)

    def start(self, task: Steps, after: float = 0.0) -> None:
        self._number += 1
        heapq.heappush(self.tasks, (self.loop.now + after, self._number, task))

    def play(self, seconds: float) -> None:
        """Let everybody go on for so long; what died stays dead."""
        until = self.loop.now + seconds
        while self.tasks and self.tasks[0][0] <= until:
            moment, _, task = heapq.heappop(self.tasks)
            self.loop.now = max(self.loop.now, moment)
            try:
                self.start(task, next(task))
            except (Crash, StopIteration):
                continue
        self.loop.now = until

    def server(self, *, is_owner: bool, healthy: bool = False) -> Steps:
        """One life of a server, begun again when it died."""
        while True:
            try:
                yield from self._serve(self.state("server", healthy=healthy), is_owner=is_owner)
            except Crash:
                self.fired["crash"] += 1
                yield self.dice.choice((1.0, 20.0, 100.0))

    def _serve(self, state: FaultyState, *, is_owner: bool) -> Steps:
        while True:
            try:
                job = state.claim_job(is_owner=is_owner)
            except RetryableError:
                self.fired["busy"] += 1
                yield 5.0
                continue
            if job is None:
                yield 10.0
                continue
            is_over = yield from self._work(state, job)
            try:
                if is_over:
                    state.finish_job(job.id, "done")
                else:
                    state.put_back_job(job.id)
            except RetryableError:
                self.fired["end not noted"] += 1
            yield 0.1

    def _work(self, state: FaultyState, job: JobRecord) -> Generator[float, None, bool]:
        begun = self.loop.now
        for beat in range(self.dice.choice((1, 3, 10, 20))):
            self._is_alone(state.worker, job)
            yield _BEAT
            try:
                kept = state.keep_job(job.id, {"step": str(beat)})
            except RetryableError:
                continue
            if kept is None or kept.cancel_asked or self.dice.random() < 0.03:
                return False  # lost, cancelled, or the server is asked to stop
        self.worked.setdefault(job.id, []).append(begun)
        return True

    def _is_alone(self, worker: str, job: JobRecord) -> None:
        who, until = self.under_way.get(job.action, (worker, 0.0))
        if who != worker and until > self.loop.now:
            self.problems.append(f"{worker} works on {job.action} beside {who}")
        self.under_way[job.action] = worker, self.loop.now + _BEAT - 0.1

    def client(self, number: int) -> Steps:
        """Asks until it is answered, with the same key, and once more later."""
        yield self.dice.uniform(0.0, 400.0)
        action = self.dice.choice(ACTIONS)
        key = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        request = JobRequest(key, hashlib.sha256(action.encode()).digest())
        found: list[int] = []
        while len(found) < 2:
            try:
                job, _ = self.state("client").add_job(action, "key:k", request)
            except (RetryableError, Crash):
                yield 1.0
                continue
            found.append(job.id)
            self.told.setdefault(job.id, self.loop.now)
            yield 30.0
        if found[0] != found[1]:
            self.problems.append(f"one request made the jobs {found}")
        if self.dice.random() < 0.1:
            self.state("client", healthy=True).cancel_job(found[0])


def check(yard: Yard) -> Iterator[str]:
    """What must hold when everything is over."""
    yield from yard.problems
    records = {one.id: one for one in yard.state("observer", healthy=True).jobs(limit=1_000)}
    for number in yard.told:
        job: Any = records.get(number)
        if job is None:
            yield f"job {number} is gone"
        elif job.status == "done" and not any(START + at >= job.created_at for at in yard.worked.get(number, ())):
            yield f"job {number} is called done and nobody did it"
        elif job.status == "failed" and job.deaths < MOST_DEATHS:
            yield f"job {number} failed: {job.error}"
        elif job.status == "cancelled" and not job.cancel_asked:
            yield f"job {number} was cancelled and nobody asked for it"
        elif job.status in {"queued", "running"}:
            yield f"job {number} is {job.status} for ever"


def schedule(seed: int, machines: int) -> Yard:
    """Servers and clients with faults, then one server that nothing happens to."""
    yard = Yard(seed)
    for _ in range(machines):
        yard.start(yard.server(is_owner=machines == 1))
    for number in range(6):
        yard.start(yard.client(number))
    yard.play(600.0)
    yard.tasks.clear()
    yard.start(yard.server(is_owner=machines == 1, healthy=True), after=JOB_LEASE_SECONDS)
    yard.play(900.0)
    return yard


@pytest.mark.parametrize("machines", [1, 2])
def test_no_job_is_lost_and_none_is_done_twice_at_a_time(machines: int) -> None:
    fired: Counter[str] = Counter()
    jobs = 0
    for seed in range(machines * 1_000, machines * 1_000 + SEEDS):
        yard = schedule(seed, machines)
        assert not (found := list(check(yard))), f"seed {seed}: {found[:5]}"
        fired += yard.fired
        jobs += len(yard.told)
    assert jobs > SEEDS * 2
    assert min(fired[kind] for kind in ("busy", "crash", "end not noted")) > SEEDS / 4


@pytest.mark.parametrize(
    "new",
    ["is_lost = jobs.c.lease_until < 0", "is_lost = jobs.c.lease_until > 0"],
    ids=["a dead server keeps its job", "a living server loses its job"],
)
def test_a_planted_bug_is_seen(new: str) -> None:
    with planted(Mutant("polyhouse.state.jobs", "is_lost = jobs.c.lease_until <= now", new)):
        assert any(list(check(schedule(seed, 2))) for seed in range(2_000, 2_000 + SEEDS))
