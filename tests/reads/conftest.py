"""A store in which one wallet won in one market and lost in another."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "scores"))

from score_store import columns, fill, load, market_tables, resolution

from polyhouse.models.runner import build
from polyhouse.warehouse import ClickHouseWarehouse, open_warehouse


@pytest.fixture(scope="module")
def winner_and_loser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseWarehouse]:
    with open_warehouse(f"chdb://{tmp_path_factory.mktemp('store')}/warehouse") as opened:
        rows = [fill(0xA1, 1, 10, 400), fill(0xA1, 2, 10, 500, kind="SELL"), fill(0xA1, 1, 10, 400, market=2)]
        lost = resolution(rows[0]["ts"] + 90_000, (0, 1), market=2)
        load(opened, {**market_tables(1, 2), "observations": columns(rows), "resolutions": lost})
        build(opened)
        yield opened
