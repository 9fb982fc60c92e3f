"""A store with few fills, built once, for the tests of what builds cost and of coverage."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "scores"))

from score_store import load, universe_tables

from polyhouse.models.runner import build
from polyhouse.sim.universe import Universe
from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.store import ClickHouseWarehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        load(opened, universe_tables(Universe(seed=4, wallets=40, fills=900)))
        build(opened)
        yield opened
