"""The live socket: hints through loss, repetition, disorder and cuts cause exactly the right wallets to be read."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from polyhouse.domain.ids import parse_address, parse_hash
from polyhouse.errors import UpstreamRefusedError
from polyhouse.sim.live_api import LiveFaults
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.live import Gap, Hint, LiveTiming, LiveTrades, Missed, missed_since
from polyhouse.sync.live import NOTE, LiveLimits, LiveSync
from polyhouse.sync.report import WalletSelection

FAST = LiveTiming(ping=0.05, silence=5.0, backoff=0.01, backoff_cap=0.02)
DAY = 86_400


class Calendar:
    """Simulated days, real pauses cut short."""

    def __init__(self, server) -> None:
        self.server = server

    def time(self) -> float:
        return float(self.server.world.now)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))


def traders(universe, since, until):
    """(wallet, transaction) of every fill after ``since``."""
    return {
        (parse_address(log.fields["maker"]), parse_hash(tx.tx))
        for tx in universe.transactions(start_ts=since + 1, until=until)
        for log in tx.logs
        if log.t == "OrderFilled"
    }


def count_fills(universe, since, until):
    return sum(
        log.t == "OrderFilled" for tx in universe.transactions(start_ts=since + 1, until=until) for log in tx.logs
    )


def fills_since(warehouse, started):
    """(wallet, transaction) of every fill that has arrived. A trade whose hint was lost comes with another one's."""
    found = warehouse.query(
        "SELECT DISTINCT wallet, tx FROM observations_current WHERE kind IN ('BUY', 'SELL')"
        f" AND toUnixTimestamp(ts) > {started}"
    ).rows
    return {(bytes(wallet), bytes(tx)) for wallet, tx in found}


async def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.01)


