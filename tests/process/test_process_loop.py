"""Continuous mode: waits, discovers, survives outages, and stops at a signal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyhouse.sim.faults import Fault
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.state import open_state
from polyhouse.sync.process import ProcessOptions
from polyhouse.sync.process_loop import DISCOVERED_NOTE, LoopOptions, ProcessLoop

READ_ONLY = ProcessOptions(metrics=False)


class Impatient:
    """The test's calendar; a wait moves it on instead of passing."""

    def __init__(self, calendar) -> None:
        self._calendar = calendar
        self.waits: list[float] = []
        self.after = {}

    def time(self) -> float:
        return self._calendar.time()

    def monotonic(self) -> float:
        return self._calendar.monotonic()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._calendar.extra += seconds
        self.after.get(len(self.waits), lambda: None)()
        await asyncio.sleep(0)


async def test_it_waits_until_somebody_is_due_and_reads_again(lab):
    async with lab.filled() as s:
        said: list[str] = []
        clock = Impatient(s.calendar)
        clock.after = {9: s.engine.stop.set}
        loop = ProcessLoop(s.engine, s.state, clock, READ_ONLY, LoopOptions(discover=0, look=3_000), said.append)
        report = await loop.run()
        wallets = len(s.state.wallet_addresses())
        # 3,000 s at most between two looks, and everybody again after six hours
        assert clock.waits[:8] == [3_000] * 7 + [600]
        assert report.counts["wallets_completed"] == 2 * wallets
        assert (report.status, report.exit_code) == ("interrupted", 130)
        assert sum("queue empty; the next wallet is due at" in line for line in said) == 9


async def test_it_discovers_when_it_is_time_and_reads_who_is_new(lab):
    async with lab.session() as s:
        clock = Impatient(s.calendar)
        clock.after = {1: s.engine.stop.set}
        said: list[str] = []
        loop = ProcessLoop(s.engine, s.state, clock, READ_ONLY, LoopOptions(discover=3600), said.append)
        report = await loop.run()
        assert said[0].startswith("discovery: ok")
        assert report.counts["wallets_taken"] == len(s.state.wallet_addresses()) > 0
        assert s.state.get_note(DISCOVERED_NOTE) == lab.server.world.now
        s.engine.stop.clear()
        said.clear()
        clock.after = {2: s.engine.stop.set}
        await ProcessLoop(s.engine, s.state, clock, READ_ONLY, LoopOptions(discover=3600), said.append).run()
        assert not [line for line in said if "discovery" in line]  # ten minutes later: not yet


async def test_an_outage_is_waited_out_longer_each_time(lab):
    async with lab.filled(concurrency=4) as s:
        lab.server.faults.set([Fault("data/*", "status", status=503)])
        clock = Impatient(s.calendar)
        clock.after = {5: lambda: lab.server.faults.set(()), 6: s.engine.stop.set}
        loop = ProcessLoop(s.engine, s.state, clock, READ_ONLY, LoopOptions(discover=0, outage=30, look=200))
        await loop.run()
        assert clock.waits[:5] == [30, 60, 120, 200, 200]
        assert s.state.wallet_counts()["completed"] == len(s.state.wallet_addresses())
        assert not s.state.wallet_addresses("failed")


async def test_the_bound_holds_over_all_passes(lab):
    async with lab.filled() as s:
        options = ProcessOptions(metrics=False, max_wallets=4)
        report = await ProcessLoop(s.engine, s.state, Impatient(s.calendar), options, LoopOptions(discover=0)).run()
        assert report.counts["wallets_taken"] == 4


@contextmanager
def upstream() -> Iterator[dict[str, str]]:
    server = SimServer(Universe(seed=3, wallets=8, fills=60), enforce_limits=False)
    with ServerThread(server) as thread:
        urls = thread.server
        yield os.environ | {
            "POLYHOUSE_GAMMA_URL": urls.gamma_url, "POLYHOUSE_CLOB_URL": urls.clob_url,
            "POLYHOUSE_DATA_URL": urls.data_url, "POLYHOUSE_RATE_SCALE": "1000", "POLYHOUSE_LOG_FORMAT": "console",
        }  # fmt: skip


def test_sigterm_ends_the_command_cleanly_and_the_queue_is_whole(tmp_path: Path):
    with upstream() as environment:
        base = [sys.executable, "-m", "polyhouse", "--home", str(tmp_path)]
        arguments = ["process", "--continuous", "--look-seconds", "0.2", "--json"]
        child = subprocess.Popen(
            [*base, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines: list[str] = []
        is_idle = threading.Event()

        def listen() -> None:
            for line in child.stderr:
                lines.append(line)
                if "queue empty; the next wallet is due at" in line:
                    is_idle.set()

        reader = threading.Thread(target=listen)
        reader.start()
        try:
            assert is_idle.wait(90), "".join(lines)
            child.send_signal(signal.SIGTERM)
            printed = child.stdout.read()
            assert child.wait(30) == 128 + signal.SIGTERM, "".join(lines)
        finally:
            child.kill()
            child.wait()
            reader.join()
            child.stdout.close()
            child.stderr.close()
        document = json.loads(printed)
        assert (document["status"], document["queue"]["empty"]) == ("interrupted", True)
        with open_state(f"sqlite:///{tmp_path}/state.db") as state:
            counts = state.wallet_counts()
            assert counts["syncing"] == counts["pending"] == 0
            assert counts["completed"] == document["counts"]["wallets_completed"] > 0
            assert state.unfinished_runs() == []
