"""One schedule: lives of processes with faults, then healthy ones, and everything that must hold on the way."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faultlab.oracle as oracle
from faultlab.memory_state import MemoryState, StateData
from faultlab.schedule import Faults, Script, draw_rates
from faultlab.stores import FaultyState, MemoryWarehouse, Tables, fresh_state
from faultlab.transport import Answers, Network
from faultlab.upstream import Upstream
from faultlab.vtime import START, Crash, Life, LifeClock, StuckError, VirtualLoop, current
from polyhouse.errors import PolyhouseError
from polyhouse.sources.data_api import Activity, MarketTrades, Positions, Resolutions, Values
from polyhouse.sources.http import DATA, HttpClient
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.sync.batches import batch_of
from polyhouse.sync.catalog import MarketRef
from polyhouse.sync.context import EngineLimits, RunContext
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.journal import Journal
from polyhouse.sync.markets import lookup_key
from polyhouse.sync.pool import WalkJob, run_jobs
from polyhouse.sync.process import ProcessOptions, process
from polyhouse.sync.report import RunReport, WalletSelection
from polyhouse.sync.sources import Sources
from polyhouse.sync.writer import BatchLimits

_LIVES = (1, 2, 2, 3)
_HEALTHY = ("process", "trades", "process")
_LIFE_SECONDS = 40_000.0
_DAY = 86_400.0
POLICY = RetryPolicy(attempts=3, base_seconds=0.5, cap_seconds=5.0, breaker_pause=10.0)
PROGRAMS = ("process", "process", "pending", "named", "full", "trades")


@dataclass
class Result:
    """What one schedule showed.

    Attributes:
        problems: broken promises; [] = the seed passed.
        calls: port calls of all lives.
        healthy_calls: of the lives after the faults.
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
        self.result = Result(seed)

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


class Process:
    """One process of the product: real client, streams, engine, state store; one life."""

    def __init__(
        self, world: World, faults: Faults, name: str, *, is_shared: bool = False, is_healthy: bool = False
    ) -> None:
        self.world = world
        self.faults = faults
        self.life = Life(name, world.loop)
        self.stop = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None
        self.report: RunReport | None = None
        self.error = ""
        self._is_shared = is_shared
        self._most_pages = 100_000 if is_healthy else world.rng.choice((100_000, 100_000, 3))
        slow = world.rng.random() < 0.3
        if slow:
            self.life.latency = self._latency
        faults_draw = faults.draw

        def draw(life: Life, *possible: str) -> str:
            kind = faults_draw(life, *possible)
            if kind == "cancel":
                self._cancel()
                return ""
            return kind

        faults.draw = draw  # type: ignore[method-assign]

    def _latency(self) -> tuple[float, float]:
        dice = self.faults.dice("latency")
        return dice.choice((0.0, 0.0, 0.05, 2.0)), dice.choice((0.0, 0.0, 0.05, 3.0))

    def _cancel(self) -> None:
        """The first signal asks for an end; now and then a second one does not wait for it."""
        self.stop.set()
        if self.task is not None and self.faults.dice("cancel").random() < 0.4:
            self.world.loop.call_soon(self.task.cancel)

    async def live(self, program: str) -> None:
        """Run one program to its end, a crash or an error."""
        current.set(self.life)
        self.task = asyncio.current_task()
        world, clock = self.world, LifeClock(self.life)
        state: Any = world.state(self.faults, self.life, is_elsewhere=self._is_shared)
        state.committed = lambda commits: oracle.after_commit(world, commits)
        network = Network(world.upstream, world.answers, self.faults, self.life)
        client = HttpClient(
            "http://data.test", DATA, clock=clock, rate_scale=0.5, policy=POLICY,
            rng=random.Random(world.seed), timeouts=(5.0, 20.0, 30.0),
        )  # fmt: skip
        client._session = network  # type: ignore[assignment]
        async with AsyncExitStack() as stack:
            journal = self._journal(stack)
            engine = SyncEngine(
                MemoryWarehouse(world.tables, self.faults, self.life), state, sources_of(client), None, clock,
                stop=self.stop, limits=_limits(world.rng, self._most_pages), journal=journal,
            )  # fmt: skip
            try:
                self.report = await run_program(engine, world, program)
            except (PolyhouseError, asyncio.CancelledError, Crash) as error:
                self.error = f"{type(error).__name__}: {error}"
                current_task = asyncio.current_task()
                if current_task is not None:
                    current_task.uncancel()

    def _journal(self, stack: AsyncExitStack) -> Journal | None:
        if self.world.folder is None or self._is_shared:
            return None
        journal = Journal(self.world.folder / "journal", keeps_pages=True)

        def close() -> None:
            if not self.life.dead:
                journal.close()

        def let_go() -> None:
            # The kernel closes the files of a dead process and releases its locks; nothing else happens to them.
            for descriptor in (*journal._files.values(), *journal._left.values()):
                os.close(descriptor)

        self.life.on_die.append(let_go)
        stack.callback(close)
        return journal


def _limits(rng: random.Random, most_pages: int) -> EngineLimits:
    batch = BatchLimits(
        rows=rng.choice((4, 10, 40)), seconds=rng.choice((0.2, 2.0)), waiting_rows=rng.choice((8, 30)),
        hands=rng.choice((2, 24)), attempts=rng.choice((1, 3)), retry_seconds=1.0,
    )  # fmt: skip
    return EngineLimits(
        concurrency=rng.choice((1, 3, 50)), claim=rng.choice((1, 50)), max_pages=most_pages, batch=batch,
    )  # fmt: skip


def sources_of(client: HttpClient) -> Sources:
    """The streams of the Data API; the others are read at level 2."""
    nothing: Any = None
    return Sources(
        nothing, nothing, nothing, (MarketTrades(client),), Activity(client), Resolutions(client), nothing,
        Positions(client), Values(client),
    )  # fmt: skip


async def run_program(engine: SyncEngine, world: World, program: str) -> RunReport:
    """One command of the product."""
    wallets = tuple(bytes.fromhex(wallet[2:]) for wallet in world.upstream.ledgers)
    if program == "process":
        return (await process(engine, ProcessOptions(metrics=False))).report
    if program == "pending":
        return await engine.sync_wallets(WalletSelection(only_pending=True))
    if program == "named":
        return await engine.sync_wallets(WalletSelection(addresses=wallets, incremental=True))
    if program == "full":
        return await engine.sync_wallets(WalletSelection(addresses=wallets, full=True))
    return await engine.perform("sync trades", {}, _trades(world))


def _trades(world: World) -> Callable[[RunContext], Awaitable[None]]:
    conditions = world.upstream.conditions

    async def work(ctx: RunContext) -> None:
        for stream in ctx.sources.trades:
            refs = [MarketRef(0, bytes.fromhex(one[2:])) for one in conditions]
            batches = [batch_of(refs[:2]), batch_of(refs[2:])] if len(refs) > 2 else [batch_of(refs)]
            walks = [ctx.walk(stream, one.key, {"conditions": one.conditions}, backwards=True) for one in batches]
            await run_jobs(ctx, [WalkJob(ctx, walk) for walk in walks])
        walk = ctx.walk(ctx.sources.resolutions, lookup_key(0), {"conditions": conditions}, fresh=True)
        await run_jobs(ctx, [WalkJob(ctx, walk)])

    return work


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


def converge(world: World) -> None:
    """All faults stop; everything must become right within a few runs."""
    before = world.result.calls
    for life, program in enumerate(_HEALTHY):
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
