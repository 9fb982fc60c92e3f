"""Lets the tests of this folder share their helpers, those of the scores, and one store a file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "scores")]

from score_store import empty

from polyhouse.models.metric_tables import prepare_metric_tables
from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        prepare_metric_tables(opened)
        yield opened


@pytest.fixture
def warehouse(shared: Warehouse) -> Warehouse:
    """The module's store, empty."""
    empty(shared)
    return shared
