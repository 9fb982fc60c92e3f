"""Several processes read wallets for one: the same tables, the same number of requests, one budget."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fleetlab
import psutil
import pytest

from polyhouse.sim.faults import Fault
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import WalletSelection
from polyhouse.wiring import engine_session, open_stores

Homes = Callable[[str], Path]
Content = dict[str, tuple[int, ...]]


def slowly(server: SimServer, seconds: float = 0.05) -> None:
    server.faults.set([Fault(fleetlab.LEDGER, "slow", seconds=seconds)])


@pytest.fixture(autouse=True)
def no_faults(server: SimServer) -> None:
    server.faults.set([])


def test_three_workers_fill_the_same_tables_as_one_process(
    server: SimServer, undisturbed: tuple[Content, int], new_home: Homes
) -> None:
    alone, minimum = undisturbed
    home = new_home("three")
    before = server.requests[fleetlab.LEDGER]
    done = fleetlab.run(home, server, "sync", "wallets", "--all", "--workers", "3", "--json")
    assert server.requests[fleetlab.LEDGER] - before == minimum
    report = json.loads(done.stdout)
    assert report["status"] == "ok"
    assert report["counts"]["partitions"] == len(server.world.universe.wallets)
    assert fleetlab.look(home, fleetlab.VISIBLE | fleetlab.MODELS) == alone
    upstreams = {
        one["name"]: one for one in json.loads(fleetlab.run(home, server, "status", "--json").stdout)["upstreams"]
    }
    assert upstreams["data.activity"]["requests"] == minimum
    assert not (home / "workers.json").exists()
    assert not (home / "workers.sock").exists()


async def test_workers_share_one_budget_and_never_exceed_it(tmp_path: Path) -> None:
    universe = Universe(seed=5, wallets=120, fills=2_000)
    # 40 requests a second, counted by the server exactly as allowed: one more would be refused.
    server = SimServer(universe, scale=0.1, limit_window=1.0)
    with ServerThread(server):
        settings = fleetlab.settings_of(tmp_path, server, rate_scale=0.1)
        addresses = tuple(bytes.fromhex(wallet[2:]) for wallet in universe.wallets)
        with open_stores(settings) as stores:
            async with engine_session(settings, stores, NullReporter(), window=1.0, workers=4, hands=3) as engine:
                report = await engine.sync_wallets(WalletSelection(addresses=addresses))
        assert report.status == "ok", report.errors
        assert server.requests[fleetlab.LEDGER] >= 120 > 2 * server.limiter.limit_of(fleetlab.LEDGER)
        assert dict(server.throttled) == {}


async def test_a_refusal_of_one_worker_makes_all_of_them_wait(server: SimServer, new_home: Homes) -> None:
    server.faults.set([Fault(fleetlab.LEDGER, "status", status=429, after=20, times=1, retry_after="1")])
    home = new_home("refused")
    settings = fleetlab.settings_of(home, server)
    moments: list[tuple[float, int]] = []

    async def watch() -> None:
        while True:
            moments.append((time.monotonic(), server.requests[fleetlab.LEDGER]))
            await asyncio.sleep(0.05)

    with open_stores(settings) as stores:
        async with engine_session(settings, stores, NullReporter(), workers=3) as engine:
            watching = asyncio.create_task(watch())
            report = await engine.sync_wallets(WalletSelection(all=True))
            watching.cancel()
        assert report.status == "ok", report.errors
        noted = {one["name"]: one for one in stores.state.get_note("upstreams") or []}
    if noted:
        assert noted["data.activity"]["throttled"] == 1
    # The longest time without any request is the pause that one worker was asked for.
    arrivals = [now for (now, count), (_, before) in zip(moments[1:], moments, strict=False) if count > before]
    assert max(b - a for a, b in itertools.pairwise(arrivals)) >= 0.9


def test_a_worker_process_loads_no_store(server: SimServer, tmp_path: Path) -> None:
    code = (
        "import sys, polyhouse.fleet.__main__\n"
        "sys.exit(bool({'chdb', 'pyarrow', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=fleetlab.environment(tmp_path, server), check=False)
    assert done.returncode == 0


def test_a_signal_stops_owner_and_workers_at_the_next_page(
    server: SimServer, undisturbed: tuple[Content, int], new_home: Homes
) -> None:
    alone, minimum = undisturbed
    slowly(server)
    home = new_home("stopped")
    before = server.requests[fleetlab.LEDGER]
    owner = fleetlab.start(home, server, "sync", "wallets", "--all", "--workers", "3", "--no-metrics")
    fleetlab.wait_for(lambda: server.requests[fleetlab.LEDGER] - before > 30)
    workers = fleetlab.workers_of(owner.pid)
    assert len(workers) == 3
    owner.send_signal(signal.SIGTERM)
    assert owner.wait(30) == 128 + signal.SIGTERM
    fleetlab.wait_for(lambda: not any(worker.is_running() for worker in workers))
    fleetlab.run(home, server, "sync", "wallets", "--all", "--workers", "3", "--no-metrics")
    # Every page that was asked for was also committed: nothing is fetched twice.
    assert server.requests[fleetlab.LEDGER] - before == minimum
    assert fleetlab.look(home, fleetlab.VISIBLE) == fleetlab.ledger_of(alone)


def test_workers_come_and_go_and_no_page_is_fetched_twice(
    server: SimServer, undisturbed: tuple[Content, int], new_home: Homes
) -> None:
    _, minimum = undisturbed
    slowly(server, 0.1)
    home = new_home("rolling")
    before = server.requests[fleetlab.LEDGER]
    owner = fleetlab.start(home, server, "sync", "wallets", "--all", "--workers", "2", "--no-metrics")
    fleetlab.wait_for((home / "workers.json").exists)
    check_secrets(home, owner.pid)
    stays, leaves = (fleetlab.start(home, server, "worker") for _ in range(2))
    for more in (30, 60):  # one after the other, as in a rolling restart
        fleetlab.wait_for(lambda more=more: server.requests[fleetlab.LEDGER] - before > more)
        oldest = min(fleetlab.wait_for(lambda: fleetlab.workers_of(owner.pid)), key=lambda one: one.create_time())
        oldest.terminate()
    leaves.terminate()
    assert leaves.wait(30) == 128 + signal.SIGTERM
    biggest = 0
    while stays.poll() is None:
        for worker in (psutil.Process(stays.pid), *fleetlab.workers_of(owner.pid)):
            with contextlib.suppress(psutil.Error):
                biggest = max(biggest, worker.memory_info().rss)
                names = {Path(one.path).name for one in worker.memory_maps()}
                assert not [name for name in names if "chdb" in name or "arrow" in name], names
        time.sleep(0.05)
    assert (owner.wait(30), stays.returncode) == (0, 0)
    assert 0 < biggest < 150 * 2**20
    assert server.requests[fleetlab.LEDGER] - before == minimum
    text = (home / "log.txt").read_text()
    assert text.count("it is started again") == 2
    assert all(int(line.split()[3].replace(",", "")) > 0 for line in text.splitlines() if "worker: handed over" in line)
    assert text.count("worker: handed over") == 2


def check_secrets(home: Path, owner: int) -> None:
    """Nobody else may read the word or knock, and no list of processes shows it."""
    meeting = json.loads((home / "workers.json").read_text())
    assert stat.S_IMODE((home / "workers.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(meeting["socket"]).stat().st_mode) == 0o600
    for pid in (owner, *(worker.pid for worker in fleetlab.workers_of(owner))):
        for place in ("cmdline", "environ"):
            assert meeting["token"] not in Path(f"/proc/{pid}/{place}").read_text()


def test_without_an_owner_a_worker_says_what_to_do(server: SimServer, new_home: Homes) -> None:
    home = new_home("nobody")
    (home / "workers.json").write_text(
        json.dumps({"socket": str(home / "workers.sock"), "token": "0" * 64, "pid": os.getpid()})
    )
    text = fleetlab.run(home, server, "worker", codes=(3,)).stderr
    assert "No process that takes workers" in text
    assert "sync wallets --all --workers" in text


def test_where_both_stores_are_servers_it_opens_them_itself(server: SimServer, tmp_path: Path) -> None:
    urls = (
        "--warehouse",
        "clickhouse://default:secret@127.0.0.1:9/p",
        "--state",
        "postgresql://p:secret@127.0.0.1:9/p",
    )
    text = fleetlab.run(tmp_path, server, "worker", *urls, codes=(3,)).stderr
    assert "WAREHOUSE_UNAVAILABLE" in text
    assert "secret" not in text
