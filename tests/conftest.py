"""What tests of several areas share: a real PostgreSQL server, and new stores that are migrated already.

One server per test process (and so per pytest-xdist worker), started at its first use, stopped at the end. Each test
gets a database of its own.
"""

from __future__ import annotations

import itertools
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from migrated_stores import MigratedStores
from postgres_server import running_server

_numbers = itertools.count(1)
_stores = pytest.StashKey[MigratedStores]()
_SCHEMA_TESTS = "warehouse"
"""The folder of the tests for which stores are made as users make them."""


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
