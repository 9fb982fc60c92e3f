"""Rules of the simulated portfolio routes and reference look-ups (data-api-v2)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

_EXACT = msgspec.json.Decoder(float_hook=Decimal)


@pytest.fixture
def url(server):
    return f"{server.data_url}/v2"


@pytest.fixture
def wallet(server):
    """The wallet with the most different holdings."""
    views = server.world.views
    return views.wallet_name(max(range(views.wallet_count), key=lambda number: len(views.holdings(number))))


async def _positions(browser, url, **params):
    return await browser.walk(f"{url}/positions", filter_amount=0, limit=1000, **params)


async def test_statuses_partition_what_was_ever_held(browser, url, wallet, server):
    views = server.world.views
    opened = await _positions(browser, url, user=wallet)
    won = await _positions(browser, url, user=wallet, status="REDEEMABLE")
    lost = await _positions(browser, url, user=wallet, status="REDEEMABLE_LOST")
    closed = await _positions(browser, url, user=wallet, status="CLOSED")
    keys = {row["token_id"] for row in opened}
    assert {row["token_id"] for row in won + lost} == {row["token_id"] for row in opened if row["redeemable"]} <= keys
    assert not keys & {row["token_id"] for row in closed}
    assert all(row["current_size"] == 0 and row["status"] == "CLOSED" for row in closed)
    assert all(row["current_value"] == 0 for row in lost)
    assert all(row["status"] == "REDEEMABLE" for row in won + lost)
    assert len(opened) == len(views.holdings(views.wallet_id(wallet)))
    assert closed


async def test_position_identities(browser, url, wallet):
    answer = await browser.get(f"{url}/positions", user=wallet, filter_amount=0, limit=1000)
    rows = _EXACT.decode(answer.body)["data"]
    for row in rows:
        tolerance = Decimal("0.0002")  # figures are cut to four decimals
        assert abs(row["unrealized_pnl"] - (row["current_value"] - row["entry_cost_usdc"])) <= tolerance
        assert abs(row["total_pnl"] - (row["realized_pnl"] + row["unrealized_pnl"])) <= tolerance
        assert abs(row["total_cost_usdc"] - (row["entry_cost_usdc"] + row["entry_fees_usdc"])) <= tolerance
        assert 0 <= row["current_price"] <= 1
    total = _EXACT.decode((await browser.get(f"{url}/value", user=wallet)).body)["data"]["value"]
    assert abs(total - sum(row["current_value"] for row in rows)) <= Decimal("0.0001") * (len(rows) + 1)
    assert (await browser.get(f"{url}/value", user="0x" + "99" * 20)).doc["data"]["value"] == 0


@pytest.mark.parametrize("sort", ["CURRENT_VALUE", "TOKENS", "TIMESTAMP", "TOTAL_PNL"])
async def test_sorted_walks_return_every_position_once(browser, url, wallet, sort):
    params = {"user": wallet, "filter_amount": 0, "sort_by": sort}
    whole = await browser.walk(f"{url}/positions", limit=1000, **params)
    assert await browser.walk(f"{url}/positions", limit=2, **params) == whole
    columns = {"TOKENS": "current_size", "TIMESTAMP": "last_event_at", "TOTAL_PNL": "total_pnl"}
    column = columns.get(sort, "current_value")
    values = [row[column] for row in whole]
    assert values == sorted(values, reverse=True)
    upward = await browser.walk(f"{url}/positions", limit=3, sort_direction="ASC", **params)
    assert [row[column] for row in upward] == sorted(values)


async def test_boards_bind_their_filters_into_the_cursor(browser, url, wallet):
    page = (await browser.get(f"{url}/positions", user=wallet, filter_amount=0, limit=1)).doc
    cursor = page["pagination"]["next_cursor"]
    other = await browser.get(f"{url}/positions", user=wallet, filter_amount=0, status="CLOSED", cursor=cursor)
    assert (other.status, other.doc["parameter"]) == (400, "cursor")
    again = await browser.get(f"{url}/positions", user=wallet, filter_amount=0, limit=5, cursor=cursor)
    assert again.status == 200


async def test_positions_of_a_market_and_time_filters(browser, url, server, wallet):
    market = max(server.world.catalog.markets, key=lambda m: len(server.world.views.holders(m.number, 0, 1)))
    rows = await _positions(browser, url, condition=market.meta.condition_id)
    held = sum(len(server.world.views.holders(market.number, outcome, 1)) for outcome in (0, 1))
    assert len(rows) == held
    assert {row["condition_id"] for row in rows} == {market.meta.condition_id}
    mine = await _positions(browser, url, user=wallet)
    middle = sorted(row["last_event_at"] for row in mine)[len(mine) // 2]
    late = await _positions(browser, url, user=wallet, start=middle)
    early = await _positions(browser, url, user=wallet, end=middle - 1)
    assert len(late) + len(early) == len(mine)
    assert late
    dusty = await browser.walk(f"{url}/positions", user=wallet, limit=1000)
    assert all(row["current_size"] >= 0.1 for row in dusty)


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({}, "user"),
        ({"condition": f"0x{1:064x},0x{2:064x}"}, "user"),
        ({"condition": f"0x{1:064x}", "status": "MERGEABLE"}, "status"),
        ({"user": "0x" + "11" * 20, "status": "CLOSED", "include_archived": "true"}, "include_archived"),
        ({"user": "0x" + "11" * 20, "sort_by": "LUCK"}, "sort_by"),
        ({"user": "0x" + "11" * 20, "offset": 5}, "offset"),
    ],
)
async def test_position_requests_that_are_refused(browser, url, params, parameter):
    answer = await browser.get(f"{url}/positions", **params)
    assert (answer.status, answer.doc["parameter"]) == (400, parameter)


async def test_holders(browser, url, server):
    market = max(server.world.catalog.markets, key=lambda m: len(server.world.views.holders(m.number, 0, 1)))
    condition = market.meta.condition_id
    (group, *_) = (await browser.get(f"{url}/holders", condition=condition)).doc["data"]
    amounts = [holder["amount"] for holder in group["holders"]]
    assert amounts == sorted(amounts, reverse=True)
    bounded = (await browser.get(f"{url}/holders", condition=condition, min_balance=amounts[0])).doc["data"]
    assert all(holder["amount"] >= amounts[0] for found in bounded for holder in found["holders"])
    with_pnl = (await browser.get(f"{url}/holders", condition=condition, include_pnl="true")).doc["data"]
    assert {"avg_price", "total_pnl"} <= set(with_pnl[0]["holders"][0])
    assert (await browser.get(f"{url}/holders")).status == 400
    assert (await browser.get(f"{url}/holders", condition=condition, include_pnl="true", limit=101)).status == 400


async def test_leaderboard_periods_categories_and_standings(browser, url, server, universe):
    board = await browser.walk(f"{url}/leaderboard", time_period="all", limit=7)
    for row in (board[0], board[-1]):
        answer = await browser.get(f"{url}/leaderboard", time_period="all", user=row["user_id"])
        assert answer.doc["data"]["rank_pnl"] == row["rank"]
        assert answer.doc["data"]["pnl"] == row["pnl"]
    by_volume = await browser.walk(f"{url}/leaderboard", time_period="all", sort_by="VOLUME")
    assert [row["volume"] for row in by_volume] == sorted((row["volume"] for row in board), reverse=True)
    month = await browser.walk(f"{url}/leaderboard", time_period="month")
    assert 0 < len(month) <= len(board)
    sports = await browser.walk(f"{url}/leaderboard", time_period="all", category="sports")
    assert sum(row["volume"] for row in sports) < sum(row["volume"] for row in board)
    assert await browser.walk(f"{url}/leaderboard", time_period="all", category="overall") == board
    nobody = await browser.get(f"{url}/leaderboard", user="0x" + "99" * 20)
    assert nobody.doc == {"data": None}
    assert (await browser.get(f"{url}/leaderboard", time_period="year")).status == 400


async def test_statistics(browser, url, wallet, fills_of):
    stats = (await browser.get(f"{url}/user-stats", user=wallet)).doc["data"]
    volume = (await browser.get(f"{url}/user-volume", user=wallet)).doc["data"]
    assert stats["all_time_pnl"]["trade_count"] == volume["trade_count"] == len(fills_of(wallet))
    assert (await browser.get(f"{url}/user-stats", user="0x" + "99" * 20)).doc == {"data": None}
    series = (await browser.get(f"{url}/user-pnl", user=wallet, interval="1w", fidelity="1d")).doc["data"]
    assert 7 <= len(series["points"]) <= 8
    assert series["points"][-1]["position_pnl"] is not None
    assert (await browser.get(f"{url}/user-pnl", user=wallet, interval="2w")).status == 400
    assert (await browser.get(f"{url}/activity/combos", user=wallet)).doc["data"] == []


async def test_resolutions(browser, url, server):
    markets = server.world.visible_markets()
    ids = [m.meta.condition_id for m in markets]
    rows = {}
    for start in range(0, len(ids), 20):
        answer = await browser.get(f"{url}/resolutions", condition=",".join(ids[start : start + 20]))
        rows |= {row["condition_id"]: row for row in answer.doc["data"]}
    assert set(rows) == set(ids)
    forms = set()
    for market in markets:
        row, resolution = rows[market.meta.condition_id], market.resolution
        assert row["question_id"] == market.meta.question_id
        forms.add(row["last_update_timestamp"].isdigit())
        if resolution is None:
            assert row["status"] in ("posed", "proposed")
            assert row["price"] == "69"
            assert "payouts" not in row
        else:
            assert row["status"] == "resolved"
            assert row["payouts"] == [1_000_000 * v // sum(resolution.numerators) for v in resolution.numerators]
            assert row["resolved_block"] == resolution.block
    assert forms == {True, False}
    one = await browser.get(f"{url}/resolutions", question_id=markets[0].meta.question_id)
    assert one.doc["data"] == [rows[ids[0]]]
    assert (await browser.get(f"{url}/resolutions", condition=f"0x{5:064x}")).doc["data"] == []
    assert (await browser.get(f"{url}/resolutions")).status == 400
    assert (await browser.get(f"{url}/resolutions", condition=ids[0], event_id=1)).status == 400


async def test_tokens_status_and_interest(browser, url, server):
    market = next(m for m in server.world.catalog.markets if m.resolution)
    tokens = (await browser.get(f"{url}/tokens", token_id=",".join(market.meta.token_ids))).doc["data"]
    assert [(row["condition_id"], row["outcome_index"]) for row in tokens] == [
        (market.meta.condition_id, 0),
        (market.meta.condition_id, 1),
    ]
    assert (await browser.get(f"{url}/tokens", condition=market.meta.condition_id)).doc["data"] == tokens
    assert (await browser.get(f"{url}/tokens", token_id="7")).doc["data"] == []
    assert (await browser.get(f"{url}/tokens", token_id=",".join(str(n) for n in range(51)))).status == 400
    assert (await browser.get(f"{url}/tokens")).status == 400
    status = (await browser.get(f"{url}/status")).doc["data"]
    assert status["serving"]["lag_seconds"] == 4
    assert status["ingestion"]["max_synced_block"] == server.world.views.last_block
    ids = [m.meta.condition_id for m in server.world.catalog.markets]
    total = (await browser.get(f"{url}/oi")).doc["data"]
    assert [row["condition_id"] for row in total] == ["GLOBAL"]
    apart = 0.0
    for start in range(0, len(ids), 20):
        some = await browser.get(f"{url}/oi", condition=",".join(ids[start : start + 20]))
        apart += sum(row["value"] for row in some.doc["data"])
    assert apart == pytest.approx(total[0]["value"])
    volume = (await browser.get(f"{url}/live-volume", event_id=market.event.event_id)).doc["data"]
    assert volume["taker_volume_total"] > 0
