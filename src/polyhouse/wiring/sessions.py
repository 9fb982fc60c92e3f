"""Builds what works on open stores: the sync engine, with or without worker processes, and the live follower."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from polyhouse.reads.queue import UPSTREAM_NOTE
from polyhouse.settings import Settings
from polyhouse.wiring.sources import build_sources, upstream_counters
from polyhouse.wiring.stores import Stores

if TYPE_CHECKING:
    import asyncio

    from polyhouse.ports import Clock
    from polyhouse.sources.http import HttpClient
    from polyhouse.sources.http.lanes import RouteLanes
    from polyhouse.sync.context import EngineLimits
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.live import LiveSync
    from polyhouse.sync.progress import Reporter
    from polyhouse.sync.report import RunReport, WalletSelection
    from polyhouse.sync.sources import Sources

STATE_PATIENCE_SECONDS = 90.0
"""How long a run waits for a state store on a server that is away: a minute, and what its start takes after that."""

WAREHOUSE_PATIENCE_SECONDS = 90.0
"""The same for a warehouse on a server."""


@asynccontextmanager
async def engine_session(
    settings: Settings,
    stores: Stores,
    reporter: Reporter,
    *,
    stop: asyncio.Event | None = None,
    concurrency: int = 50,
    claim: int = 50,
    window: float = 10.0,
    workers: int = 0,
    hands: int = 1,
    lanes: Mapping[str, RouteLanes] | None = None,
    is_verified: bool = False,
    keeps_file: bool = True,
) -> AsyncIterator[SyncEngine]:
    """A sync engine with open HTTP clients; their counters are kept for ``status`` at the end, its progress in a file.

    Args:
        settings: where everything is.
        stores: warehouse and state, open.
        reporter: shows the progress.
        stop: ends the run at the next page.
        concurrency: partitions that are read at the same time.
        claim: wallets that are taken out of the queue at a time.
        window: seconds that the published limits span; a simulator may run faster than the world.
        workers: processes that read wallets for this one; 0 = this process reads them itself.
        hands: pages that one worker may have under way.
        lanes: ``sources.http.budget.shared_lanes`` where several sessions of this process share one budget of requests.
        is_verified: another session of this process has looked for what a killed one left, and may be at work now.
        keeps_file: keep the progress file; False for a session beside the one that does.
    """
    from polyhouse.sources.http import CLOB, DATA, GAMMA, HttpClient, SystemClock
    from polyhouse.sync.checkpoint_file import CheckpointFile
    from polyhouse.sync.context import EngineLimits
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.journal import Journal
    from polyhouse.sync.progress import ShowsTraffic
    from polyhouse.sync.traffic import TrafficMeter

    clock = SystemClock()
    stores.state.patience_seconds = STATE_PATIENCE_SECONDS if stores.state.is_shared else 0.0
    stores.warehouse.patience_seconds = WAREHOUSE_PATIENCE_SECONDS
    async with AsyncExitStack() as stack:
        clients: dict[str, HttpClient] = {}
        for url, limits in ((settings.gamma_url, GAMMA), (settings.clob_url, CLOB), (settings.data_url, DATA)):
            client = HttpClient(
                url, limits, clock=clock, rate_scale=settings.rate_scale, window=window,
                lanes=None if lanes is None else lanes[limits.name],
            )  # fmt: skip
            clients[limits.name] = await stack.enter_async_context(client)
        traffic = TrafficMeter(
            lambda: [route for client in clients.values() for route in client.snapshot()], clock.monotonic, window
        )
        if isinstance(reporter, ShowsTraffic):
            reporter.watch(traffic)
        file = None
        if keeps_file:
            file = await stack.enter_async_context(CheckpointFile(settings.home, reporter, traffic, clock))
        users = settings.user_wallets_url.get_secret_value() if settings.user_wallets_url else ""
        sources = build_sources(clients, settings.rate_scale, users)
        bounds = EngineLimits(concurrency=concurrency, claim=claim)
        if workers:
            led = _led_sources(settings, sources, clients, file or reporter, clock, workers=workers, hands=hands)
            sources, bounds = await stack.enter_async_context(led), _bounds_with_workers(bounds, workers * hands)
        # Where the stores are servers another machine may have gone on with a wallet meanwhile.
        is_embedded = settings.engine_url().startswith("chdb:")
        journal = Journal(settings.home / "journal", keeps_pages=workers > 0 and is_embedded)
        stack.callback(journal.close)
        engine = SyncEngine(
            stores.warehouse,
            stores.state,
            sources,
            file or reporter,
            clock,
            stop=stop,
            limits=bounds,
            observer=file,
            journal=journal,
            is_verified=is_verified,
        )
        try:
            yield engine
        finally:
            counters = upstream_counters(clients)
            if counters:  # a dry run asks nobody and changes nothing
                stores.state.set_note(UPSTREAM_NOTE, counters)


@asynccontextmanager
async def _led_sources(
    settings: Settings,
    sources: Sources,
    clients: dict[str, HttpClient],
    reporter: Reporter,
    clock: Clock,
    *,
    workers: int,
    hands: int,
) -> AsyncIterator[Sources]:
    """The same sources; what is asked wallet by wallet is read by worker processes, within our own clients' limits."""
    from polyhouse.fleet import lead

    lanes = {name: client.lanes for name, client in clients.items()}
    urls = {"data": settings.data_url}
    async with lead(
        settings.home, workers=workers, lanes=lanes, urls=urls, note=reporter.note, clock=clock, hands=hands
    ) as fleet:
        yield replace(
            sources,
            activity=fleet.stream(sources.activity),
            positions=fleet.stream(sources.positions),
            values=fleet.stream(sources.values),
        )


def _bounds_with_workers(bounds: EngineLimits, pages: int) -> EngineLimits:
    """Enough open wallets that ``pages`` pages can be under way, and a few that wait their turn; not more, because
    every open wallet may still get its page after a stop.
    """
    batch = replace(bounds.batch, hands=max(bounds.batch.hands, pages + 8))
    return replace(bounds, concurrency=pages + 8, batch=batch)


@asynccontextmanager
async def live_sync(
    settings: Settings,
    stores: Stores,
    read_wallets: Callable[[WalletSelection], Awaitable[RunReport]],
    lanes: Mapping[str, RouteLanes] | None = None,
) -> AsyncIterator[LiveSync]:
    """A follower of the live socket; it goes on from where the last one had followed everything up. ``lanes`` as of
    ``engine_session``.
    """
    from polyhouse.sources.http import DATA, HttpClient, SystemClock
    from polyhouse.sources.live import LiveTrades, missed_since
    from polyhouse.sync.live import NOTE, LiveLimits, LiveSync

    clock = SystemClock()
    socket = LiveTrades(settings.live_url, clock, since=int(stores.state.get_note(NOTE) or 0))
    mine = None if lanes is None else lanes[DATA.name]
    async with HttpClient(settings.data_url, DATA, clock=clock, rate_scale=settings.rate_scale, lanes=mine) as client:
        yield LiveSync(
            socket.events(), lambda since: missed_since(client, since), read_wallets, stores.warehouse, stores.state,
            clock, LiveLimits(settle=settings.live_settle_seconds),
        )  # fmt: skip
