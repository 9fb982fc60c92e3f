"""A store with a few wallets made by hand, and a PostgreSQL database to publish it in."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from published_store import build_by_hand, load, registered

from polyhouse.publish import Target
from polyhouse.warehouse import open_warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Two wallets: one that won 60 dollars, one that lost 40."""
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        now = time.time_ns
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(time, "time_ns", lambda: now() - 3_600 * 10**9)  # read an hour ago
            load(opened, registered(1, 2))
        build_by_hand(opened)
        yield opened


@pytest.fixture
def target(postgres_url):
    opened = Target(postgres_url, "polymarket", lock_seconds=1)
    yield opened
    opened.close()


@pytest.fixture
def ask(postgres_server, postgres_url):
    """Ask the database, as an application would."""
    name = postgres_url.rsplit("/", 1)[1]
    return lambda sql: postgres_server.execute(sql, name)
