"""A house on BigQuery: the simulated Polymarket, the product's own commands, the emulator, the official client."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from bigquery_emulator import running_emulator

from polyhouse.cli.app import run_command_line
from polyhouse.models.runner import build
from polyhouse.settings import load
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import WalletSelection
from polyhouse.warehouse.bigquery import BigQueryWarehouse, Limits
from polyhouse.warehouse.bigquery.client import BigQuery
from polyhouse.warehouse.bigquery.publish import Publication, Published, Publisher
from polyhouse.warehouse.bigquery.tracking import Tracking
from polyhouse.wiring import Stores, engine_session, open_stores

DATASET = "polymarket"
DAY = 86_400


@dataclass
class House:
    stores: Stores
    endpoint: str
    said: dict[str, Any] = field(default_factory=dict)
    second: Publication | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> None:
        """Keep the configuration of every query job that goes over the wire."""

        def keep(response: Any, *_: Any, **__: Any) -> None:
            if response.request.method == "POST" and response.request.url.partition("?")[0].endswith("/jobs"):
                configuration = json.loads(response.request.body)["configuration"]
                if "query" in configuration:
                    self.asked.append(configuration)

        self.remote._client._http.hooks["response"].append(keep)

    @property
    def warehouse(self) -> BigQueryWarehouse:
        assert isinstance(self.stores.warehouse, BigQueryWarehouse)
        return self.stores.warehouse

    @property
    def remote(self) -> BigQuery:
        return self.warehouse.remote

    @property
    def tracking(self) -> Tracking:
        return Tracking(self.warehouse)

    def ask(self, sql: str) -> list[tuple]:
        """Rows of BigQuery."""
        return self.remote.select(sql, max_rows=1_000_000, timeout_seconds=60)[0].rows

    def local(self, sql: str) -> list[tuple]:
        """Rows of the store that computes."""
        return self.warehouse.query(sql).rows

    def publish(self) -> dict[str, Published]:
        done = Publisher(self.tracking, self.remote, self.warehouse.next_version).publish()
        return {one.table: one for one in done.tables}

    def publisher(self, limits: Limits, now: float) -> Publisher:
        """Another publisher on the same stores, with its own limits and clock."""
        remote = BigQuery(self.remote.name, limits, clock=lambda: now)
        return Publisher(self.tracking, remote, self.warehouse.next_version, clock=lambda: now)


def say(*arguments: str) -> Any:
    """A command of the product, in this process; its JSON document."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run_command_line([*arguments, "--json"])
    assert code == 0, (arguments, code, out.getvalue())
    return json.loads(out.getvalue())


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with running_emulator() as address:
        yield address


@pytest.fixture(scope="module")
def house(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A store that was filled by the commands ``run`` and, two months later, by everybody's news; BigQuery followed."""
    server = SimServer(Universe(seed=7, wallets=16, fills=300, now_fraction=0.8), enforce_limits=False)
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, ServerThread(server) as upstream:
        for name, value in {
            "HOME": str(home), "WAREHOUSE": f"bigquery://test-project/{DATASET}", "BIGQUERY_ENDPOINT": endpoint,
            "BIGQUERY_MODELS_SECONDS": "0", "BIGQUERY_METRICS_SECONDS": "-1", "GAMMA_URL": f"{server.base_url}/gamma",
            "CLOB_URL": f"{server.base_url}/clob", "DATA_URL": f"{server.base_url}/data", "RATE_SCALE": "1000",
        }.items():  # fmt: skip
            patch.setenv(f"POLYHOUSE_{name}", value)
        said = {"run": say("run"), "board": say("leaderboard", "--min-trades", "1", "--min-units", "0")}
        said["trades"] = say("sql", "SELECT count(*) AS n, max(timestamp) AS newest FROM trades")
        said["wallet"] = say("wallet", said["board"]["rows"][0]["wallet"]) if said["board"]["rows"] else None
        patch.setenv("POLYHOUSE_BIGQUERY_METRICS_SECONDS", "0")  # they are left out at first, and then wanted
        settings = load().settings
        with open_stores(settings) as stores:
            opened = House(stores, endpoint, said)
            opened.listen()
            upstream.advance(60 * DAY)
            asyncio.run(_news(settings, stores))
            opened.second = stores.warehouse.publish()
            yield opened


async def _news(settings: Any, stores: Stores) -> None:
    async with engine_session(settings, stores, NullReporter(), concurrency=8) as engine:
        report = await engine.sync_wallets(WalletSelection(all=True, incremental=True))
    assert report.status == "ok", report.errors
    build(stores.warehouse, sorted({*report.touched, _open_positions(stores.warehouse)}))


def _open_positions(warehouse: Any) -> bytes:
    """A wallet splits in a market without a price and buys in one with a price; both stay open. Returns the wallet."""
    wallet, now = warehouse.query("SELECT min(wallet), toUInt32(max(ts)) FROM ledger FINAL").rows[0]
    (silent, priced), tokens = ([bytes([n]) * 32 for n in numbers] for numbers in ((0xA1, 0xA2), (1, 2, 3, 4)))
    warehouse.write(
        "tokens",
        {"token": tokens, "condition": [silent, silent, priced, priced], "outcome": [0, 1, 0, 1],
         "verified": [True] * 4, "source": ["gamma"] * 4},
        run=9, token="open",
    )  # fmt: skip
    warehouse.write(
        "observations",
        {"wallet": [wallet] * 2, "token": [bytes(32), tokens[2]], "condition": [silent, priced],
         "tx": [b"\xb1" * 32, b"\xb2" * 32], "source": ["activity"] * 2, "kind": ["SPLIT", "BUY"],
         "ts": [now - 60, now], "shares": [5_000_000, 7_000_000], "cash": [5_000_000, 2_800_000],
         "shares_gross": [5_000_000, 7_000_000], "usdc_gross": [5_000_000, 2_800_000], "outcome": [999, 0]},
        run=9, token="open",
    )  # fmt: skip
    return bytes(wallet)
