"""A store with a few wallets made by hand, and a PostgreSQL database to publish it in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "scores"))

from published_store import SEEN, registered, rows
from score_store import fill, load, market_tables, resolution

from polyhouse.models.runner import build
from polyhouse.publish import Target
from polyhouse.warehouse import open_warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Two wallets: one that won 60 dollars, one that lost 40; both are read and built."""
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        trades = [fill(1, 1, 100, 4_000), fill(2, 1, 100, 4_000, outcome=1)]
        tables = market_tables() | registered(1, 2) | {"observations": rows(trades)}
        load(opened, tables | {"resolutions": resolution(SEEN + 100_000, (1, 0))})
        build(opened)
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
