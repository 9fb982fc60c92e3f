"""One suite, unchanged, on every pair of stores: a whole run, what it wrote, what readers see, and running again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clickhouse_endpoint import running_cluster, running_endpoint
from emptied_database import empty

from polyhouse.cli.jobs import run_in_stores
from polyhouse.models.checks import run_checks
from polyhouse.reads.leaderboard import LeaderboardQuery, leaderboard
from polyhouse.reads.wallet import wallet as wallet_document
from polyhouse.settings import Settings
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.truth import Truth, compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.report import RunReport
from polyhouse.truth_check import compare
from polyhouse.wiring import Stores, open_stores

pytestmark = pytest.mark.timeout(300)  # a fixture starts servers and runs everything

PAIRS = ("chdb+sqlite", "chdb+postgresql", "clickhouse+sqlite", "clickhouse+postgresql", "cluster+postgresql")
_UNIVERSE = Universe(seed=12, wallets=16, fills=300)
_seen: dict[str, Any] = {}
"""Pair of stores → the documents that it gave."""


@dataclass(frozen=True)
class Loaded:
    """Stores after a run."""

    settings: Settings
    stores: Stores
    report: RunReport

    def again(self) -> RunReport:
        return run(self.settings, self.stores)


def run(settings: Settings, stores: Stores) -> RunReport:
    report, signal = run_in_stores(settings, stores, NullReporter(), lambda engine: engine.run(), concurrency=8)
    assert signal is None
    return report


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    server = SimServer(_UNIVERSE, enforce_limits=False)
    with ServerThread(server):
        yield server


@pytest.fixture(scope="module")
def truth() -> Truth:
    return compute_truth(_UNIVERSE.transactions(), _UNIVERSE.events, _UNIVERSE.neg_risk_markets)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_endpoint(tmp_path_factory.mktemp("server") / "store") as url:
        yield url


@pytest.fixture(scope="module", params=PAIRS)
def loaded(
    request: pytest.FixtureRequest, sim: SimServer, postgres_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("home")
    warehouse, state = request.param.split("+")
    urls = {"sqlite": f"sqlite:///{folder}/state.db"}
    if state == "postgresql":
        postgres_server.execute(f"CREATE DATABASE {warehouse}_matrix")
        urls["postgresql"] = postgres_server.url(f"{warehouse}_matrix")
    with _warehouse(warehouse, folder, request) as warehouse_url:
        settings = Settings(
            home=folder, warehouse=warehouse_url, state=urls[state], gamma_url=sim.gamma_url, clob_url=sim.clob_url,
            data_url=sim.data_url, rate_scale=50, publish="off",
        )  # fmt: skip
        with open_stores(settings) as stores:
            yield Loaded(settings, stores, run(settings, stores))
    if state == "postgresql":
        postgres_server.execute(f"DROP DATABASE {warehouse}_matrix WITH (FORCE)")


def _warehouse(kind: str, folder: Path, request: pytest.FixtureRequest) -> Any:
    if kind == "cluster":
        return running_cluster(folder / "nodes", 1)
    if kind == "clickhouse":
        url = request.getfixturevalue("server")
        empty(url)  # of what the pair before wrote
        return nullcontext(url)
    return nullcontext(f"chdb://{folder}/warehouse")


def test_a_run_reads_everything_and_agrees_with_the_truth(loaded: Loaded, truth: Truth) -> None:
    assert (loaded.report.status, loaded.report.errors) == ("ok", [])
    comparison = compare(loaded.stores.warehouse, truth)
    assert comparison.ok, comparison.differences
    assert comparison.compared > 10


def test_the_queue_knows_that_every_wallet_is_complete(loaded: Loaded) -> None:
    counts = loaded.stores.state.wallet_counts()
    assert counts["completed"] > 10
    assert sum(counts.values()) == counts["completed"]
    assert loaded.stores.state.claim_wallets(1) == []


def test_checks_find_nothing(loaded: Loaded) -> None:
    assert [result.name for result in run_checks(loaded.stores.warehouse) if not result.ok] == []


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """Without when its rows were read."""
    return {name: value for name, value in document.items() if name != "coverage_details"}


def test_readers_get_the_same_documents_from_every_pair(loaded: Loaded, request: pytest.FixtureRequest) -> None:
    warehouse = loaded.stores.warehouse
    found = {
        "leaderboard": leaderboard(warehouse, LeaderboardQuery(min_units=1, limit=50)),
        "wallets": [without_times(wallet_document(warehouse, one, sync=None)) for one in _UNIVERSE.wallets[:3]],
        "sql": warehouse.query_readonly(
            "SELECT category, count(), sum(volume) FROM vw_wallet_totals GROUP BY category ORDER BY category",
            max_rows=100, timeout_seconds=30,
        ).rows,
    }  # fmt: skip
    assert found["leaderboard"]["count"] > 0
    first = _seen.setdefault("documents", found)
    assert found == first


def test_running_again_changes_nothing(loaded: Loaded, truth: Truth) -> None:
    def rows() -> list[Any]:
        sql = (
            "SELECT (SELECT (count(), sum(cityHash64(* EXCEPT (run, version)))) FROM observations_current),"
            " (SELECT (count(), sum(cityHash64(* EXCEPT version))) FROM positions FINAL)"
        )
        return loaded.stores.warehouse.query(sql).rows

    before = rows()
    assert loaded.again().status == "ok"
    assert rows() == before
