"""Level 2: the simulated Polymarket's HTTP, the real warehouse, the real state store, models, chain, live, readers.

One store and one simulator per process are used for many schedules; the store is emptied between them. Time is real
here, so a seed decides which faults may happen and how often, while the order of threads is the machine's.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from faultlab.schedule import Faults
from faultlab.stores import FaultyState
from faultlab.vtime import Crash, Life
from polyhouse.errors import PolyhouseError, WarehouseUnavailableError
from polyhouse.jobs.runner import JobRunner
from polyhouse.serve.answers import Answers
from polyhouse.serve.app import create_app
from polyhouse.serve.context import ServeContext
from polyhouse.serve.gauges import RequestCounter
from polyhouse.settings import Settings
from polyhouse.sim.faults import Fault
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sim.server import SimServer
from polyhouse.sim.truth import compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sources.chain.provider import RpcPool
from polyhouse.sources.chain.rpc import ChainReader, RangeSize
from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
from polyhouse.sources.http.retry import RetryPolicy
from polyhouse.sources.live import Gap, missed_since
from polyhouse.state import open_state
from polyhouse.sync.chain import ChainOptions, ChainRun
from polyhouse.sync.context import EngineLimits, RunContext
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.live import LiveLimits, LiveSync
from polyhouse.sync.process import ProcessOptions, process
from polyhouse.sync.report import WalletSelection
from polyhouse.sync.touched import rebuild
from polyhouse.sync.writer import BatchLimits
from polyhouse.truth_check import compare
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse
from polyhouse.wiring import Stores, build_sources
from polyhouse.wiring.stores import _finish_publication

POLICY = RetryPolicy(attempts=2, base_seconds=0.01, cap_seconds=0.02, breaker_pause=0.05, budget=1_000)
LIMITS = EngineLimits(batch=BatchLimits(rows=200, seconds=0.05, attempts=2, retry_seconds=0.02), retry_seconds=1)
REST_PROGRAMS = ("run", "run", "markets", "trades", "process", "live")
UPSTREAM = ("status", "html", "truncated", "reset", "empty", "errors", "slow", "hang", "repeat_page", "repeat_cursor")
STORES = (
    "write_refused", "write_half", "write_answer_lost", "state_busy", "state_answer_lost", "lease_expired", "crash",
    "clock_jump",
)  # fmt: skip
_DOCUMENTS = ("/api/status", "/api/leaderboard?limit=5", "/api/wallets/{wallet}")
_HASTE = 50
_NODE = RpcEndpoint("rpc", max_range=200_000_000, max_results=100_000, max_batch=1_000)


class Calendar(SystemClock):
    """The simulated world's calendar; durations pass fifty times as fast."""

    def __init__(self, server: SimServer) -> None:
        self._server = server
        self.extra = 0.0

    def time(self) -> float:
        return float(self._server.world.now) + self.extra

    def monotonic(self) -> float:
        return super().monotonic() * _HASTE

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / _HASTE)


class RealLife(Life):
    """A life in real time: it can die, and its clock can be wrong, but it does not stand still."""

    def __init__(self, name: str, calendar: Calendar) -> None:
        super().__init__(name, SimpleNamespace(now=0.0))  # type: ignore[arg-type]
        self._calendar = calendar

    @property
    def wall(self) -> float:
        return self._calendar.time() + self.skew

    def freeze(self, seconds: float) -> None:
        """Nothing: no test waits in real time."""


@dataclass
class Outcome:
    """What one schedule of level 2 showed."""

    seed: int
    problems: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def problem(self, text: str) -> None:
        """A promise is broken."""
        self.problems.append(text)


class Deep:
    """A store and a simulated Polymarket. Made by ``opened``."""

    def __init__(self, folder: Path, server: SimServer, warehouse: ClickHouseWarehouse) -> None:
        self.server = server
        self.calendar = Calendar(server)
        self.warehouse = warehouse
        self.folder = folder
        self.url = f"sqlite:///{folder}/state.db"

    def state(self, faults: Faults, life: Life) -> FaultyState:
        """One process's way to the state store."""
        opened = open_state(self.url)
        return FaultyState(opened._engine, faults, life, is_elsewhere=False)

    def empty(self) -> None:
        """Leave nothing but the schemas."""
        tables = self.warehouse.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
            " AND name != 'schema_migrations'"
        ).rows
        for (table,) in tables:
            self.warehouse.command(f"TRUNCATE TABLE {table}")
        for path in self.folder.glob("state.db*"):
            path.unlink()


@asynccontextmanager
async def opened(folder: Path, *, chain: bool = False) -> AsyncIterator[Deep]:
    """A store in ``folder``; ``chain``: the universe has every transfer, as the chain's logs show them."""
    universe = Universe(seed=11, wallets=8, fills=90, with_transfers=chain, now_fraction=0.7)
    async with SimServer(universe, enforce_limits=False, endpoints=[_NODE]) as server:
        with open_warehouse(f"chdb://{folder}/warehouse") as warehouse:
            yield Deep(folder, server, warehouse)