async def advance(server, seconds, step=DAY // 4):
    for _ in range(seconds // step):
        await server.advance(step)


FAULTS = {
    "faithful": LiveFaults(),
    "repeats and disorder": LiveFaults(repeat_every=2, reorder=True, foreign_every=3),
    "cuts": LiveFaults(cut_after=7, refuse=2),
    "loses every third": LiveFaults(drop_every=3),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_exactly_the_wallets_that_traded_are_read(tmp_path, tools, name):
    universe = Universe(seed=11, wallets=60, fills=1_500)
    # What is lost without a word shows in the sweep. One is due after every step of time, so also after the last one.
    sweep = DAY // 8 if "loses" in name else 1e9
    async with (
        SimServer(universe, enforce_limits=False, live=FAULTS[name]) as server,
        tools.session(server, tmp_path) as home,
    ):
        clock = Calendar(server)
        started = server.world.now
        socket = LiveTrades(server.live_url, clock, timing=FAST)
        asked = []

        async def read(selection):
            asked.extend(selection.addresses)
            return await home.engine.sync_wallets(selection)

        # The overlap of a gap may show older trades: what the ledger has already is no hint.
        await home.engine.sync_wallets(WalletSelection(addresses=tuple(map(parse_address, universe.wallets))))
        live = LiveSync(
            socket.events(), lambda since: missed_since(home.clients["data"], since), read, home.warehouse,
            home.state, clock, LiveLimits(settle=0.0, pause=0.05, sweep=sweep),
        )  # fmt: skip
        stop = asyncio.Event()
        following = asyncio.create_task(live.follow(stop))
        try:
            await until(lambda: socket.counts["connections"])
            for _ in range(4):
                await advance(server, 3 * DAY)
                await until(lambda: socket.counts["connections"] > server.live.cuts)
            wanted = traders(universe, started, server.world.now)
            fills = count_fills(universe, started, server.world.now)
            hints = {
                "faithful": fills, "repeats and disorder": fills + fills // 2, "loses every third": fills - fills // 3,
            }.get(name, 0)  # fmt: skip
            await until(lambda: socket.counts["hints"] >= hints)
            await until(lambda: fills_since(home.warehouse, started) == wanted)
        finally:
            stop.set()
            report = await following
        assert set(asked) == report.wallets == {wallet for wallet, _ in wanted}
        assert 3 < len(report.wallets) < len(universe.wallets)
        assert report.counts["given_up"] == 0
        assert report.errors == []
        assert server.live.sent == fills
        assert name == "cuts" or socket.counts["hints"] == hints
        assert fills_since(home.warehouse, started) == wanted
        assert {row[0] for row in home.observations("source")} == {"activity"}
        if name == "cuts":
            assert server.live.cuts > 1
            assert report.counts["gaps"] == socket.counts["connections"] > 2
        if name == "repeats and disorder":
            assert report.counts["repeated"] > 0
            assert socket.counts["foreign"] > 0
            assert socket.counts["unreadable"] == socket.counts["foreign"]


class Reader:
    """Stands for the engine: remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked = []

    async def __call__(self, selection):
        from polyhouse.sync.report import RunReport

        self.asked.append(selection.addresses)
        return RunReport(1, "ok")


class NoEvents:
    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.Event().wait()


async def test_a_trade_that_never_shows_is_tried_some_times_and_left_in_the_queue(server, tmp_path, tools):
    wallet = parse_address(server.world.universe.wallets[0])
    async with tools.session(server, tmp_path) as home:
        reader = Reader()

        async def nothing(_since):
            return Missed([], is_complete=False)

        live = LiveSync(
            NoEvents(), nothing, reader, home.warehouse, home.state, Calendar(server),
            LiveLimits(settle=0.0, attempts=3),
        )  # fmt: skip
        live.take(Hint(wallet, b"\x01" * 32, b"\x02" * 32, server.world.now))
        live.take(Hint(wallet, b"\x01" * 31, b"\x03" * 32, server.world.now))  # Protocol V2
        live.take(Gap(server.world.now - 100))
        home.state.register_wallets([wallet], "user")
        home.state.mark_completed(wallet, trades_synced=0)
        for _ in range(5):
            await live.round()
        assert reader.asked == [(wallet,)] * 3
        assert live.report.counts["given_up"] == 1
        assert live.report.counts["unsupported"] == 1
        assert any("longer than the feed" in text for text in live.report.errors)
        assert home.state.wallet_counts()["pending"] == 1
        assert home.state.get_note(NOTE) == server.world.now


async def test_hints_wait_until_the_index_had_time(server, tmp_path, tools):
    wallet = parse_address(server.world.universe.wallets[0])
    async with tools.session(server, tmp_path) as home:
        reader, clock = Reader(), Calendar(server)
        live = LiveSync(NoEvents(), None, reader, home.warehouse, home.state, clock, LiveLimits(settle=30.0, sweep=1e9))
        live.take(Hint(wallet, b"\x01" * 32, b"\x02" * 32, server.world.now))
        await live.round()
        assert reader.asked == []
        now = server.world.now
        clock.time = lambda: now + 30.0
        await live.round()
        assert reader.asked == [(wallet,)]


async def test_the_newest_trades_are_walked_back_over_the_gap_and_no_further(server, tools):
    now = server.world.now
    wanted = traders(server.world.universe, now - 20 * DAY - 600 - 1, now)
    async with tools.data_client(server) as client:
        missed = await missed_since(client, now - 20 * DAY)
        assert missed.is_complete
        assert {(hint.wallet, hint.tx) for hint in missed.hints} == wanted
        assert len(wanted) > 3
        far = await missed_since(client, now - 200 * DAY)
        assert not far.is_complete


async def test_a_refused_subscription_is_an_error():
    async def refuse(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"message": "Unauthorized", "statusCode": 401})
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/live", refuse)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        from polyhouse.sources.http import SystemClock

        socket = LiveTrades(f"ws://127.0.0.1:{runner.addresses[0][1]}/live", SystemClock(), since=5, timing=FAST)
        events = socket.events()
        assert await anext(events) == Gap(5)
        with pytest.raises(UpstreamRefusedError, match="401"):
            await anext(events)
    finally:
        await runner.cleanup()


async def test_a_silent_connection_is_given_up():
    connections = 0

    async def silent(request: web.Request) -> web.StreamResponse:
        nonlocal connections
        connections += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if connections > 1:
            await socket.send_str("PONG")
        async for _ in socket:
            pass
        return socket

    app = web.Application()
    app.router.add_get("/live", silent)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        from polyhouse.sources.http import SystemClock

        timing = LiveTiming(ping=0.05, silence=0.3, backoff=0.01, backoff_cap=0.02)
        socket = LiveTrades(f"ws://127.0.0.1:{runner.addresses[0][1]}/live", SystemClock(), since=7, timing=timing)
        assert await asyncio.wait_for(anext(socket.events()), 5) == Gap(7)
        assert socket.counts["failures"] == 1
    finally:
        await runner.cleanup()
