"""An incremental run finds exactly what is new, and asks no more than it must."""

from __future__ import annotations

from typing import Any

import pytest

from polyhouse.sim.faults import Fault
from polyhouse.sim.universe import Universe
from polyhouse.sync.gaps import THROUGH
from polyhouse.sync.planner import FEED, MARKETS
from polyhouse.sync.report import Road, WalletSelection

from tests.incremental.conftest import DAY, EVERYONE, NEWS, SharedSecond


def _traders(life: Any, since: int) -> set[bytes]:
    """Wallets with fills after a second, as the simulation's own rows tell."""
    views = life.server.world.views
    rows = views._db.execute("SELECT DISTINCT wallet FROM rows WHERE kind = 0 AND ts > ?", (since,))
    return {bytes.fromhex(views.wallet_name(row[0])[2:]) for row in rows}


@pytest.fixture(params=[FEED, MARKETS])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take this road wherever it is open, however cheap the others are."""

    def choose(roads: list[Road]) -> Road:
        open_roads = [road for road in roads if road.complete]
        return next((road for road in open_roads if road.road == request.param), open_roads[0])

    monkeypatch.setattr("polyhouse.sync.planner.choose", choose)
    monkeypatch.setattr("polyhouse.sync.incremental.choose", choose)
    return str(request.param)


def _moved_otherwise(life: Any, since: int) -> set[bytes]:
    """Wallets whose ledgers have something else than fills after a second."""
    return set(
        life.column(
            "SELECT DISTINCT wallet FROM observations_current WHERE source = 'activity' AND kind NOT IN ('BUY', 'SELL')"
            " AND ts > toDateTime({since:UInt32}, 'UTC')",
            since=since,
        )
    )


async def test_siblings_cached_heads_and_late_labels(make_lab: Any, road: str) -> None:
    universe = Universe(seed=5, wallets=30, fills=1_200, now_fraction=0.9)
    shared = SharedSecond(universe, universe.now + DAY)
    lab = await make_lab(shared, cache=True)
    await lab.server.advance(shared.second - universe.now)
    async with lab.life() as life:
        await life.load()
        loaded_at = lab.server.world.now
        assert life.column("SELECT count() FROM observations_current WHERE outcome = 999 AND source = 'activity'"
                           " AND kind IN ('BUY', 'SELL')") != [0]  # fmt: skip
        before = life.column("SELECT count() FROM observations_current")[0]
        # Half a minute later the sibling shows; whoever asks the same question gets the old answer for five minutes.
        await lab.server.advance(30)
        report = await life.sync(NEWS)
        assert report.counts[f"road_{road}"] == 1
        assert life.column("SELECT count() FROM observations_current")[0] > before
        await lab.server.advance(4 * DAY)
        report = await life.sync(NEWS)
        news = _traders(life, loaded_at - 1)
        assert 3 < len(news) < 30
        seen = life.ledgers(news)
        touched = set(report.touched)
        assert touched <= news
        assert life.column("SELECT count() FROM observations_current WHERE outcome = 999 AND source = 'activity'"
                           " AND token != toFixedString('', 32)") == [0]  # fmt: skip
        await life.sync(EVERYONE)
        complete = life.ledgers()
        rows = life.column("SELECT count() FROM observations_current")
    async with lab.life("scratch") as life:
        await life.load()
        assert life.column("SELECT count() FROM observations_current") == rows
        fresh = life.ledgers()
        assert complete == fresh
        assert news == _traders(life, loaded_at - 1)
        assert {wallet: seen[wallet] for wallet in news} == {wallet: fresh[wallet] for wallet in news}
