"""Universes with a planted cast: fair prices for the crowd, and everybody does what he was planted for."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from polyhouse.errors import BadInputError
from polyhouse.sim.actors import CAST
from polyhouse.sim.universe import Universe

EVERYBODY = {name: 2 if name == "wash_trader" else 1 for name in CAST}


@dataclass(frozen=True)
class Bet:
    """The first purchase of a wallet in a market, and what a share paid."""

    wallet: str
    price: float
    paid: int
    market: str


def first_bets(universe: Universe) -> Iterator[Bet]:
    markets = {
        token: (market, place)
        for event in universe.events for market in event.markets for place, token in enumerate(market.token_ids)
    }  # fmt: skip
    seen = set()
    for tx in universe.transactions():
        for fill in (log.fields for log in tx.logs if log.t == "OrderFilled"):
            buys = fill["maker_asset"] == "0" if fill["v"] == 1 else fill["side"] == "BUY"
            token = fill["token"] if fill["v"] == 2 else fill["taker_asset" if buys else "maker_asset"]
            market, place = markets[token]
            key = fill["maker"], market.condition_id
            known = market.numerators is not None and market.resolved_ts <= universe.now and tx.ts < market.resolved_ts
            if buys and known and key not in seen:
                seen.add(key)
                price = fill["maker_amount"] / fill["taker_amount"]
                yield Bet(fill["maker"], price, market.numerators[place], market.condition_id)


@pytest.fixture(scope="module")
def bets() -> dict[str, list[Bet]]:
    """Kind → its bets, over a few universes."""
    found: dict[str, list[Bet]] = defaultdict(list)
    for seed in (1, 2, 3):
        universe = Universe(seed=seed, wallets=70, fills=6_000, cast=EVERYBODY)
        for bet in first_bets(universe):
            found[universe.behaviours[bet.wallet]].append(bet)
    return found


def z_of(bets: list[Bet]) -> float:
    return sum(b.paid - b.price for b in bets) / math.sqrt(sum(b.price * (1 - b.price) for b in bets))


def test_the_crowd_wins_as_often_as_its_prices_say(bets: dict[str, list[Bet]]) -> None:
    crowd = [bet for kind, some in bets.items() if kind not in CAST for bet in some]
    assert len(crowd) > 4_000
    edge = sum(bet.paid - bet.price for bet in crowd) / len(crowd)
    assert -0.03 < edge < 0.005, "nobody gains but by chance; the spread costs a little"
    for low in (0, 25, 50, 75):
        gaps: dict[str, float] = defaultdict(float)
        for bet in crowd:
            if low <= 100 * bet.price < low + 25:
                gaps[bet.market] += bet.paid - bet.price
        # Bets on one market are won and lost together, so markets are what is counted.
        assert len(gaps) > 50
        assert abs(sum(gaps.values())) < 3.5 * math.sqrt(sum(gap * gap for gap in gaps.values())), low


def test_who_was_planted_is_right_as_planned(bets: dict[str, list[Bet]]) -> None:
    assert z_of(bets["skilled_trader"]) > 6
    assert z_of(bets["specialist"]) > 4
    assert z_of(bets["insider"]) > 6
    assert all(bet.paid == 1 for bet in bets["insider"])
    assert len(bets["insider"]) >= 30
    assert abs(z_of(bets["lucky_gambler"])) < 2.5
    assert sum(bet.price < 0.2 and bet.paid for bet in bets["lucky_gambler"]) >= 3
    assert abs(z_of(bets["bot"])) < 3


def test_the_cast_is_named_and_small() -> None:
    universe = Universe(seed=4, wallets=40, fills=800, cast=EVERYBODY)
    kinds = Counter(universe.behaviours.values())
    assert {name: kinds[name] for name in CAST} == EVERYBODY
    assert sum(EVERYBODY.values()) < 40 / 2
    assert not set(CAST) & set(Universe(seed=4, wallets=40, fills=800, cast={}).behaviours.values())


@pytest.mark.parametrize("cast", [{"genius": 1}, {"bot": -1}, {"wash_trader": 1}, {"bot": 38}])
def test_a_cast_that_cannot_be_is_refused(cast: dict[str, int]) -> None:
    with pytest.raises(BadInputError):
        Universe(seed=1, wallets=40, cast=cast)


@pytest.mark.parametrize(
    ("universe", "digest"),
    [
        (Universe(seed=1), "be5f1b01d555d964"),
        (Universe(seed=8, wallets=50, fills=2_500, insiders=2, whales=2), "3591ad6b3278c2c1"),
        (Universe(seed=3, wallets=40, fills=1_500, amm_markets=8), "40909c5ec0fad1f4"),
    ],
    ids=["ordinary", "planted", "pools"],
)
def test_other_universes_stay_as_they_were_bit_for_bit(universe: Universe, digest: str) -> None:
    found = hashlib.sha256()
    for part in (*universe.transactions(until=universe.end), *universe.events, universe.behaviours):
        found.update(repr(part).encode())
    assert found.hexdigest()[:16] == digest
