"""An incremental run finds exactly what is new, and asks no more than it must."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.incremental.conftest import DAY, EVERYONE, NEWS, SharedSecond

from polyhouse.sim.faults import Fault
from polyhouse.sim.universe import Universe
from polyhouse.sync.planner import FEED, MARKETS
from polyhouse.sync.report import Road, WalletSelection


def _traders(life: Any, since: int) -> set[bytes]:
    """Wallets with fills after a second, as the simulation's own rows tell."""
    views = life.server.world.views
    rows = views._db.execute("SELECT DISTINCT wallet FROM rows WHERE kind = 0 AND ts > ?", (since,))
    return {bytes.fromhex(views.wallet_name(row[0])[2:]) for row in rows}


def take(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """Take this road wherever it is open, however cheap the others are."""

    def choose(roads: list[Road]) -> Road:
        open_roads = [road for road in roads if road.complete]
        return next((road for road in open_roads if road.road == wanted), open_roads[0])

    monkeypatch.setattr("polyhouse.sync.planner.choose", choose)


async def test_siblings_cached_heads_and_late_labels(make_lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    universe = Universe(seed=5, wallets=30, fills=1_200, now_fraction=0.9)
    shared = SharedSecond(universe, universe.now + DAY)
    lab = await make_lab(shared, cache=True)
    await lab.server.advance(shared.second - universe.now)
    unlabelled = "SELECT count() FROM observations_current WHERE outcome = 999 AND source = 'activity' AND kind = 'BUY'"
    async with lab.life(FEED) as life:
        await life.load()
        loaded_at = lab.server.world.now
        assert life.column(unlabelled) != [0]
    shutil.copytree(lab.folder / FEED, lab.folder / MARKETS, symlinks=True)
    # Half a minute later the sibling shows; whoever asks the same question gets the old answer for five minutes.
    await lab.server.advance(30)
    for road in (FEED, MARKETS):
        take(monkeypatch, road)
        async with lab.life(road) as life:
            before = life.column("SELECT count() FROM observations_current")[0]
            assert not life.has_every_fill()
            report = await life.sync(NEWS)
            assert report.counts[f"road_{road}"] == 1
            assert life.column("SELECT count() FROM observations_current")[0] > before
            assert life.has_every_fill()
    await lab.server.advance(4 * DAY)
    seen, complete = {}, {}
    for road in (FEED, MARKETS):
        take(monkeypatch, road)
        async with lab.life(road) as life:
            report = await life.sync(NEWS)
            news = _traders(life, loaded_at - 1)
            assert 3 < len(news) < 30
            assert set(report.touched) <= news
            seen[road] = life.ledgers(news)
            assert life.column(unlabelled) == [0]
            await life.sync(EVERYONE)
            complete[road] = life.ledgers(), life.column("SELECT count() FROM observations_current")
    async with lab.life("scratch") as life:
        await life.load()
        fresh = life.ledgers(), life.column("SELECT count() FROM observations_current")
    assert complete == {FEED: fresh, MARKETS: fresh}
    traders = {wallet: fresh[0][wallet] for wallet in news}
    assert seen == {FEED: traders, MARKETS: traders}


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


async def test_asking_everyone_touches_only_whom_something_happened_to(loaded_lab: Any) -> None:
    async with loaded_lab.life() as life:
        before = life.ledgers()
        report = await life.sync(EVERYONE)
        assert report.touched == ()
        assert life.ledgers() == before
        await loaded_lab.server.advance(5 * DAY)
        async with loaded_lab.counted() as requests:
            report = await life.sync(EVERYONE)
        assert requests["data/v2/activity"] == len(life.state.wallet_addresses())
        after = life.ledgers()
        changed = {wallet for wallet in after if after[wallet] != before.get(wallet)}
        assert 0 < len(changed) < len(after)
        assert set(report.touched) == changed
        assert life.has_every_fill()


async def test_a_head_that_is_old_hides_nothing_for_good(loaded_lab: Any) -> None:
    async with loaded_lab.life() as life:
        await life.sync(NEWS)
        # So many times 301 seconds later the questions are spelled alike: their first pages are three days old.
        await loaded_lab.server.advance(301 * 861)
        loaded_lab.server.faults.set([Fault("data/v2/trades", "stale_head")])
        report = await life.sync(NEWS)
        assert report.counts["wallets_with_news"] == 0, "nothing could be seen"
        assert not life.has_every_fill()
        loaded_lab.server.faults.set([])
        report = await life.sync(NEWS)
        assert report.counts["wallets_with_news"] > 3
        assert life.has_every_fill()


async def test_a_gap_longer_than_the_feed_is_read_market_by_market(loaded_lab: Any) -> None:
    async with loaded_lab.life() as life:
        await loaded_lab.server.advance(75 * DAY)
        report = await life.sync(NEWS)
        assert report.counts["road_markets"] == 1
        assert "road_feed" not in report.counts
        assert life.has_every_fill()


async def test_a_trade_that_a_ledger_does_not_show_yet_is_looked_for_again(loaded_lab: Any) -> None:
    async with loaded_lab.life() as life:
        start = loaded_lab.server.world.now
        # Everybody's next question is answered now, and with that answer once more in three days.
        await life.sync(EVERYONE)
        await loaded_lab.server.advance(3 * DAY)
        loaded_lab.server.faults.set([Fault("data/v2/activity", "stale_head")])
        report = await life.sync(NEWS)
        traders = _traders(life, start)
        assert report.counts["wallets_with_news"] == report.counts["wallets_unconfirmed"] == len(traders) > 3
        assert set(report.touched) >= traders, "until then the trades of the feed count"
        assert set(life.state.wallet_addresses("pending")) >= traders
        loaded_lab.server.faults.set([])
        report = await life.sync(NEWS)
        assert report.counts["wallets_with_news"] == len(traders)
        assert "wallets_unconfirmed" not in report.counts
        assert (await life.sync(NEWS)).counts["wallets_with_news"] == 0
