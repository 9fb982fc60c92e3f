"""One schedule: lives of processes with faults, then healthy ones, and everything that must hold on the way."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faultlab.oracle as oracle
from faultlab.lives import PROGRAMS, Process
from faultlab.memory_state import MemoryState, StateData
from faultlab.schedule import Faults, Script, draw_rates
from faultlab.stores import FaultyState, Tables, fresh_state
from faultlab.transport import Answers
from faultlab.upstream import Upstream
from faultlab.vtime import START, Life, StuckError, VirtualLoop

_LIVES = (1, 2, 2, 3)
_HEALTHY = ("process", "trades", "process")
_LIFE_SECONDS = 40_000.0
_DAY = 86_400.0


@dataclass
class Result:
    """What one schedule showed.

    Attributes:
        problems: broken promises; [] = the seed passed.
        calls: port calls of all lives.
        healthy_calls: of the lives after the faults.
        is_swizzled: sources were stalled one by one and released in another order.
        possible: of a systematic schedule: what each call of the first life could have met.
        clean_calls: of a run over the same upstream that never saw a fault; 0 = not measured.
    """

    seed: int
    problems: list[str] = field(default_factory=list)
    fired: list[tuple[int, int, str]] = field(default_factory=list)
    calls: int = 0
    healthy_calls: int = 0
    clean_calls: int = 0
    commits: int = 0
    pages: list[int] = field(default_factory=list)
    tied: int = 0
    wallets: int = 0
    is_swizzled: bool = False
    possible: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Kind → how often it fired."""
        return Counter(kind for _, _, kind in self.fired)


class World:
    """What is outside of the processes: upstream, stores, time; and what was seen of it.

    Args:
        seed: decides everything.
        script: exactly these faults instead of drawn ones.
    """

    def __init__(self, seed: int, script: Script | None = None) -> None:
        self.seed = seed
        self.script = script
        self.rng = random.Random(f"world/{seed}")
        self.upstream = Upstream(seed)
        self.answers = Answers()
        self.tables = Tables()
        self.loop = VirtualLoop()
        self.data = StateData()
        self.engine = fresh_state() if seed % 8 == 0 else None
        self.rates = draw_rates(self.rng)
        self.uses_journal = self.rng.random() < 0.15
        self.folder = Path(tempfile.mkdtemp(prefix="faults-")) if self.uses_journal else None
        self.is_swizzled = self.rng.random() < 0.1
        self.result = Result(seed, is_swizzled=self.is_swizzled)

    def problem(self, text: str) -> None:
        """A promise is broken."""
        if len(self.result.problems) < 20:
            self.result.problems.append(text)

    def close(self) -> None:
        """Forget it."""
        self.loop.close()
        if self.folder is not None:
            for path in (self.folder / "journal").glob("*"):
                path.unlink()
            (self.folder / "journal").rmdir() if (self.folder / "journal").exists() else None
            self.folder.rmdir()

    def state(self, faults: Faults, life: Life, *, is_elsewhere: bool = False) -> FaultyState | MemoryState:
        """One process's way to the state store of this world: the real one, or the one in memory."""
        if self.engine is None:
            return MemoryState(self.data, faults, life, is_elsewhere=is_elsewhere)
        return FaultyState(self.engine, faults, life, is_elsewhere=is_elsewhere)

    def faults(self, life: int, *, healthy: bool = False) -> Faults:
        """The schedule of one life."""
        rates = {} if healthy else self.rates
        script = self.script if self.script is not None and not healthy else None
        return Faults(self.seed, life, rates, script)

    def pass_time(self, seconds: float) -> None:
        """Time goes by between two processes."""
        self.upstream.read_until = START + int(self.loop.now)
        self.loop.now += max(seconds, 2.0)
        self.upstream.now = START + int(self.loop.now)

    def grow(self) -> None:
        """What the upstream's people do meanwhile."""
        self.upstream.now = START + int(self.loop.now)
        for wallet in self.upstream.ledgers:
            self.upstream.grow(wallet, self.rng.choice((0, 0, 2, 6)))
            if self.rng.random() < 0.5:
                self.upstream.move_positions(wallet)
        if self.rng.random() < 0.5:
            self.upstream.resolve()


def live_through(world: World, processes: Mapping[Process, str]) -> None:
    """Let processes run beside each other until the last one ended."""
    loop = world.loop
    loop.ends_at = loop.now + _LIFE_SECONDS

    async def all_of_them() -> None:
        await asyncio.gather(*(asyncio.create_task(one.live(program)) for one, program in processes.items()))

    try:
        loop.run_until_complete(all_of_them())
    finally:
        _bury(loop)
        world.upstream.now = START + int(loop.now)
    for one in processes:
        world.result.calls += one.faults.calls
        world.result.fired += one.faults.fired


