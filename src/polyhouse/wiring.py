"""Builds every object from the settings. The only module that knows all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError
from polyhouse.reads.queue import UPSTREAM_NOTE
from polyhouse.settings import Settings

if TYPE_CHECKING:
    from polyhouse.notify.notifier import Channels, Notifier
    from polyhouse.ports import Clock, Stream
    from polyhouse.sources.chain.rpc import ChainReader
    from polyhouse.sources.http import HttpClient
    from polyhouse.sources.http.lanes import RouteLanes
    from polyhouse.sources.http.limits import HostLimits
    from polyhouse.state import StateStore
    from polyhouse.sync.context import EngineLimits
    from polyhouse.sync.engine import SyncEngine
    from polyhouse.sync.live import LiveSync
    from polyhouse.sync.progress import Reporter
    from polyhouse.sync.report import RunReport, WalletSelection
    from polyhouse.sync.sources import Sources
    from polyhouse.sync.store import RunState
    from polyhouse.warehouse import ClickHouseWarehouse


STATE_PATIENCE_SECONDS = 60.0
"""How long a run waits for a state store on a server that is away."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The two stores of one installation, open."""

    warehouse: ClickHouseWarehouse
    state: StateStore


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open warehouse and state, and close them at the end.

    Raises:
        StoreInUseError: another process owns the embedded warehouse.
        ConfigError: a malformed URL, or a schema newer than this version.
        WarehouseUnavailableError: the server does not answer.
    """
    _make_home(settings)
    with open_warehouse_of(settings) as warehouse, open_state_only(settings) as state:
        stores = Stores(warehouse, state)
        yield stores
        publish_rows(stores)


def open_warehouse_of(settings: Settings) -> ClickHouseWarehouse:
    """Open the warehouse alone. Errors as ``open_stores``."""
    from polyhouse.warehouse import open_warehouse
    from polyhouse.warehouse.bigquery import SCHEME, Limits, open_bigquery

    url = settings.warehouse_url()
    if not url.startswith(SCHEME):
        return open_warehouse(url)
    limits = Limits(
        settings.bigquery_endpoint, settings.bigquery_location, settings.bigquery_query_bytes,
        settings.bigquery_daily_bytes, settings.bigquery_models_seconds,
    )  # fmt: skip
    return open_bigquery(url, settings.home, limits)


def publish_rows(stores: Stores) -> None:
    """Bring the dataset of a BigQuery warehouse up to date with what this process changed. Nothing elsewhere.

    Raises:
        BudgetSpentError: the budget of the day does not suffice; the rows go with the next command.
        WarehouseUnavailableError: BigQuery does not answer; the same.
    """
    from polyhouse.warehouse.bigquery import BigQueryWarehouse

    if isinstance(stores.warehouse, BigQueryWarehouse):
        stores.warehouse.publish()


@contextmanager
def open_state_only(settings: Settings) -> Iterator[StateStore]:
    """Open the state store alone: it takes several processes, also while another one owns the warehouse.

    Raises:
        ConfigError: the stores are half replaced by a backup.
    """
    from polyhouse.state import open_state
    from polyhouse.state.database import RESTORE_NOTE

    _make_home(settings)
    state = open_state(settings.state_url(), lease_seconds=settings.lease_seconds)
    try:
        if (source := state.get_note(RESTORE_NOTE)) is not None:
            raise ConfigError(
                "A restore is going on here, or was killed in the middle; nothing works on half of a store.",
                hint=f"If it was killed, run it again: polyhouse restore {source} --force",
            )
        yield state
    finally:
        state.close()


def migrate_stores(settings: Settings) -> list[str]:
    """Bring both schemas up to date and name the warehouse migrations that this call applied."""
    started = int(time.time())
    with open_stores(settings) as stores:
        rows = stores.warehouse.query(
            "SELECT name FROM schema_migrations FINAL WHERE applied_at >= toDateTime({started:UInt32}, 'UTC')"
            " ORDER BY number",
            {"started": started},
        ).rows
    return [str(row[0]) for row in rows]


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
async def history_stream(settings: Settings, source: str) -> AsyncIterator[Stream]:
    """The stream of a history source (``goldsky``, ``dome``, ``data-v1``, ``data-v1-trades``, ``prices``) on a client.

    Raises:
        AuthError: the source needs a key and none is set.
        ConfigError: an unknown source.
    """
    from polyhouse.sources.data_v1 import ActivityV1
    from polyhouse.sources.data_v1_trades import TradesV1
    from polyhouse.sources.dome import DOME, DomeOrders, auth_headers
    from polyhouse.sources.goldsky import SUBGRAPH, GoldskyFills
    from polyhouse.sources.http import CLOB, DATA, HttpClient
    from polyhouse.sources.prices import PriceHistory

    roads: dict[str, tuple[str, HostLimits, Callable[[HttpClient], Stream]]] = {
        "goldsky": (settings.subgraph_url, SUBGRAPH, GoldskyFills),
        "dome": (settings.dome_url, DOME, DomeOrders),
        "data-v1": (settings.data_url, DATA, ActivityV1),
        "data-v1-trades": (settings.data_url, DATA, TradesV1),
        "prices": (settings.clob_url, CLOB, PriceHistory),
    }
    if source not in roads:
        raise ConfigError(f"unknown history source {source!r}", hint=f"one of {', '.join(roads)}")
    headers = None
    if source == "dome":
        key = settings.dome_api_key
        headers = auth_headers("" if key is None else key.get_secret_value())
    url, limits, stream = roads[source]
    async with HttpClient(url, limits, rate_scale=settings.rate_scale, headers=headers) as client:
        yield stream(client)


@asynccontextmanager
async def chain_reader(settings: Settings, state: RunState) -> AsyncIterator[ChainReader]:
    """A reader of the chain on the nodes of the settings, and on HyperSync where a token for it is set; its counters
    are kept for ``status`` at the end.

    Raises:
        ConfigError: no node is set, or its limits make no sense.
    """
    from polyhouse.sources.chain.hypersync import HYPERSYNC, HypersyncReader, auth_headers
    from polyhouse.sources.chain.provider import RpcPool, parse_limits
    from polyhouse.sources.chain.rpc import ChainReader, RangeSize
    from polyhouse.sources.http import HttpClient

    urls = settings.rpc_urls()
    limits = parse_limits(settings.rpc_limit, max(len(urls), 1))
    pool = RpcPool(urls, limits=limits[: len(urls)], rate_scale=settings.rate_scale, batch=settings.rpc_batch)
    size = RangeSize(size=min(1_000, settings.rpc_range), largest=settings.rpc_range)
    token = settings.hypersync_token.get_secret_value() if settings.hypersync_token else ""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pool)
        clients = dict(pool.clients)
        reader = ChainReader(pool, size)
        if token:
            client = HttpClient(
                settings.hypersync_url, HYPERSYNC, rate_scale=settings.rate_scale, headers=auth_headers(token)
            )
            clients[client.name] = await stack.enter_async_context(client)
            reader = HypersyncReader(pool, client, size)
        try:
            yield reader
        finally:
            counters = upstream_counters(clients)
            if counters:
                state.set_note(UPSTREAM_NOTE, counters)


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


def build_sources(clients: dict[str, HttpClient], rate_scale: float = 0.8, users_url: str = "") -> Sources:
    """The streams of a run on the clients of the hosts ``gamma``, ``clob`` and ``data``; ``rate_scale`` as theirs.

    Raises:
        ConfigError: ``users_url`` is not the URL of a PostgreSQL database.
    """
    from polyhouse.sources import data_api
    from polyhouse.sources.clob import ClobMarkets
    from polyhouse.sources.gamma import GammaEvents, GammaMarkets
    from polyhouse.sources.http.limits import DATA
    from polyhouse.sources.user_tables import UserTables
    from polyhouse.sync.sources import Sources

    gamma, clob, data = clients["gamma"], clients["clob"], clients["data"]
    return Sources(
        gamma_events=GammaEvents(gamma),
        gamma_markets=GammaMarkets(gamma),
        clob_markets=ClobMarkets(clob),
        trades=(data_api.MarketTrades(data),),
        activity=data_api.Activity(data),
        resolutions=data_api.Resolutions(data),
        tokens=data_api.Tokens(data),
        positions=data_api.Positions(data),
        values=data_api.Values(data),
        holders=data_api.Holders(data),
        recent=data_api.RecentTrades(data),
        market_positions=data_api.MarketPositions(data),
        leaderboards=(data_api.Leaderboard(data), data_api.BiggestWinners(data)),
        users=UserTables(users_url) if users_url else None,
        requests_per_second=DATA.per_second("/v2/activity", rate_scale),
        trades_per_second=DATA.per_second("/v2/trades", rate_scale),
    )


@asynccontextmanager
async def published_streams(settings: Settings) -> AsyncIterator[Sequence[Stream]]:
    """The streams of what Polymarket publishes about a wallet, on an open client; one partition a wallet each."""
    from polyhouse.sources.data_api import ClosedPositions, Positions, Values
    from polyhouse.sources.data_api.published_pnl import UserPnl, UserStats
    from polyhouse.sources.data_v1_positions import ClosedPositionsV1, PositionsV1
    from polyhouse.sources.http import DATA, HttpClient, SystemClock

    client = HttpClient(settings.data_url, DATA, clock=SystemClock(), rate_scale=settings.rate_scale)
    async with client:
        lists = Positions(client), ClosedPositions(client), PositionsV1(client), ClosedPositionsV1(client)
        yield UserStats(client), UserPnl(client), *lists, Values(client)


def upstream_counters(clients: dict[str, HttpClient]) -> list[dict[str, Any]]:
    """The ``upstreams`` of the status document: one entry per class of routes that was used."""
    return [
        {
            "name": route.name,
            "requests": route.requests,
            "errors": route.errors,
            "throttled": route.throttled,
            "limit": route.limit,
            "used": route.used,
        }
        for client in clients.values()
        for route in client.snapshot()
    ]


def _make_home(settings: Settings) -> None:
    if not settings.warehouse.get_secret_value() or not settings.state.get_secret_value():
        settings.home.mkdir(parents=True, exist_ok=True)


def notification_channels(settings: Settings) -> Channels | None:
    """The services that notifications go to, None if none is set.

    Raises:
        ConfigError: a URL that no service has.
    """
    from polyhouse.notify.notifier import Channels

    urls = settings.notify_urls.get_secret_value() if settings.notify_urls else ""
    return Channels(urls) if urls.strip() else None


def notifier(settings: Settings, stores: Stores, channels: Channels) -> Notifier:
    """Watches open stores by the rules of the settings.

    Raises:
        ConfigError: a rule or an address that cannot be.
    """
    from polyhouse.notify.notifier import Notifier
    from polyhouse.notify.rules import followed_wallets, rules

    watched, followed = rules(settings.notify), followed_wallets(settings.notify_wallets)
    pause = settings.notify_pause_seconds
    return Notifier(stores.warehouse, stores.state, watched, followed, channels.send, pause=pause)
