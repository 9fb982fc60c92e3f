"""One simulated Polymarket, one warehouse server and one queue for all machines of a test."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from clickhouse_endpoint import running_endpoint


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


machinelab = load("machinelab")
load("relay")


@pytest.fixture(scope="session")
def sim() -> Iterator[SimServer]:
    server = SimServer(Universe(seed=11, wallets=60, fills=1_500), enforce_limits=False)
    with ServerThread(server):
        yield server


@pytest.fixture(autouse=True)
def no_faults(sim: SimServer) -> None:
    sim.faults.set([])


@pytest.fixture(scope="session")
def alone(sim: SimServer, tmp_path_factory: pytest.TempPathFactory) -> machinelab.Alone:
    """What one process makes of it with embedded stores, and the requests that takes."""
    return machinelab.read_alone(tmp_path_factory.mktemp("alone") / "home", sim)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_endpoint(tmp_path_factory.mktemp("server") / "store") as url:
        yield url


@pytest.fixture
def new_world(sim: SimServer, endpoint: str, postgres_url: str, tmp_path: Path) -> Callable[[], machinelab.World]:
    """Stores on servers in which the markets are known, the wallets are queued and no ledger is read yet."""
    return lambda: machinelab.prepare(tmp_path, sim, endpoint, postgres_url)
