"""A bulk sync against the published limits: requests against the minimum, share of the permitted rate, refusals.

The simulator keeps the published limits; its window and the client's are shortened by the same factor (``speed``), so
that the sliding window has its true shape and a run of minutes takes a fraction of them. Each answer takes as long as
the upstream's usual quarter of a second, shortened by the same factor.

``python -m benchmarks.bulk [--wallets 6605] [--trades 500000] [--speed 1]``, and
``python -m benchmarks.bulk --registered 1000000`` for the memory of a loader beside a large registry.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import in_fresh_process, measured
from polyhouse.cli.simulation import simulated_polymarket

ROUTE = "data/v2/activity"
LATENCY_SECONDS = 0.25
FILLS_PER_TRADE = 1.18
"""A universe of so many fills over its whole span shows that share of them as trades of its present."""


def run(wallets: int, trades: int, speed: float) -> list[tuple[str, str, str]]:
    """Rows of the result table: what, figure, target."""
    with _simulator(wallets, round(trades * FILLS_PER_TRADE), speed) as (urls, pipe):
        figures = in_fresh_process(_load, urls, wallets, speed)
        pipe.send("times")
        arrivals, most = pipe.recv()
    requests, minimum = len(arrivals), figures["minimum"]
    share, window = rate_share(arrivals, most, 10 / speed), 10 / speed
    real = (arrivals[-1] - arrivals[0]) * speed
    at_80 = real * 400 / 320
    return [
        ("bulk sync", f"{figures['wallets']:,} wallets, {figures['trades']:,} trades ({figures['status']})", ""),
        ("  requests", f"{requests:,} of at least {minimum:,}: {requests / minimum - 1:+.2%}", "at most +2 %"),
        ("  429", f"{figures['throttled']}", "0"),
        ("  busiest window of the server", f"{busiest(arrivals, window)} of {most}", f"at most {most}"),
        ("  share of the permitted rate", f"{share:.1%} in steady state", "at least 95 %"),
        ("  projected real time", f"{real:,.0f} s at scale 1, {at_80:,.0f} s at 0.8 (window {window:.2f} s)", ""),
        ("  loader", f"peak {figures['peak_mb']:.0f} MB, {figures['cpu']:.0f} s CPU", "under 500 MB"),
    ]


def crowd(registered: int, chosen: int = 500) -> list[tuple[str, str, str]]:
    """Memory and time of ``sync wallets --only-pending --max-wallets`` on a registry of so many wallets."""
    with (
        tempfile.TemporaryDirectory() as home,
        simulated_polymarket(1, chosen, 1_000.0) as upstreams,
    ):
        in_fresh_process(_register, home, registered, chosen)
        environment = os.environ | {
            "POLYHOUSE_HOME": home, "POLYHOUSE_GAMMA_URL": upstreams.gamma_url,
            "POLYHOUSE_CLOB_URL": upstreams.clob_url, "POLYHOUSE_DATA_URL": upstreams.data_url,
            "POLYHOUSE_RATE_SCALE": "20",
        }  # fmt: skip
        command = [sys.executable, "-m", "polyhouse", "sync", "wallets", "--only-pending", "--no-metrics", "--json"]
        started = time.monotonic()
        process = subprocess.Popen([*command, "--max-wallets", str(chosen)], env=environment, stdout=subprocess.PIPE)
        output = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        counts = json.loads(output)["counts"]
    wallets = counts.get("wallets_completed", 0) + counts.get("wallets_empty", 0)
    return [
        ("registry of many wallets", f"{registered:,} in SQLite; {wallets:,} read, {counts['rows']:,} rows", ""),
        ("  loader", f"peak {usage.ru_maxrss * 1.024 / 1_000:.0f} MB, {seconds:.0f} s", "under 500 MB"),
    ]


def _register(home: str, registered: int, chosen: int) -> None:
    from polyhouse.domain.ids import parse_address
    from polyhouse.sim.universe import Universe
    from polyhouse.state import open_state

    url = f"sqlite:///{home}/state.db"
    # An hour earlier: they come first.
    with open_state(url, now=lambda: time.time() - 3_600) as state:
        state.register_wallets(map(parse_address, Universe(seed=1, wallets=chosen).wallets), "file")
    with open_state(url) as state:
        for start in range(chosen, registered, 10_000):
            group = range(start, min(start + 10_000, registered))
            state.register_wallets([hashlib.sha256(b"%d" % number).digest()[:20] for number in group], "file")


def rate_share(arrivals: list[float], most: int, window: float) -> float:
    """How much of the permitted rate was used.

    With ``most`` requests a window, request k + most may come one window after request k, not sooner. The share is the
    window over the mean of what it was; the first window and the last one, which nobody fills, do not count.
    """
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[most:], strict=False)]
    return window / (sum(gaps) / len(gaps)) if gaps else 0.0


def busiest(arrivals: list[float], window: float) -> int:
    """The most arrivals in any half-open window."""
    first = most = 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _load(urls: dict[str, str], wallets: int, speed: float):
    from polyhouse.settings import Settings
    from polyhouse.wiring import open_stores

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), rate_scale=1.0, **urls)
        with open_stores(settings) as stores:
            with measured() as cost:
                report = asyncio.run(_sync(settings, stores, wallets, 10 / speed))
            pages = stores.warehouse.query(
                "SELECT sum(greatest(1, intDiv(rows + 999, 1000))) FROM (SELECT partition, sum(rows + rejected) AS rows"
                " FROM sync_pages_current WHERE stream = 'data.activity' GROUP BY partition)"
            ).rows[0][0]
    with urllib.request.urlopen(f"{urls['data_url'].removesuffix('/data')}/_sim/stats") as answer:
        stats = json.load(answer)
    counts = report.counts
    return {
        "status": report.status, "minimum": int(pages), "throttled": sum(stats["throttled"].values()),
        "trades": counts["trades"], "peak_mb": cost.peak_mb, "cpu": cost.cpu,
        "wallets": counts.get("wallets_completed", 0) + counts.get("wallets_empty", 0),
    }  # fmt: skip


async def _sync(settings, stores, wallets: int, window: float):
    from polyhouse.cli.progress import LineReporter
    from polyhouse.domain.ids import parse_address
    from polyhouse.sim.universe import Universe
    from polyhouse.sync.report import WalletSelection
    from polyhouse.wiring import engine_session

    async with engine_session(settings, stores, LineReporter(), window=window) as engine:
        await engine.sync_markets()
        addresses = (parse_address(wallet) for wallet in Universe(seed=1, wallets=wallets).wallets)
        stores.state.register_wallets(addresses, "file")
        return await engine.sync_wallets(WalletSelection(all=True))


@contextmanager
def _simulator(wallets: int, fills: int, speed: float):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, wallets, fills, speed), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv(), ours
    finally:
        ours.close()
        process.join(timeout=10)
        if process.is_alive():
            process.terminate()


def _serve(pipe, wallets: int, fills: int, speed: float) -> None:
    from polyhouse.sim.faults import Fault, FaultPlan
    from polyhouse.sim.server import SimServer
    from polyhouse.sim.universe import Universe

    times: list[float] = []

    async def main() -> None:
        slow = FaultPlan([Fault("data/*", "slow", seconds=LATENCY_SECONDS / speed)])
        server = SimServer(Universe(seed=1, wallets=wallets, fills=fills), limit_window=10 / speed, faults=slow)
        limiter = server.limiter
        check = limiter.check

        def watched(path):
            if path == ROUTE:
                times.append(time.monotonic())
            return check(path)

        limiter.check = watched
        async with server:
            pipe.send({"gamma_url": server.gamma_url, "clob_url": server.clob_url, "data_url": server.data_url})
            await asyncio.to_thread(pipe.recv)
            pipe.send((times, limiter.limit_of(ROUTE)))

    asyncio.run(main())


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.bulk")
    parser.add_argument("--wallets", type=int, default=6_605)
    parser.add_argument("--trades", type=int, default=500_000)
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than the world")
    parser.add_argument("--registered", type=int, default=0, help="instead: memory beside so many registered wallets")
    options = parser.parse_args()
    rows = crowd(options.registered) if options.registered else run(options.wallets, options.trades, options.speed)
    for row in rows:
        print("{:<34} {:<62} {}".format(*row))


if __name__ == "__main__":
    main()
