"""Installations that are small enough to be made, moved and looked at many times."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polyhouse
from polyhouse.state import open_state
from polyhouse.state.schema import metadata
from polyhouse.warehouse import open_warehouse

SOURCE = str(Path(polyhouse.__file__).parents[1])
NOW = 1_780_000_000


@dataclass(frozen=True)
class Home:
    """Both stores, embedded unless they are given."""

    folder: Path
    server: str = ""
    database: str = ""

    @property
    def warehouse(self) -> str:
        return self.server or f"chdb://{self.folder}/warehouse"

    @property
    def state(self) -> str:
        return self.database or f"sqlite:///{self.folder}/state.db"

    def run(self, *arguments: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
        """The command line, in a process of its own."""
        environment = {
            **os.environ, "PYTHONPATH": SOURCE, "POLYHOUSE_HOME": str(self.folder), "POLYHOUSE_FAILPOINT": failpoint,
            "POLYHOUSE_WAREHOUSE": self.warehouse, "POLYHOUSE_STATE": self.state,
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "polyhouse", *arguments],
            env=environment, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip


def observations(*wallets: int) -> dict[str, list]:
    count = len(wallets)
    return {
        "wallet": [bytes([wallet]) * 20 for wallet in wallets], "token": [bytes([7]) * 32] * count,
        "tx": [bytes([wallet]) * 32 for wallet in wallets], "source": ["activity"] * count, "kind": ["BUY"] * count,
        "ts": [NOW + wallet for wallet in wallets], "shares": [5] * count, "cash": [-2] * count,
    }  # fmt: skip


def fill_stores(home: Home, *wallets: int) -> None:
    """Rows in both stores; the state store's clock is that of ``NOW``."""
    with open_warehouse(home.warehouse) as warehouse:
        warehouse.write("observations", observations(*wallets), run=1, token=str(wallets))
    with open_state(home.state, now=lambda: float(NOW)) as state:
        state.register_wallets([bytes([wallet]) * 20 for wallet in wallets], "file")
        state.finish_run(state.start_run("sync wallets", {"wallets": list(wallets)}), "ok", {}, "")


def wallets_of(home: Home) -> list[int]:
    """Who is in the warehouse; and the registry says the same."""
    with open_warehouse(home.warehouse) as warehouse:
        rows = warehouse.query("SELECT wallet FROM observations_current ORDER BY wallet").rows
    stored = [wallet[0] for (wallet,) in rows]
    with open_state(home.state) as state:
        known = state.known_wallets([bytes([wallet]) * 20 for wallet in range(1, 20)])
    assert sorted(wallet[0] for wallet in known) == stored
    return stored


def state_rows(url: str) -> dict[str, list]:
    """Everything in a state store."""
    from polyhouse.move.state_rows import opened

    with opened(url) as engine, engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }
