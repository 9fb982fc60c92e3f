"""A real store in a fresh folder, and rows for it."""

from __future__ import annotations

import pytest

from polyhouse.warehouse import open_warehouse


@pytest.fixture
def url(tmp_path):
    """A store of this test alone."""
    return f"chdb://{tmp_path}/store"


@pytest.fixture(scope="module")
def shared_warehouse(tmp_path_factory):
    """Making a store takes half a second, so the tests of a file share one."""
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('warehouse')}/store") as opened:
        yield opened


@pytest.fixture
def warehouse(shared_warehouse):
    """The shared store, empty."""
    shared_warehouse.command("SYSTEM START MERGES")
    filled = shared_warehouse.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0"
        " AND name != 'schema_migrations'"
    )
    for (name,) in filled.rows:
        shared_warehouse.command(f"TRUNCATE TABLE {name}")
    return shared_warehouse


@pytest.fixture
def fills():
    """Makes a batch of observations; every row differs in wallet and transaction."""

    def make(count=3, first=0, **columns):
        numbers = range(first, first + count)
        batch = {
            "wallet": [n.to_bytes(20, "big") for n in numbers],
            "token": [b"\xf1" * 32] * count,
            "condition": [b"\xff" * 32] * count,
            "tx": [n.to_bytes(32, "big") for n in numbers],
            "source": ["activity"] * count,
            "kind": ["BUY"] * count,
            "ts": [1_700_000_000 + n for n in numbers],
            "shares": [12_500_000] * count,
            "cash": [1] * count,
        }
        return batch | columns

    return make
