"""The planner: what each road costs, which one is taken, and how the command line shows it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.incremental.conftest import DAY, NEWS

from polyhouse.cli.app import run_command_line
from polyhouse.sim.runner import ServerThread
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sync.planner import Facts, choose, previous_month, trade_roads
from polyhouse.sync.report import WalletSelection

NOW = 1_795_219_200  # 2026-11-21
CTX: Any = SimpleNamespace(sources=SimpleNamespace(trades_per_second=16.0, requests_per_second=32.0))


def facts(**changes: Any) -> Facts:
    """Half an hour of the whole of Polymarket."""
    base = {
        "now": NOW, "through": NOW - 1_800, "fills": 120_000, "wallets": 9_000, "markets": 3_300_000,
        "unsettled": 25_000, "has_feed": True, "universe": 3_700,
    }  # fmt: skip
    return Facts(**(base | changes))


def test_half_an_hour_goes_by_the_feed() -> None:
    feed, markets = trade_roads(CTX, facts())
    assert (feed.road, feed.requests, feed.complete) == ("feed", 3 + 240 + 9_000, True)
    assert (markets.road, markets.requests, markets.complete) == ("markets", 50_000 + 240 + 3_700 + 9_000, True)
    assert feed.seconds == pytest.approx(243 / 16 + 9_000 / 32)
    assert choose([feed, markets]) is feed


def test_few_markets_and_many_fills_go_by_market() -> None:
    roads = trade_roads(CTX, facts(markets=40, unsettled=1, universe=0), with_universe=False)
    assert choose(roads).road == "markets"


@pytest.mark.parametrize(
    ("changes", "reaches"),
    [
        ({}, True),
        ({"through": previous_month(NOW) + 600}, True),
        ({"through": previous_month(NOW) + 599}, False),
        ({"through": 0}, False),
        ({"has_feed": False}, False),
    ],
)
def test_the_feed_must_reach_back_to_a_complete_reading(changes: dict[str, Any], reaches: bool) -> None:
    feed, markets = trade_roads(CTX, facts(**changes))
    assert feed.complete is reaches
    assert choose([feed, markets]).road == ("feed" if reaches else "markets")


def test_the_month_before_january_is_december() -> None:
    assert previous_month(1_767_225_600) == 1_764_547_200  # 2026-01-01 → 2025-12-01
    assert previous_month(NOW) == 1_790_812_800  # 2026-11-21 → 2026-10-01


async def test_the_plan_is_what_the_sync_takes(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=8, wallets=60, fills=1_200, now_fraction=0.8))
    dry_all, dry_news = WalletSelection(all=True, dry_run=True), WalletSelection(active_only=True, dry_run=True)
    async with lab.life() as life:
        await life.load()
        await lab.server.advance(3 * DAY)
        async with lab.counted() as requests:
            plans = [(await life.engine.sync_wallets(one)).plan for one in (dry_all, dry_news)]
        assert not requests, "a dry run asks nobody"
        everyone, news = plans
        known = len(life.state.wallet_addresses())
        assert (everyone.chosen, everyone.partitions) == ("wallets", known)
        assert {road.road: road.complete for road in everyone.roads} == {
            "wallets": True,
            "feed": False,
            "markets": False,
        }
        assert "redemptions" in next(road.why for road in everyone.roads if road.road == "feed")
        assert everyone.requests >= known
        assert {road.road: road.complete for road in news.roads} == {"feed": True, "markets": True}
        assert news.chosen == "feed"
        async with lab.counted() as requests:
            report = await life.sync(NEWS)
        assert report.counts["road_feed"] == 1
        assert sum(requests.values()) <= 2 * news.requests + 10
        await lab.server.advance(70 * DAY)
        assert (await life.engine.sync_wallets(dry_news)).plan.chosen == "markets"
    async with lab.life("unread") as life:
        life.state.register_wallets([bytes([n]) * 20 for n in range(1, 6)], "file")
        plan = (await life.engine.sync_wallets(WalletSelection(incremental=True, dry_run=True))).plan
        assert (plan.chosen, plan.requests) == ("stored", 5)
        assert "polyhouse run" in plan.roads[0].why


def test_the_command_line_shows_the_roads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = SimServer(Universe(seed=5, wallets=20, fills=700, now_fraction=0.8), enforce_limits=False)
    with ServerThread(server):
        for name in ("gamma", "clob", "data"):
            monkeypatch.setenv(f"POLYHOUSE_{name.upper()}_URL", f"{server.base_url}/{name}")
        monkeypatch.setenv("POLYHOUSE_HOME", str(tmp_path))
        monkeypatch.setenv("POLYHOUSE_RATE_SCALE", "100")

        def say(*arguments: str) -> dict[str, Any]:
            assert run_command_line([*arguments, "--json"]) == 0
            return dict(json.loads(capsys.readouterr().out))

        say("sync", "markets", "--no-metrics")
        say("sync", "trades", "--no-metrics")
        plan = say("sync", "wallets", "--all", "--dry-run")["plan"]
        assert plan["chosen"] == "wallets"
        assert [set(road) for road in plan["roads"]] == [{"road", "requests", "seconds", "complete", "why"}] * 3
        first = say("sync", "wallets", "--active-only", "--no-metrics")
        assert first["counts"]["wallets_with_news"] > 3
        assert say("sync", "wallets", "--active-only")["counts"]["wallets_with_news"] == 0
        markets = say("sync", "open-markets", "--everything", "--no-metrics")
        assert markets["counts"]["markets_due"] == markets["counts"]["markets_refreshed"]
        assert run_command_line(["sync", "wallets", "--active-only", "--all"]) == 2
        assert run_command_line(["sync", "open-markets", "--event", "1", "--everything"]) == 2
