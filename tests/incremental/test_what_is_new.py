"""An incremental run finds exactly what is new, and asks no more than it must."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.incremental.conftest import DAY, EVERYONE, NEWS, SharedSecond

from polyhouse.sim.faults import Fault
from polyhouse.sim.universe import Universe
from polyhouse.sync.gaps import THROUGH
from polyhouse.sync.planner import FEED, MARKETS
from polyhouse.sync.report import Road, WalletSelection


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


async def test_requests_grow_with_the_news_and_not_with_the_wallets(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=8, wallets=100, fills=2_000, now_fraction=0.9))
    async with lab.life("100") as life:
        await life.load()
    shutil.copytree(lab.folder / "100", lab.folder / "400", symlinks=True)
    async with lab.life("400") as life:
        life.state.register_wallets([bytes([7]) * 16 + number.to_bytes(4, "big") for number in range(300)], "file")
        await life.sync(WalletSelection(only_pending=True, incremental=True))
        assert len(life.state.wallet_addresses()) > 350
    used: list[dict[str, int]] = []
    for days in (0.1, 3.0):
        await lab.server.advance(int(days * DAY))
        for name in ("100", "400"):
            async with lab.life(name) as life, lab.counted() as requests:
                report = await life.sync(NEWS)
            assert requests["data/v2/activity"] == report.counts["wallets_with_news"]
            assert requests["data/v2/trades"] <= 5, "the head, and one page of either view"
            rest = sum(requests.values()) - requests["data/v2/activity"] - requests["data/v2/trades"]
            assert rest <= 3, "new tokens and markets are looked up"
            used.append(dict(requests))
    small, small_400, large, large_400 = used
    assert small == small_400
    assert large == large_400
    assert small.get("data/v2/activity", 0) < large["data/v2/activity"] < 60
    async with lab.life("400") as life, lab.counted() as requests:
        report = await life.sync(NEWS)
    assert (report.counts["wallets_with_news"], report.touched) == (0, ())
    assert set(requests) == {"data/v2/trades"}


async def test_asking_everyone_touches_only_whom_something_happened_to(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.9))
    async with lab.life() as life:
        await life.load()
        before = life.ledgers()
        report = await life.sync(EVERYONE)
        assert report.touched == ()
        assert life.ledgers() == before
        await lab.server.advance(5 * DAY)
        async with lab.counted() as requests:
            report = await life.sync(EVERYONE)
        assert requests["data/v2/activity"] == len(life.state.wallet_addresses())
        after = life.ledgers()
        changed = {wallet for wallet in after if after[wallet] != before.get(wallet)}
        assert 0 < len(changed) < len(after)
        assert set(report.touched) == changed


async def test_a_head_that_is_old_hides_nothing_for_good(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.8))
    async with lab.life() as life:
        await life.load()
        await life.sync(NEWS)
        # The questions of 301 seconds later are spelled alike: the first pages are those of three days ago.
        await lab.server.advance(301 * 861)
        lab.server.faults.set([Fault("data/v2/trades", "stale_head")])
        report = await life.sync(NEWS)
        assert lab.server.faults.fired
        assert report.counts["wallets_with_news"] == 0, "nothing could be seen"
        lab.server.faults.set([])
        report = await life.sync(NEWS)
        assert report.counts["wallets_with_news"] > 3
        await life.sync(EVERYONE)
        seen = life.ledgers()
        trades = life.column("SELECT count() FROM observations_current WHERE source = 'trades'")
    async with lab.life("scratch") as life:
        await life.load()
        assert life.ledgers() == seen
        assert life.column("SELECT count() FROM observations_current WHERE source = 'trades'") == trades


async def test_a_gap_longer_than_the_feed_is_read_market_by_market(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.7))
    async with lab.life() as life:
        await life.load()
        await lab.server.advance(75 * DAY)
        report = await life.sync(NEWS)
        assert report.counts["road_markets"] == 1
        assert "road_feed" not in report.counts
        assert life.state.get_note(THROUGH) >= lab.server.world.now - 5 * DAY
        await life.sync(EVERYONE)
        seen = life.ledgers()
    async with lab.life("scratch") as life:
        await life.load()
        assert life.ledgers() == seen


async def test_a_trade_that_a_ledger_does_not_show_yet_is_looked_for_again(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.8))
    async with lab.life() as life:
        await life.load()
        start = lab.server.world.now
        # Everybody's next question is answered now, and with that answer once more in three days.
        await life.sync(EVERYONE)
        await lab.server.advance(3 * DAY)
        lab.server.faults.set([Fault("data/v2/activity", "stale_head")])
        report = await life.sync(NEWS)
        traders = _traders(life, start)
        assert report.counts["wallets_with_news"] == report.counts["wallets_unconfirmed"] == len(traders) > 3
        assert set(report.touched) >= traders, "until then the trades of the feed count"
        assert set(life.state.wallet_addresses("pending")) >= traders
        lab.server.faults.set([])
        report = await life.sync(NEWS)
        assert report.counts["wallets_with_news"] == len(traders)
        assert "wallets_unconfirmed" not in report.counts
        assert (await life.sync(NEWS)).counts["wallets_with_news"] == 0