def upstream_faults(dice: random.Random) -> list[Fault]:
    """A random subset of what an upstream can do, each with its own rate."""
    chosen = []
    for kind in UPSTREAM:
        if dice.random() < 0.35:
            status = dice.choice((408, 429, 500, 503)) if kind == "status" else 0
            route = dice.choice(("*", "data/*", "gamma/*", "clob/*", "rpc*"))
            seconds = {"slow": 0.02, "hang": 0.6}.get(kind, 0.0)
            rate = dice.choice((0.02, 0.08, 0.2)) / (4 if kind == "hang" else 1)
            chosen.append(Fault(route, kind, status=status, probability=rate, seconds=seconds))  # type: ignore[arg-type]
    return chosen


def store_rates(dice: random.Random) -> dict[str, float]:
    """A random subset of what the stores can do."""
    return {kind: dice.choice((0.003, 0.01, 0.03)) for kind in STORES if dice.random() < 0.4}


@asynccontextmanager
async def failing(warehouse: ClickHouseWarehouse, faults: Faults, life: Life) -> AsyncIterator[None]:
    """While it is open, statements of this store fail before, after and half way, or never end in this life."""
    names = ("write", "command", "insert_arrow", "define")
    before = {name: getattr(warehouse, name) for name in names}

    def wrapped(name: str) -> Callable[..., Any]:
        real = before[name]

        def call(*args: Any, **kwargs: Any) -> Any:
            kinds = ("write_refused", "write_answer_lost", "crash")
            fault = faults.draw(life, *kinds, *(("write_half",) if name == "write" else ()))
            if fault == "write_refused":
                raise WarehouseUnavailableError("refused")
            if fault == "write_half":
                table, columns = args[:2]
                rows = len(next(iter(columns.values()))) // 2
                if rows:
                    real(table, {key: values[:rows] for key, values in columns.items()}, **kwargs)
            else:
                result = real(*args, **kwargs)
            if fault:
                raise WarehouseUnavailableError(fault)
            faults.draw(life, "crash")
            return result

        return call

    for name in names:
        setattr(warehouse, name, wrapped(name))
    try:
        yield
    finally:
        for name in names:
            delattr(warehouse, name)


async def live_once(deep: Deep, faults: Faults, program: str, outcome: Outcome) -> None:
    """One process from its start to its end, however it ends."""
    life = RealLife("a", deep.calendar)
    async with AsyncExitStack() as stack:
        clients = {}
        for url, host in (
            (deep.server.gamma_url, GAMMA),
            (deep.server.clob_url, CLOB),
            (deep.server.data_url, DATA),
        ):
            timeouts = (0.3, 0.3, 0.5) if faults.rates else (5.0, 20.0, 60.0)
            client = HttpClient(url, host, clock=deep.calendar, rate_scale=1_000.0, policy=POLICY, timeouts=timeouts)
            clients[host.name] = await stack.enter_async_context(client)
        try:
            state = deep.state(faults, life)
            stack.callback(state.close)
            await stack.enter_async_context(failing(deep.warehouse, faults, life))
            await asyncio.to_thread(_finish_publication, deep.warehouse)
            engine = SyncEngine(
                deep.warehouse, state, build_sources(clients), None, deep.calendar, stop=asyncio.Event(), limits=LIMITS
            )  # fmt: skip
            status = await _PROGRAMS[program](deep, engine, state, clients[DATA.name])
        except (PolyhouseError, Crash) as error:
            status = type(error).__name__
        outcome.ends[f"{program} {status}"] += 1
    outcome.fired += faults.counts()


Program = Callable[[Deep, SyncEngine, FaultyState, HttpClient], Awaitable[str]]


