"""Machines: processes that share nothing but a warehouse server and a state store on PostgreSQL."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from commands import in_process
from emptied_database import empty

import polyhouse
from polyhouse.sim.server import SimServer
from polyhouse.warehouse import open_warehouse

SOURCE = str(Path(polyhouse.__file__).parents[1])
WRONG_CLOCK = str(Path(__file__).with_name("wrong_clock"))
LEDGER = "data/v2/activity"
SHORT_LEASE_SECONDS = 5

TABLES: Mapping[str, str] = {
    "observations_current": "* EXCEPT (run, version)",
    "markets_current": "* EXCEPT version",
    "tokens_current": "token, condition, outcome, verified",
    "resolutions_current": "* EXCEPT version",
    **dict.fromkeys(
        ("ledger FINAL", "positions FINAL", "units FINAL", "wallet_totals FINAL", "wallet_scores_v1 FINAL",
         "wallet_days FINAL"),
        "* EXCEPT version",
    ),
}  # fmt: skip
CATALOGUE = {
    "schema_migrations", "markets", "events", "tokens", "neg_risk_markets", "resolutions", "market_states",
    "market_checks",
}  # fmt: skip
"""Tables that are filled before wallets are read."""
_numbers = itertools.count(1)
_prepared: dict[str, str] = {}
"""Endpoint → its database in which the markets are known. One test uses it at a time."""

Content = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Alone:
    """What one process with embedded stores made of the same Polymarket."""

    content: Content
    requests: int


def look(url: str) -> Content:
    """What a reader sees, as rows and a digest per table, whatever run wrote it."""
    with open_warehouse(url) as warehouse:
        content = {}
        for table, columns in TABLES.items():
            sql = f"SELECT count(), sum(cityHash64(*)) FROM (SELECT {columns} FROM {table})"
            content[table] = tuple(int(value or 0) for value in warehouse.query(sql).rows[0])
    return content


def wallets_file(folder: Path, sim: SimServer) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "wallets.txt"
    path.write_text("\n".join(sim.world.universe.wallets))
    return path


@dataclass
class Machine:
    """A home folder, and what is started in it."""

    home: Path
    sim: SimServer
    warehouse: str = ""
    state: str = ""
    lease_seconds: int = SHORT_LEASE_SECONDS
    wrong_by: int = 0
    """Seconds by which its clock is ahead."""

    def environment(self) -> dict[str, str]:
        path = f"{WRONG_CLOCK}{os.pathsep}{SOURCE}" if self.wrong_by else SOURCE
        return {
            **os.environ, "PYTHONPATH": path, "WRONG_BY": str(self.wrong_by), "POLYHOUSE_HOME": str(self.home),
            "POLYHOUSE_GAMMA_URL": self.sim.gamma_url, "POLYHOUSE_CLOB_URL": self.sim.clob_url,
            "POLYHOUSE_DATA_URL": self.sim.data_url, "POLYHOUSE_RATE_SCALE": "1000",
            "POLYHOUSE_WAREHOUSE": self.warehouse, "POLYHOUSE_STATE": self.state,
            "POLYHOUSE_LEASE_SECONDS": str(self.lease_seconds),
        }  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "polyhouse", *arguments], env=self.environment(), stdout=log, stderr=log
            )

    def log(self) -> str:
        return (self.home / "log.txt").read_text()

    def run(self, *arguments: str) -> str:
        """Run to the end, by this process's clock; returns what it printed."""
        self.home.mkdir(parents=True, exist_ok=True)
        ours = {name: value for name, value in self.environment().items() if name.startswith("POLYHOUSE_")}
        done = in_process(self.home, *arguments, **ours)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}: {done.stderr[-3000:]}"
        return done.stdout


@dataclass
class World:
    """Machines around one warehouse and one queue."""

    folder: Path
    sim: SimServer
    warehouse: str
    state: str
    _machines: itertools.count[int]

    def machine(self) -> Machine:
        return Machine(self.folder / f"machine-{next(self._machines)}", self.sim, self.warehouse, self.state)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the state store."""
        with psycopg.connect(self.state, autocommit=True, options="-c search_path=polyhouse") as connection:
            return connection.execute(sql).fetchall()

    def statuses(self) -> dict[str, int]:
        return dict(self.ask("SELECT status, count(*) FROM wallets GROUP BY status"))

    def completed_by_run(self) -> list[int]:
        """Wallets that each worker's run completed, for runs that ended."""
        rows = self.ask(
            "SELECT (counts::json ->> 'wallets_completed')::int FROM runs"
            " WHERE args LIKE '%until_empty%' AND status = 'ok'"
        )
        return [int(row[0] or 0) for row in rows]


def prepare(folder: Path, sim: SimServer, endpoint: str, state: str) -> World:
    """A database in which the markets are known, and wallets are queued; no ledger is read."""
    known = _prepared.get(endpoint)
    world = World(folder, sim, known or new_database(endpoint), state, itertools.count(1))
    machine = world.machine()
    if known:
        empty(known, CATALOGUE)
    else:
        machine.run("sync", "markets", "--no-metrics")
        _prepared[endpoint] = world.warehouse
    queue(machine, sim)
    return world


def new_database(endpoint: str) -> str:
    name = f"world_{next(_numbers)}"
    with open_warehouse(endpoint) as warehouse:
        warehouse.command(f"CREATE DATABASE {name} ENGINE = Atomic")
    return with_database(endpoint, name)


def with_database(endpoint: str, name: str) -> str:
    """The URL of another database at the endpoint."""
    return urlunsplit(urlsplit(endpoint)._replace(path="/" + name))


def queue(machine: Machine, sim: SimServer) -> None:
    from polyhouse.state import open_state

    url = machine.state or f"sqlite:///{machine.home / 'state.db'}"
    with open_state(url) as state:
        state.register_wallets([bytes.fromhex(wallet[2:]) for wallet in sim.world.universe.wallets], "file")


def read_alone(home: Path, sim: SimServer) -> Alone:
    machine = Machine(home, sim)
    machine.run("sync", "markets", "--no-metrics")
    queue(machine, sim)
    before = sim.requests[LEDGER]
    machine.run("sync", "wallets", "--all")
    return Alone(look(f"chdb://{home}/warehouse"), sim.requests[LEDGER] - before)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL, and the worker process that it had started is gone too."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(children, timeout=20)


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Until it is something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")
