"""A small store that is built again and again."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "scores"))

from score_store import load, universe_tables

from polyhouse.models.runner import build
from polyhouse.settings import Settings
from polyhouse.sim.universe import Universe
from polyhouse.wiring import Stores, open_stores


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def stores(settings: Settings) -> Iterator[Stores]:
    with open_stores(settings) as opened:
        load(opened.warehouse, universe_tables(Universe(seed=4, wallets=12, fills=200)))
        build(opened.warehouse)
        yield opened
