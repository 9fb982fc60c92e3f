"""Homes, commands and figures for the tests of worker processes. Also used by ``kills.py``, outside of pytest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

import polyhouse
from polyhouse.settings import Settings
from polyhouse.sim.server import SimServer
from polyhouse.sync.progress import NullReporter
from polyhouse.warehouse import open_warehouse

SOURCE = str(Path(polyhouse.__file__).parents[1])
LEDGER = "data/v2/activity"

VISIBLE = {
    "observations_current": "* EXCEPT (run, version)",
    "markets_current": "* EXCEPT version",
    "tokens_current": "token, condition, outcome, verified",
    "resolutions_current": "* EXCEPT version",
}
MODELS = dict.fromkeys(("ledger FINAL", "positions FINAL", "units FINAL", "wallet_totals FINAL"), "* EXCEPT version")


def settings_of(home: Path, server: SimServer, rate_scale: float = 1_000.0) -> Settings:
    return Settings(
        home=home, gamma_url=server.gamma_url, clob_url=server.clob_url, data_url=server.data_url, rate_scale=rate_scale
    )


def environment(home: Path, server: SimServer, **more: str) -> dict[str, str]:
    return {
        **os.environ, "PYTHONPATH": SOURCE, "POLYHOUSE_HOME": str(home), "POLYHOUSE_GAMMA_URL": server.gamma_url,
        "POLYHOUSE_CLOB_URL": server.clob_url, "POLYHOUSE_DATA_URL": server.data_url, "POLYHOUSE_RATE_SCALE": "1000",
        **more,
    }  # fmt: skip


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "polyhouse", *arguments]


def start(home: Path, server: SimServer, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
    log = (home / "log.txt").open("ab")
    return subprocess.Popen(
        command(*arguments), env=environment(home, server, **more), stdout=log, stderr=subprocess.STDOUT
    )


def run(
    home: Path, server: SimServer, *arguments: str, codes: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments), env=environment(home, server), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in codes, f"{arguments} ended with {done.returncode}: {done.stderr[-3000:]}"
    return done


def look(home: Path, tables: dict[str, str]) -> dict[str, tuple[int, ...]]:
    """What a reader sees, as rows and a digest per table, whatever run wrote it."""
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        content = {}
        for table, columns in tables.items():
            sql = f"SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {table})"
            content[table] = tuple(int(value) for value in warehouse.query(sql).rows[0])
    return content


def prepare(home: Path, server: SimServer) -> None:
    """Markets are known and wallets are queued; no ledger is read yet."""
    home.mkdir()
    asyncio.run(_prepare(home, server))


async def _prepare(home: Path, server: SimServer) -> None:
    from polyhouse.wiring import engine_session, open_stores

    settings = settings_of(home, server)
    with open_stores(settings) as stores:
        async with engine_session(settings, stores, NullReporter()) as engine:
            assert (await engine.sync_markets()).status in {"ok", "partial"}
        stores.state.register_wallets((bytes.fromhex(w[2:]) for w in server.world.universe.wallets), "file")


def workers_of(owner: int) -> list[psutil.Process]:
    """The worker processes that the owner started."""
    with contextlib.suppress(psutil.Error):
        return [child for child in psutil.Process(owner).children() if "polyhouse.fleet" in " ".join(child.cmdline())]
    return []


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Until it is something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def kill(*pids: int) -> int:
    """SIGKILL; how many were still there."""
    killed = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def ledger_of(content: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """What does not depend on models."""
    return {table: figures for table, figures in content.items() if table in VISIBLE}
