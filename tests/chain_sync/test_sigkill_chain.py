"""SIGKILL of a real `polyhouse sync chain` at named places and random times, then again: identical tables."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_world import RAW, dump, universe

import polyhouse
from polyhouse.sim.rpc_api import RpcEndpoint
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.warehouse import open_warehouse

SOURCE = Path(polyhouse.__file__).parents[1]
TABLES = RAW | {"coverage": "contract_group, from_block, to_block, rows, digest, to_hash, finality"}
WITHOUT_CUTS = {name: columns for name, columns in TABLES.items() if name != "coverage"}


@pytest.fixture(scope="module")
def server() -> Iterator[SimServer]:
    endpoint = RpcEndpoint("rpc", max_range=20_000_000, max_results=150, max_batch=200)
    simulated = SimServer(universe(wallets=10, fills=150), enforce_limits=False, endpoints=[endpoint])
    with ServerThread(simulated):
        yield simulated


def run(home: Path, server: SimServer, *arguments: str, kill_ms: int = 0, **environment: str) -> int:
    """One process life; returns its exit code (negative = the signal that ended it)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "polyhouse", "--home", str(home), *arguments],
        env={
            **os.environ, "PYTHONPATH": str(SOURCE), "POLYHOUSE_RPC_URL": ",".join(server.rpc_urls),
            "POLYHOUSE_RPC_RANGE": "5000000", "POLYHOUSE_RPC_LIMIT": "100000", "POLYHOUSE_RATE_SCALE": "1",
            **environment,
        },
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        out, errors = process.communicate(timeout=kill_ms / 1000 if kill_ms else 100)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, out + errors[-2000:]
    return process.returncode


def look(home: Path, tables: dict[str, str]) -> dict[str, Any]:
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse:
        return dump(warehouse, tables)


def test_killed_anywhere_and_started_again(server: SimServer, tmp_path: Path) -> None:
    sync = ("sync", "chain", "--no-metrics", "--workers", "2")
    assert run(tmp_path / "whole", server, *sync) == 0
    home = tmp_path / "killed"
    codes = [run(home, server, *sync, POLYHOUSE_FAILPOINT=place) for place in ("K6:2", "K10")]
    moments = random.Random(20261121)
    codes.append(run(home, server, *sync, kill_ms=moments.randrange(900, 1_500)))
    assert codes.count(-signal.SIGKILL) >= 2
    assert run(home, server, *sync) == 0
    whole = look(tmp_path / "whole", WITHOUT_CUTS)
    assert whole["observations"]
    assert whole["tokens"]
    for table, rows in look(home, WITHOUT_CUTS).items():
        assert rows == whole[table], table


def test_check_finds_holes_and_heals_only_them(server: SimServer, tmp_path: Path) -> None:
    start = sum(server.requests.values())
    assert run(tmp_path, server, "sync", "chain", "--no-metrics") == 0
    whole = sum(server.requests.values()) - start
    before = look(tmp_path, TABLES)
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:
        first, last = warehouse.query(
            "SELECT from_block, to_block FROM coverage FINAL WHERE contract_group = 'ledger' AND rows > 0"
            " ORDER BY rows DESC LIMIT 1"
        ).rows[0]
        block = {"a": first, "b": last}
        for table, column in (("coverage", "to_block"), ("chain_logs", "block"), ("observations", "block")):
            group = "contract_group = 'ledger' AND " if table == "coverage" else ""
            where = f"{group}{column} BETWEEN {{a:UInt32}} AND {{b:UInt32}}"
            assert warehouse.query(f"SELECT count() FROM {table} WHERE {where}", block).rows[0][0]
            warehouse.command(f"DELETE FROM {table} WHERE {where}", block)
    asked = sum(server.requests.values())
    assert run(tmp_path, server, "check", "--heal") == 0
    spent = sum(server.requests.values()) - asked
    assert look(tmp_path, WITHOUT_CUTS) == {name: rows for name, rows in before.items() if name != "coverage"}
    assert spent < whole / 2, "healing read more than the hole"
