"""One process of the product over a world's ports: the real client, streams, engine; and the commands it runs."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import faultlab.oracle as oracle
from faultlab.schedule import Faults
from faultlab.stores import MemoryWarehouse
from faultlab.transport import Network
from faultlab.vtime import Crash, Life, LifeClock, current
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

if TYPE_CHECKING:
    from faultlab.world import World

POLICY = RetryPolicy(attempts=3, base_seconds=0.5, cap_seconds=5.0, breaker_pause=10.0)
PROGRAMS = ("process", "process", "pending", "named", "full", "trades")


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
        self.is_healthy = is_healthy
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
        if world.is_swizzled and not self.is_healthy:
            network.swizzle(self.faults.dice("swizzle"))
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
