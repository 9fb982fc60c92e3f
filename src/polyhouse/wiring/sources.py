"""Builds what reads the upstreams, on clients with the limits of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from polyhouse.errors import ConfigError
from polyhouse.reads.queue import UPSTREAM_NOTE
from polyhouse.settings import Settings

if TYPE_CHECKING:
    from polyhouse.ports import Stream
    from polyhouse.sources.chain.rpc import ChainReader
    from polyhouse.sources.http import HttpClient
    from polyhouse.sources.http.limits import HostLimits
    from polyhouse.sync.sources import Sources
    from polyhouse.sync.store import RunState


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
        served=lambda: data_api.status(data),
    )


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
