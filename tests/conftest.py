"""What tests of several areas share: a real PostgreSQL server, and new stores that are migrated already.

One server per test process (and so per pytest-xdist worker), started at its first use, stopped at the end. Each test
gets a database of its own.
"""

from __future__ import annotations

import gc
import itertools
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from accounting_builds import accounting_builds
from memory_folder import use_memory
from migrated_stores import MigratedStores
from postgres_server import running_server

use_memory()
_numbers = itertools.count(1)
_stores = pytest.StashKey[MigratedStores]()
_SCHEMA_TESTS = "warehouse"
"""The folder of the tests for which stores are made as users make them."""
_LONGEST = {
    "dashboard/test_dashboard_in_a_browser.py", "chain_sync/test_every_depth.py", "machines/test_machines.py",
    "matrix/test_every_store.py", "publication/test_readers_during_builds.py", "jobs/test_live_server.py",
    "cluster/test_shards_equal_one_engine.py", "crash/test_sigkill.py", "fleet/test_workers.py",
    "bigquery/test_bigquery_warehouse.py", "as_of/test_as_of_universes.py", "history/test_live.py",
    "process/test_process_queue.py", "faults/test_fault_schedules.py",
}  # fmt: skip
"""Files of a minute and more."""


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """While four thousand tests are collected nothing becomes garbage, and looking for it costs a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """The longest files begin first: whoever takes one last lets the other processes wait for it."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).as_posix() not in _LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session):
    """The loop runs with copies of one migrated store for new ones."""
    with TemporaryDirectory() as folder:
        stores = session.config.stash[_stores] = MigratedStores(Path(folder))
        with stores.in_use():
            return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Fixtures of any scope that this test is the first to need follow its rule; no command's logging is left."""
    item.config.stash[_stores].is_used = item.path.parent.name != _SCHEMA_TESTS
    logger = logging.getLogger("polyhouse")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture(scope="session")
def postgres_server():
    """A running server. A test that stops it starts it again."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a fresh, empty database that goes away after the test."""
    name = f"test_{next(_numbers)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def accounts_only():
    """For ``pytestmark`` of files that look at no statistics: they are not built."""
    with accounting_builds():
        yield
