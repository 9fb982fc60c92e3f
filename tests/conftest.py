"""What tests of several areas share: a real PostgreSQL server.

One server per test process (and so per pytest-xdist worker), started at its first use, stopped at the end. Each test
gets a database of its own.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from postgres_server import running_server

_numbers = itertools.count(1)


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
