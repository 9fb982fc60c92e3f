"""Wire quirks of the simulated Gamma API (upstream §1)."""

from __future__ import annotations

import json
import re

import pytest

from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe


async def _walk(browser, url, key, **params):
    rows, cursors = [], set()
    while True:
        doc = (await browser.get(url, **params)).doc
        rows += doc[key]
        cursor = doc.get("next_cursor")
        if cursor is None:
            return rows
        assert cursor not in cursors
        cursors.add(cursor)
        params["after_cursor"] = cursor


async def test_limit_is_clamped_and_a_short_page_is_not_the_end(server, browser):
    answer = await browser.get(f"{server.gamma_url}/markets/keyset", limit=500)
    assert len(answer.doc["markets"]) == min(100, len(server.world.visible_markets()))
    one = await browser.get(f"{server.gamma_url}/markets/keyset", limit=0)
    assert len(one.doc["markets"]) == 1
    assert one.doc["next_cursor"]


async def test_next_cursor_is_missing_or_null_only_at_the_end(server, browser):
    events = await _walk(browser, f"{server.gamma_url}/events/keyset", "events", limit=13)
    assert [row["id"] for row in events] == [str(event.event_id) for event in server.world.visible_events()]
    markets = await _walk(browser, f"{server.gamma_url}/markets/keyset", "markets", limit=13)
    assert len(markets) == len(server.world.visible_markets())


async def test_the_parameter_cursor_is_ignored(server, browser):
    url = f"{server.gamma_url}/events/keyset"
    first = (await browser.get(url, limit=3)).doc
    again = (await browser.get(url, limit=3, cursor=first["next_cursor"])).doc
    other = (await browser.get(url, limit=3, after_cursor=first["next_cursor"])).doc
    assert again == first
    assert other["events"][0]["id"] != first["events"][0]["id"]


async def test_offset_is_refused_on_keyset_and_capped_on_legacy_routes(server, browser):
    for route in ("events", "markets"):
        refused = await browser.get(f"{server.gamma_url}/{route}/keyset", offset=0)
        assert refused.status == 422
        assert refused.doc["type"] == "validation error"
        assert (await browser.get(f"{server.gamma_url}/{route}", offset=10_000)).doc == []
        assert (await browser.get(f"{server.gamma_url}/{route}", offset=10_001)).status == 422
        second = (await browser.get(f"{server.gamma_url}/{route}", offset=1, limit=1)).doc
        assert second[0]["id"] != (await browser.get(f"{server.gamma_url}/{route}", limit=1)).doc[0]["id"]


async def test_shapes_of_a_market(server, browser):
    rows = await _walk(browser, f"{server.gamma_url}/markets/keyset", "markets", limit=100)
    for row in rows:
        assert isinstance(row["id"], str)
        for key in ("outcomes", "outcomePrices", "clobTokenIds"):
            assert isinstance(row[key], str)
            assert len(json.loads(row[key])) == 2
        assert "tags" not in row
        assert row["events"][0]["id"].isdigit()
        if "closedTime" in row:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00", row["closedTime"])
            assert set(json.loads(row["outcomePrices"])) in ({"0", "1"}, {"0.5"})
    assert any("volume" not in row for row in rows)
    assert any(isinstance(row.get("volume"), str) for row in rows)
    tagged = await browser.get(f"{server.gamma_url}/markets/keyset", include_tag="true", limit=100)
    assert any(row["tags"] for row in tagged.doc["markets"])


async def test_lookups_by_id_find_open_ones_unless_told_otherwise(server, browser):
    closed = [m.meta.condition_id for m in server.world.catalog.markets if m.resolution][:5]
    url = f"{server.gamma_url}/markets/keyset"
    assert (await browser.get(url, condition_ids=closed)).doc["markets"] == []
    found = (await browser.get(url, condition_ids=closed, closed="true")).doc["markets"]
    assert {row["conditionId"] for row in found} == set(closed)
    token = server.world.catalog.markets[0].meta.token_ids[1]
    by_token = [
        row
        for flag in ("true", "false")
        for row in (await browser.get(url, clob_token_ids=token, closed=flag)).doc["markets"]
    ]
    assert [row["conditionId"] for row in by_token] == [server.world.catalog.markets[0].meta.condition_id]


