"""Models as of a moment: equal to a store that was only ever told what had happened by then; newest = published."""

from __future__ import annotations

from typing import Any

import pytest
from score_store import empty, load, universe_tables

from polyhouse.models.as_of import keep_moment
from polyhouse.models.build import BY_WALLET
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

DAY = 86_400


def dump(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of wallets, without the number of the build."""
    return {
        table: sorted(warehouse.query(f"SELECT * EXCEPT (version, is_deleted) FROM {table} FINAL").rows, key=repr)
        for table in BY_WALLET
    }


def differences(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> list[str]:
    return [table for table in one if one[table] != other[table]]


def universe(seed: int, day: int) -> Universe:
    made = Universe(seed=seed, wallets=25, fills=900, span_days=200, now_fraction=0.3, amm_markets=4 * (seed % 2))
    made.advance(day * DAY)
    return made


@pytest.mark.parametrize("seed", [2, 3])
def test_a_moment_equals_a_store_that_ended_there(shared: Warehouse, seed: int) -> None:
    late = universe(seed, 120)
    moments = [universe(seed, day).now for day in (0, 31, 77)]
    empty(shared)
    load(shared, universe_tables(late))
    build(shared)
    published = dump(shared)
    newest = shared.query("SELECT toUnixTimestamp(as_of) FROM builds ORDER BY build DESC LIMIT 1").rows[0][0]
    then = {moment: dump(shared.in_database(keep_moment(shared, moment).database)) for moment in (*moments, newest)}
    assert differences(then[newest], published) == []
    assert dump(shared) == published, "a moment changes nothing of the present"
    for day, moment in zip((0, 31, 77), moments, strict=True):
        empty(shared)
        load(shared, universe_tables(universe(seed, day)))
        build(shared)
        assert differences(then[moment], dump(shared)) == []
        assert then[moment]["positions"] != published["positions"]
        assert then[moment]["positions"]
