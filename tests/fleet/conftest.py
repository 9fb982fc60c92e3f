"""One simulated Polymarket and one prepared home for all tests of worker processes."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fleetlab = load("fleetlab")
load("kills")


@pytest.fixture(scope="session")
def server() -> Iterator[SimServer]:
    server = SimServer(Universe(seed=3, wallets=120, fills=4_000), enforce_limits=False)
    with ServerThread(server):
        yield server


@pytest.fixture(scope="session")
def prepared(server: SimServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("prepared") / "home"
    fleetlab.prepare(home, server)
    return home


@pytest.fixture
def new_home(prepared: Path, tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        return Path(shutil.copytree(prepared, tmp_path / name, symlinks=True))

    return make


@pytest.fixture(scope="session")
def undisturbed(
    server: SimServer, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, tuple[int, ...]], int]:
    """What one process makes of the ledgers and the models, and the requests it takes."""
    home = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("one") / "home", symlinks=True))
    before = server.requests[fleetlab.LEDGER]
    fleetlab.run(home, server, "sync", "wallets", "--all")
    return fleetlab.look(home, fleetlab.VISIBLE | fleetlab.MODELS), server.requests[fleetlab.LEDGER] - before