async def test_partitions_by_closed_and_start_date_cover_everything_once(server, browser):
    events = server.world.visible_events()
    middle = sorted(event.start_ts for event in events)[len(events) // 2]
    from polyhouse.sim.wire import iso

    seen = []
    for closed in ("true", "false"):
        for window in ({"start_date_max": iso(middle)}, {"start_date_min": iso(middle + 1)}):
            seen += await _walk(
                browser, f"{server.gamma_url}/events/keyset", "events", closed=closed, limit=20, **window
            )
    assert sorted(int(row["id"]) for row in seen) == [event.event_id for event in events]


async def test_tag_filter_and_order(server, browser):
    event = next(event for event in server.world.visible_events() if event.tags)
    tag = event.tags[0]
    url = f"{server.gamma_url}/events/keyset"
    rows = await _walk(browser, url, "events", tag_id=tag[0], limit=50)
    expected = [e.event_id for e in server.world.visible_events() if tag in e.tags]
    assert [int(row["id"]) for row in rows] == expected
    ranked = await _walk(browser, url, "events", order="volumeNum", ascending="false", limit=7)
    volumes = [row["volume"] for row in ranked]
    assert volumes == sorted(volumes, reverse=True)
    assert len(ranked) == len(server.world.visible_events())
    assert (await browser.get(url, order="nonsense")).status == 422
    assert (await browser.get(url, after_cursor="???")).status == 422


async def test_include_markets_and_single_routes(server, browser):
    url = server.gamma_url
    bare = (await browser.get(f"{url}/events/keyset", include_markets="false", limit=1)).doc["events"][0]
    assert "markets" not in bare
    assert (await browser.get(f"{url}/events/{bare['id']}")).doc["slug"] == bare["slug"]
    assert (await browser.get(f"{url}/events/{bare['slug']}")).status == 422
    assert (await browser.get(f"{url}/events/slug/{bare['slug']}")).doc["id"] == bare["id"]
    assert (await browser.get(f"{url}/events/999999999")).status == 404
    market = (await browser.get(f"{url}/markets", limit=1)).doc[0]
    assert (await browser.get(f"{url}/markets/{market['id']}")).doc["conditionId"] == market["conditionId"]
    assert (await browser.get(f"{url}/markets/slug/{market['slug']}")).doc["id"] == market["id"]
    tags = (await browser.get(f"{url}/tags", limit=2)).doc
    assert (await browser.get(f"{url}/tags/{tags[0]['id']}")).doc == tags[0]
    assert (await browser.get(f"{url}/tags/slug/{tags[1]['slug']}")).doc == tags[1]
    assert isinstance((await browser.get(f"{url}/events/{bare['id']}/tags")).doc, list)
    assert len((await browser.get(f"{url}/series", limit=100)).doc) <= 50


@pytest.mark.parametrize(("count", "status"), [(40, 200), (60, 403), (300, 414)])
async def test_long_id_lists_are_blocked(server, browser, count, status):
    ids = [f"0x{number:064x}" for number in range(count)]
    answer = await browser.get(f"{server.gamma_url}/markets/keyset", condition_ids=ids)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("application/json" if status == 200 else "text/html")


async def test_young_markets_have_no_tokens_yet(browser):
    universe = Universe(seed=7, wallets=60, fills=3000)
    youngest = max(m.created_ts for e in universe.events for m in e.markets if m.created_ts < universe.end - 900)
    universe.now = youngest + 100
    async with SimServer(universe, enforce_limits=False) as server:
        url = f"{server.gamma_url}/markets/keyset"

        async def fresh():
            rows = await _walk(browser, url, "markets", limit=100)
            return [row["id"] for row in rows if "clobTokenIds" not in row]

        young = await fresh()
        assert young
        await server.advance(301)
        assert not set(young) & set(await fresh())