async def _run(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    return (await engine.run(positions=False)).status


async def _everything(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    report = await engine.run(WalletSelection(all=True, incremental=True), full=True)
    return f"{report.status} {report.errors[:2]}" if report.status != "ok" else "ok"


async def _markets(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    return (await engine.sync_markets()).status


async def _trades(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    return (await engine.sync_trades()).status


async def _process(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    return (await process(engine, ProcessOptions())).report.status


async def _live(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    """A gap of an hour is filled, and the wallets it names are read and confirmed."""

    async def silence() -> AsyncIterator[Gap]:
        await asyncio.Event().wait()
        yield Gap(0)

    live = LiveSync(
        silence(), lambda since: missed_since(client, since), engine.sync_wallets, deep.warehouse, state,
        deep.calendar, LiveLimits(settle=0.0, attempts=3),
    )  # fmt: skip
    live.take(Gap(int(deep.calendar.time()) - 3_600))
    for _ in range(3):
        await live.round()
    return "ok" if not live.report.errors else "partial"


async def _chain(deep: Deep, engine: SyncEngine, state: FaultyState, client: HttpClient) -> str:
    """Everything that is missing on the chain, then the models of whom it touched."""
    pool = RpcPool(
        deep.server.rpc_urls, limits=[100_000], clock=deep.calendar, rate_scale=1.0, batch=200, policy=POLICY
    )  # fmt: skip
    reader = ChainReader(pool, RangeSize(size=20_000_000, largest=200_000_000, wanted_logs=400))
    async with pool:

        async def work(ctx: RunContext) -> None:
            await ChainRun(ctx, reader, ChainOptions(span=100_000_000)).execute()

        report = await engine.perform("sync chain", {}, work)
    if report.status in {"ok", "partial"}:
        await asyncio.to_thread(rebuild, deep.warehouse, state, report.touched)
    return report.status


_PROGRAMS: dict[str, Program] = {
    "run": _run, "everything": _everything, "markets": _markets, "trades": _trades, "process": _process,
    "live": _live, "chain": _chain,
}  # fmt: skip


async def read_documents(deep: Deep, outcome: Outcome, wallets: Sequence[str]) -> None:
    """What a server says about this store: whole documents, or a proper refusal."""
    settings = Settings(home=deep.folder)
    state = deep.state(Faults(0, 96), RealLife("server", deep.calendar))
    with deep.warehouse.reader() as reader:
        answers = Answers(Stores(reader, state))
        try:
            context = ServeContext(
                settings, Stores(deep.warehouse, state), JobRunner(settings, Stores(deep.warehouse, state)), answers,
                RequestCounter(), "token",
            )  # fmt: skip
            transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                for path in _DOCUMENTS:
                    answer = await client.get(path.format(wallet=random.choice(wallets)))
                    outcome.answers[answer.status_code] += 1
                    if answer.status_code not in {200, 404, 503} or not isinstance(answer.json(), dict):
                        outcome.problem(f"GET {path}: {answer.status_code} {answer.text[:200]}")
        finally:
            answers.close()
            state.close()


async def play_rest(deep: Deep, seed: int) -> Outcome:
    """One schedule over the REST sources: lives with faults, then one that sees none, then the truth."""
    outcome, dice = Outcome(seed), random.Random(f"deep/{seed}")
    deep.empty()
    rates = store_rates(dice)
    known = ["0x" + "11" * 20]
    for life in range(dice.choice((1, 2, 3))):
        deep.server.faults.set(upstream_faults(dice))
        await live_once(deep, Faults(seed, life, rates), dice.choice(REST_PROGRAMS), outcome)
        deep.server.faults.set(())
        await read_documents(deep, outcome, known)
    deep.calendar.extra += 90_000
    _unpark(deep)
    for _ in range(2):
        healthy = Outcome(seed)
        await live_once(deep, Faults(seed, 50), "everything", healthy)
    if not healthy.ends["everything ok"]:
        outcome.problem(f"a healthy run is not ok: {dict(healthy.ends)}")
    universe = deep.server.world.universe
    truth = compute_truth(
        universe.transactions(until=deep.server.world.now), universe.events, universe.neg_risk_markets
    )  # fmt: skip
    _hold(deep, outcome, compare(deep.warehouse, truth))
    await read_documents(deep, outcome, sorted(truth.wallets))
    return outcome


async def play_chain(deep: Deep, seed: int) -> Outcome:
    """One schedule over the chain: lives with faults, blocks that are abandoned in between, then the truth."""
    outcome, dice = Outcome(seed), random.Random(f"deep/{seed}")
    deep.empty()
    rates = store_rates(dice)
    universe = deep.server.world.universe
    _write_events(deep.warehouse, universe)
    for life in range(dice.choice((1, 2, 3))):
        deep.server.faults.set(upstream_faults(dice))
        await live_once(deep, Faults(seed, life, rates), "chain", outcome)
        deep.server.faults.set(())
        if dice.random() < 0.6:
            await deep.server.reorg(dice.choice((1, 5, 50)))
            outcome.fired["reorg"] += 1
    healthy = Outcome(seed)
    await live_once(deep, Faults(seed, 50), "chain", healthy)
    if not healthy.ends["chain ok"]:
        outcome.problem(f"a healthy run is not ok: {dict(healthy.ends)}")
    logged = [
        replace(tx, logs=tuple(log for log in tx.logs if log.t != "Income"))
        for tx in deep.server.node.canonical_transactions()
    ]
    truth = compute_truth([tx for tx in logged if tx.logs], universe.events, universe.neg_risk_markets)
    _hold(deep, outcome, compare(deep.warehouse, truth, everyone=True, income=False))
    return outcome


def _unpark(deep: Deep) -> None:
    state = deep.state(Faults(0, 98), RealLife("operator", deep.calendar))
    state.retry()
    state.queue()
    state.close()


def _hold(deep: Deep, outcome: Outcome, found: Any) -> None:
    outcome.compared = found.equal
    if not found.ok:
        outcome.problem(f"not the truth: {found.differences[:3]}")
    if not found.equal:
        outcome.problem("no wallet was compared")


def _write_events(warehouse: ClickHouseWarehouse, universe: Any) -> None:
    """Categories, which the chain does not know."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2] / "chain_sync"))
    from chain_world import write_events

    write_events(warehouse, universe)
