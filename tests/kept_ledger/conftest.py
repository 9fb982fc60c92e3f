"""One store for the tests of this folder, filled as those of the scores are."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "scores"))

from polyhouse.warehouse import open_warehouse
from polyhouse.warehouse.store import ClickHouseWarehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened
