"""A store for the tests of one file; ``score_store.empty`` empties it between them."""

from collections.abc import Iterator

import pytest

from polyhouse.ports import Warehouse
from polyhouse.warehouse import open_warehouse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        yield opened


@pytest.fixture
def warehouse(shared: Warehouse) -> Warehouse:
    """The module's store, empty."""
    # The folder's conftest has put the helpers of the scores on the path.
    from score_store import empty

    empty(shared)
    return shared
