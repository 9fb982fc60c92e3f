"""Compiled prices around trades say what the plain ones say: with gaps, ties, settlements and unknown markets."""

from __future__ import annotations

import numpy as np
import pytest

from polyhouse.ledger.columns import Ints
from polyhouse.models import price_columns, priced_trades
from polyhouse.models.price_columns import last_of_each
from polyhouse.models.priced_trades import Prices, prices_around

AS_OF = 450_000
SIZES = [(0, 8), (1, 6), (40, 60), (2_000, 3_000)]


def compiled(monkeypatch: pytest.MonkeyPatch, *, is_compiled: bool) -> None:
    for module in (price_columns, priced_trades):
        monkeypatch.setattr(module, "pays", lambda *_: is_compiled)


def prices(chance: np.random.Generator, count: int) -> Prices:
    market, ts = chance.integers(0, count // 60 + 1, count), chance.integers(0, 5_000, count) * 100
    keys = np.unique((market << 32) | ts)
    return Prices(keys, chance.integers(0, 1_000_001, len(keys)))


def trades(chance: np.random.Generator, markets: int, count: int) -> dict[str, Ints]:
    """By market and time; some resolved, some before the first price, some in markets without any."""
    market, at = chance.integers(0, markets + 2, count), chance.integers(0, 520_000, count)
    order = np.argsort((market << 32) | at, kind="stable")
    later = chance.integers(0, 600_000, (2, count)) * chance.integers(0, 2, (2, count))
    return {
        "market": market[order], "at": at[order], "outcome": chance.integers(0, 2, count),
        "resolved_at": later[0], "closes_at": later[1], "payout_e6": chance.integers(0, 2, count) * 1_000_000,
    }  # fmt: skip


@pytest.mark.parametrize(("count", "traded"), SIZES)
def test_compiled_prices_are_the_plain_ones(count: int, traded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(count)
    known, asked = prices(chance, count), trades(chance, count // 60, traded)
    found = []
    for is_compiled in (False, True):
        compiled(monkeypatch, is_compiled=is_compiled)
        around = prices_around(known, asked, AS_OF)
        found.append(
            {name: (np.where(told, value, -1).tolist(), told.tolist()) for name, (value, told) in around.items()}
        )
    assert found[0] == found[1]
    shares = {name: sum(told) for name, (_, told) in found[0].items()}
    assert count < 1_000 or (all(shares.values()) and min(shares.values()) < traded), "some are known, some are not"


def test_the_last_of_each_key_is_the_same_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    for count in (0, 1, 2, 60, 2_000):
        key, *ranks = (chance.integers(0, high, count) for high in (count // 4 + 1, 3, 2, 2))
        found = []
        for is_compiled in (False, True):
            compiled(monkeypatch, is_compiled=is_compiled)
            found.append(last_of_each(key, *ranks).tolist())
        assert found[0] == found[1]
