"""While all wallets are built, the engine merges nothing of what is written: it would copy each row several times."""

from __future__ import annotations

from contextlib import suppress

import pytest

from polyhouse.errors import PolyhouseError
from polyhouse.models import merging
from polyhouse.models.build import Build
from polyhouse.models.runner import build
from polyhouse.warehouse.store import ClickHouseWarehouse

PARTS = 3


def _parts_after_a_merge(warehouse: ClickHouseWarehouse, table: str) -> int:
    """How many parts are left when the engine was asked to make one of them."""
    with suppress(PolyhouseError):  # a merge that is not allowed is an error
        warehouse.command(f"OPTIMIZE TABLE {table} FINAL")
    sql = f"SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = '{table}'"
    return int(warehouse.query(sql).rows[0][0])


def _written_in_parts(warehouse: ClickHouseWarehouse, wallets: list[bytes] | None) -> Build:
    run = Build(warehouse, wallets)
    run.write_beside("units")
    for number in range(PARTS):
        run.warehouse.command(f"INSERT INTO units__next (wallet, unit) VALUES (toFixedString('{number}', 20), 'a')")
    return run


def test_merges_wait_until_a_build_of_all_is_published(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "LEAST_ROWS", 0)
    run = _written_in_parts(warehouse, None)
    assert _parts_after_a_merge(warehouse, "units__next") == PARTS
    run.put_in_place("units")
    assert _parts_after_a_merge(warehouse, "units") == 1
    run.drop_beside("units")
    build(warehouse)
    waiting = [table for table in ("positions", "units", "wallet_days") if _parts_after_a_merge(warehouse, table) != 1]
    assert waiting == []


def test_nothing_waits_in_builds_of_some_wallets_of_little_or_of_too_much(
    warehouse: ClickHouseWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for least, most, wallets in ((0, 10**9, [bytes(20)]), (10**8, 10**9, None), (0, 0, None)):
        monkeypatch.setattr(merging, "LEAST_ROWS", least)
        monkeypatch.setattr(merging, "MOST_ROWS", most)
        run = _written_in_parts(warehouse, wallets)
        assert _parts_after_a_merge(warehouse, "units__next") == 1
        run.drop_beside("units")
