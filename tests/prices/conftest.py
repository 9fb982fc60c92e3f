"""One store for the tests of this folder, and the helpers of the tests of scores."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scores"))

from score_store import empty

from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


@pytest.fixture
def warehouse(shared: Warehouse) -> Warehouse:
    """The module's store, empty."""
    empty(shared)
    return shared
