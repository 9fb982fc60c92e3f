"""progress.json and ``status``: while a run goes on, after it, and after its process was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from polyhouse.reads.progress_file import read_progress
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sources.http import SystemClock
from polyhouse.sync.checkpoint_file import CheckpointFile, replace_file
from polyhouse.sync.progress import NullReporter, Traffic

KEYS = {
    "run", "command", "pid", "host", "state", "status", "phase", "unit", "total", "completed", "failed", "empty",
    "percent", "trades", "rows", "started_at", "updated_at", "eta_seconds", "ends_at", "requests",
    "requests_per_second", "limit_per_second", "route", "last_wallet",
}  # fmt: skip
CONTRACT = {"wallets", "trades", "markets", "unmapped_tokens", "last_run", "upstreams"}


def content_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes()) if path.exists() else {}


async def wait_for(path: Path, **expected: Any) -> dict[str, Any]:
    while True:
        document = content_of(path)
        if all(document.get(name) == value for name, value in expected.items()):
            return document
        await asyncio.sleep(0.05)


async def test_the_file_follows_a_run_and_says_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "home" / "progress.json"
    traffic = Traffic(640, "data.activity", 31.25, 32.0)
    async with CheckpointFile(path.parent, NullReporter(), lambda: traffic, SystemClock()) as file:
        file.begin(7, "sync wallets")
        file.phase("wallets", 6605, "wallets")
        file.advance(1490, rows=120_000, trades=110_342, empty=12)
        file.advance(33, failed=33)
        file.wallet(b"\x01" * 20)
        running = await wait_for(path, completed=1490)
        file.finish()
        file.phase("tokens", 100, "tokens")  # what follows the wallets does not replace their figures
        file.advance(50)
        file.end("partial")
    ended = json.loads(path.read_bytes())
    assert set(running) == set(ended) == KEYS
    assert (running["state"], running["total"], running["failed"], running["percent"]) == ("running", 6605, 33, 23)
    assert (running["empty"], running["trades"], running["rows"]) == (12, 110_342, 120_000)
    assert (running["requests"], running["requests_per_second"], running["limit_per_second"]) == (640, 31.2, 32.0)
    assert running["last_wallet"] == "0x" + "01" * 20
    assert running["eta_seconds"] >= 0
    assert running["ends_at"] >= running["updated_at"] >= running["started_at"]
    assert (ended["state"], ended["status"], ended["completed"], ended["total"]) == ("done", "partial", 1490, 6605)
    assert ended["eta_seconds"] is None
    assert [one.name for one in path.parent.iterdir()] == ["progress.json"]


@pytest.mark.parametrize(("status", "state"), [("failed", "failed"), ("interrupted", "interrupted"), ("ok", "done")])
async def test_the_end_is_told(tmp_path: Path, status: Any, state: str) -> None:
    async with CheckpointFile(tmp_path, NullReporter(), Traffic, SystemClock()) as file:
        file.begin(1, "run")
        file.end(status)
    assert read_progress(tmp_path)["state"] == state


async def test_a_dry_run_leaves_no_file_and_an_unwritable_folder_does_not_end_a_run(tmp_path: Path) -> None:
    async with CheckpointFile(tmp_path, NullReporter(), Traffic, SystemClock()):
        pass
    assert read_progress(tmp_path) is None
    (tmp_path / "file").write_text("not a folder")
    notes: list[str] = []
    reporter = NullReporter()
    reporter.note = notes.append  # type: ignore[method-assign]
    async with CheckpointFile(tmp_path / "file", reporter, Traffic, SystemClock()) as file:
        file.begin(1, "run")
        file.end("ok")
    assert len(notes) == 1
    assert "cannot be written" in notes[0]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    replace_file(path, b"0" * 50_000)
    done = threading.Event()
    torn: list[int] = []

    def read() -> None:
        while not done.is_set():
            content = path.read_bytes()
            if len(content) != 50_000 or len(set(content)) != 1:
                torn.append(len(content))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        replace_file(path, str(number % 10).encode() * 50_000)
    done.set()
    reader.join()
    assert torn == []


class Command:
    """The command line as a user calls it, against one simulated upstream."""

    def __init__(self, home: Path, server: SimServer) -> None:
        self.home = home
        self.environment = os.environ | {
            "POLYHOUSE_HOME": str(home),
            "POLYHOUSE_GAMMA_URL": server.gamma_url,
            "POLYHOUSE_CLOB_URL": server.clob_url,
            "POLYHOUSE_DATA_URL": server.data_url,
            "POLYHOUSE_RATE_SCALE": "0.05",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polyhouse", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=100)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "polyhouse", *arguments]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def progress(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """What the file says once this process has finished a wallet."""
        while process.poll() is None:
            document = read_progress(self.home)
            if document is not None and document["pid"] == process.pid and document["completed"]:
                return document
            time.sleep(0.1)
        raise AssertionError(process.communicate()[1])


def test_status_shows_a_running_job_and_a_killed_one(tmp_path: Path) -> None:
    universe = Universe(seed=3, wallets=120, fills=1_200)
    with ServerThread(SimServer(universe, enforce_limits=False)) as thread:
        command = Command(tmp_path / "home", thread.server)
        file = tmp_path / "wallets.txt"
        file.write_text("\n".join(universe.wallets) + "\n")
        sync = ("sync", "wallets", "--file", str(file), "--no-metrics")

        with command.started(*sync) as process:  # 20 requests in ten seconds: it takes a minute
            seen = command.progress(process)
            assert (seen["state"], seen["total"], seen["command"]) == ("running", 120, "sync wallets")
            answer = command.run("status", "--json")
            assert answer.returncode == 0, answer.stderr
            document = json.loads(answer.stdout)
            assert set(document) >= CONTRACT
            assert document["progress"]["state"] == "running"
            assert document["progress"]["completed"] >= seen["completed"]
            assert document["last_run"]["status"] == "running"
            assert sum(document["wallets"].values()) == 120
            assert document["trades"] is None  # no job ended yet
            shown = command.run("status").stdout
            assert f"/{seen['total']} (" in shown
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert read_progress(command.home)["state"] == "killed"
        answer = json.loads(command.run("status", "--json").stdout)
        assert answer["progress"]["state"] == "killed"
        assert answer["trades"] == 0

        with command.started(*sync) as process:
            command.progress(process)
            process.send_signal(signal.SIGINT)
            _, talk = process.communicate(timeout=60)
            assert process.returncode == 130, talk
        assert read_progress(command.home)["state"] == "interrupted"
        assert thread.server.requests["data/v2/activity"] < 120
