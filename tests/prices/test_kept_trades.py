"""Prices around trades that a build of some wallets keeps are those that it would look up."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from score_store import Tables, load, universe_tables

from polyhouse.models import kept_trades
from polyhouse.models.runner import build
from polyhouse.models.steps import trades_step
from polyhouse.ports import Warehouse
from polyhouse.sim.universe import Universe

DAY = 86_400


def rows_of(warehouse: Warehouse, wallets: list[bytes]) -> list[Any]:
    chosen = ", ".join(f"unhex('{wallet.hex()}')" for wallet in wallets)
    return warehouse.query(
        f"SELECT * EXCEPT (version, is_deleted) FROM priced_trades FINAL WHERE wallet IN ({chosen}) ORDER BY ALL"
    ).rows


def part(rows: dict[str, list[Any]], chosen: list[int]) -> dict[str, list[Any]]:
    return {name: [values[place] for place in chosen] for name, values in rows.items()}


def arriving(tables: Tables, seed: int) -> list[Tables]:
    """A world in four deliveries: by time, but for some old rows, resolutions and tokens that come late."""
    chance = random.Random(seed)
    found: list[Tables] = [{} for _ in range(4)]
    times = sorted(tables["observations"]["ts"])
    edges = [times[len(times) * share // 100] for share in (84, 91, 96)]
    for name, rows in tables.items():
        count = len(next(iter(rows.values())))
        if name in ("observations", "resolutions"):
            due = [sum(ts > edge for edge in edges) for ts in rows["ts"]]
            due = [max(place, chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 3))) for place in due]
        elif name == "tokens":
            due = [chance.choice((0, 0, 0, 0, 2)) for _ in range(count)]
        else:
            due = [0] * count
        for place, delivery in enumerate(found):
            delivery[name] = part(rows, [row for row in range(count) if due[row] == place])
    return [{name: rows for name, rows in delivery.items() if next(iter(rows.values()))} for delivery in found]


def counted(monkeypatch: pytest.MonkeyPatch, name: str, place: int) -> list[int]:
    """How many trades each call of a function is about from now on."""
    found: list[int] = []
    real = getattr(kept_trades, name)

    def counting(*arguments: Any) -> Any:
        found.append(len(arguments[place]["at"]))
        return real(*arguments)

    monkeypatch.setattr(kept_trades, name, counting)
    return found


@pytest.mark.timeout(300)
def test_what_is_kept_is_what_would_be_found(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever arrived since whichever build: newer and older prices, resolutions, the other token of a market."""
    looked_up, written = counted(monkeypatch, "looked_up", 1), counted(monkeypatch, "write_trades", 1)
    monkeypatch.setattr(trades_step, "BLOCK_ROWS", 400)
    deliveries = arriving(universe_tables(Universe(seed=6, wallets=20, fills=700)), 2)
    chance = random.Random(5)
    load(warehouse, deliveries[0])
    build(warehouse)
    wallets = sorted({bytes(wallet) for delivery in deliveries for wallet in delivery["observations"]["wallet"]})
    for delivery in deliveries[1:]:
        load(warehouse, delivery)
        some = chance.sample(wallets, 6)
        build(warehouse, some)
        kept = rows_of(warehouse, some)
        with monkeypatch.context() as without:
            without.setattr(trades_step, "SLICE_ROWS", -1)
            without.setattr(trades_step, "_FEW", 2**40)
            build(warehouse, some)
        assert kept == rows_of(warehouse, some)
    assert 100 < sum(looked_up) < sum(written) - 100, "some were kept, and some were looked up"
    build(warehouse)
    looked_up.clear()
    build(warehouse, wallets[:5])
    mine = rows_of(warehouse, wallets[:5])
    late = [row for row in mine if row[2] > max(one[2] for one in mine) - 2 * DAY]
    assert len(mine) > 2 * len(late)
    assert sum(looked_up) <= len(late), "nothing changed but what is not complete yet"


def test_the_earliest_change_after_a_build() -> None:
    """Per market, of all changes by newer builds."""
    chance = np.random.default_rng(4)
    market, version, since = (chance.integers(0, most, 300) for most in (9, 12, 1_000_000))
    changes = kept_trades.changes_of(market, version * 7, since)
    for wanted in range(10):
        for built in range(-1, 90):
            later = since[(market == wanted) & (version * 7 > built)]
            got = changes.after(np.array([wanted]), np.array([built]))
            assert got.tolist() == [int(later.min(initial=2**62))]
    nothing = kept_trades.changes_of(*np.zeros((3, 0), dtype=np.int64))
    assert nothing.after(np.array([3]), np.array([5])).tolist() == [2**62]