def _bury(loop: VirtualLoop) -> None:
    """End what a dead process left on the loop."""
    for _ in range(50):
        left = asyncio.all_tasks(loop)
        if not left:
            return
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    raise StuckError(f"tasks that do not end: {sorted(task.get_name() for task in left)}")


def play(seed: int, *, script: Script | None = None, measure: bool = False) -> Result:
    """One schedule from its seed.

    Args:
        seed: decides everything.
        script: replay these faults only.
        measure: also count the calls of a clean run over the same upstream.
    """
    world = World(seed, script)
    random.seed(seed)  # tenacity draws its pauses from the global generator
    try:
        _play(world)
        if measure and not world.result.problems:
            world.result.clean_calls = _clean_calls(world)
    except AssertionError as error:
        world.problem(f"{type(error).__name__}: {error}")
    finally:
        world.close()
    return world.result


def play_at(seed: int, call: int, kind: str) -> Result:
    """Exactly one fault: ``kind`` at the ``call``-th port call of one run; 0 = none at all."""
    world = World(seed)
    random.seed(seed)
    try:
        register(world)
        one = Process(world, Faults(seed, 0, at=(call, kind)), "a")
        live_through(world, {one: "process"})
        oracle.after_life(world, one, "process")
        world.result.possible = one.faults.possible
        converge(world, ("process", "trades"))
    except AssertionError as error:
        world.problem(f"{type(error).__name__}: {error}")
    finally:
        world.close()
    return world.result


def _play(world: World) -> None:
    register(world)
    for life in range(world.rng.choice(_LIVES)):
        program = world.rng.choice(PROGRAMS)
        is_pair = world.rng.random() < 0.25
        one = Process(world, world.faults(2 * life), "a", is_shared=is_pair)
        processes = {one: program}
        if is_pair:
            processes[Process(world, world.faults(2 * life + 1), "b", is_shared=True)] = "process"
        live_through(world, processes)
        for each, what in processes.items():
            oracle.after_life(world, each, what)
        world.pass_time(world.rng.choice((1.0, 400.0, 30_000.0)))
        world.grow()
    converge(world)


def register(world: World) -> None:
    """Make the wallets known, as discovery does."""
    state = world.state(Faults(world.seed, 99), Life("setup", world.loop))
    state.register_wallets([bytes.fromhex(wallet[2:]) for wallet in world.upstream.ledgers], "user")


def converge(world: World, programs: Sequence[str] = _HEALTHY) -> None:
    """All faults stop; everything must become right within a few runs."""
    before = world.result.calls
    for life, program in enumerate(programs):
        world.pass_time(_DAY)
        unpark(world)
        one = Process(world, world.faults(100 + life, healthy=True), "a", is_healthy=True)
        live_through(world, {one: program})
        if one.error:
            world.problem(f"a healthy {program} failed: {one.error}")
    world.result.healthy_calls = world.result.calls - before
    oracle.at_the_end(world)


def unpark(world: World) -> None:
    """What the operator does after an outage: ``polyhouse retry``."""
    state = world.state(Faults(world.seed, 98), Life("operator", world.loop))
    state.retry()
    state.queue()


def _clean_calls(world: World) -> int:
    """Port calls of the same two healthy rounds on empty stores."""
    world.tables, world.data = Tables(), StateData()
    world.engine = fresh_state() if world.engine is not None else None
    world.folder, calls = None, world.result.calls
    register(world)
    for life, program in enumerate(_HEALTHY):
        world.pass_time(_DAY)
        unpark(world)
        live_through(world, {Process(world, world.faults(200 + life, healthy=True), "a", is_healthy=True): program})
    clean, world.result.calls = world.result.calls - calls, calls
    return clean


def minimise(result: Result, fails: Callable[[int, Script], bool] | None = None) -> list[tuple[int, int, str]]:
    """The faults without which the seed passes, by leaving out halves, quarters, … of them."""

    def still(faults: Sequence[tuple[int, int, str]]) -> bool:
        script = {(life, call): kind for life, call, kind in faults}
        if fails is not None:
            return fails(result.seed, script)
        return bool(play(result.seed, script=script).problems)

    faults = [one for one in result.fired if one[0] < 100]
    if not still(faults):
        return faults
    size = max(1, len(faults) // 2)
    while True:
        at = 0
        while at < len(faults):
            fewer = faults[:at] + faults[at + size :]
            if still(fewer):
                faults = fewer
            else:
                at += size
        if size == 1:
            return faults
        size //= 2
