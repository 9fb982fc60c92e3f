"""Rules of the simulated trade and activity feeds (upstream §2, data-api-v2)."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest

from polyhouse.sim.model import Log, SimEvent, SimMarket, Transaction
from polyhouse.sim.server import SimServer
from polyhouse.sim.universe import Universe
from polyhouse.sim.world import Quirks

NOW = 1_790_000_000
W1, W2, W3 = ("0x" + f"{n:02x}" * 20 for n in (1, 2, 3))
DAY = 86_400


COND = "0x" + "aa" * 32


def _event(event_id, market_id, condition, tokens, fee_rate):
    times = {"created_ts": 1_600_000_000, "start_ts": 1_600_000_000, "end_ts": 1_900_000_000}
    market = SimMarket(
        market_id=market_id, condition_id=condition, question_id="0x" + "bb" * 32, question="Will it?", slug="will-it",
        outcomes=("Yes", "No"), token_ids=tokens, event_id=event_id, neg_risk=False, neg_risk_market_id="",
        question_index=0, fee_rate=fee_rate, **times,
    )  # fmt: skip
    return SimEvent(
        event_id=event_id, slug=f"event-{event_id}", title="Event", tags=((1, "Sports", "sports"),), series=None,
        neg_risk=False, neg_risk_market_id="", neg_risk_fee_bips=0, markets=(market,), **times,
    )  # fmt: skip


class HandMade:
    """A universe of given transactions."""

    def __init__(self, transactions: list[Transaction], now: int = NOW) -> None:
        self.now = now
        self.events = [
            _event(5, 11, COND, ("101", "102"), "0.05"),
            _event(6, 12, "0x" + "cc" * 32, ("201", "202"), "0"),
        ]
        self._transactions = transactions

    def transactions(self, start_ts=None, until=None):
        return iter([tx for tx in self._transactions if until is None or tx.ts <= until])

    def advance(self, seconds):
        self.now += seconds


def fill(li, maker, taker, token, shares, usdc, *, side="BUY", fee=0, order=None, version=2):
    give, get = (usdc, shares) if side == "BUY" else (shares, usdc)
    fields = {"v": version, "ex": f"EX{version}", "order": order or f"0x{li:064x}", "maker": maker, "taker": taker,
              "maker_amount": give, "taker_amount": get, "fee": fee}  # fmt: skip
    if version == 1:
        fields |= (
            {"maker_asset": "0", "taker_asset": token} if side == "BUY" else {"maker_asset": token, "taker_asset": "0"}
        )
    else:
        fields |= {"side": side, "token": token}
    return Log("OrderFilled", li, fields)


def tx(number, ts, *logs):
    return Transaction(f"0x{number:064x}", 1000 + number, 0, ts, tuple(logs))


def trade(number, ts, shares=10_000_000, usdc=5_000_000, token="101"):
    order = f"0x{number:064x}"
    return tx(
        number, ts,
        fill(1, W2, W1, token, shares, usdc, side="SELL"),
        fill(2, W1, "EX2", token, shares, usdc, order=order),
        Log("OrdersMatched", 3, {"ex": "EX2", "order": order}),
    )  # fmt: skip


async def rows(browser, server, route="trades", **params):
    return await browser.walk(f"{server.data_url}/v2/{route}", **params)


def seen_rows(server, wallet):
    number = server.world.views.wallet_id(wallet)
    return 0 if number is None else len(list(server.world.views.history(number)))


async def refused(browser, server, route, parameter=None, **params):
    answer = await browser.get(f"{server.data_url}/v2/{route}", **params)
    assert answer.status == 400, answer.body
    assert answer.doc["code"] == "invalid_request"
    assert answer.doc["retryable"] is False
    assert answer.doc["trace_id"]
    assert answer.doc.get("parameter") == parameter
    return answer.doc


async def test_windows(browser):
    ages = [1, 20, 80, 400, 2 * 365, 4 * 365]
    universe = HandMade([trade(n, NOW - age * DAY) for n, age in enumerate(sorted(ages, reverse=True))])
    today = datetime.fromtimestamp(NOW, UTC)
    month_before = datetime(today.year, today.month - 1, 1, tzinfo=UTC).timestamp()
    async with SimServer(universe, enforce_limits=False) as server:
        bare = await rows(browser, server)
        recent = [NOW - age * DAY for age in ages if NOW - age * DAY >= month_before]
        assert [row["timestamp"] for row in bare] == recent
        assert 0 < len(recent) < len(ages)
        for selector in ({"condition": COND}, {"event_id": 5}, {"user": W1}):
            assert len(await rows(browser, server, **selector)) == 5
        assert len(await rows(browser, server, user=W1, start=1)) == 6
        assert len(await rows(browser, server, user=W1, start=NOW - 5 * 365 * DAY)) == 5
        assert len(await rows(browser, server, user=W1, start=NOW - 400 * DAY, end=NOW - 20 * DAY)) == 3
        assert len(await rows(browser, server, "activity", user=W1)) == 5
        assert len(await rows(browser, server, "activity", user=W1, start=1)) == 6
        await refused(browser, server, "trades", "start", start=1)
        await refused(browser, server, "trades", "end", condition=COND, end=NOW)


async def test_dust_sides_and_filters(browser):
    universe = HandMade(
        [
            trade(1, NOW - 500, 9_999, 5_000),
            trade(2, NOW - 400, 10_000, 5_000),
            trade(3, NOW - 300, 5_000_000, 1_000_000),
        ]
    )
    async with SimServer(universe, enforce_limits=False) as server:
        assert len(await rows(browser, server)) == 2
        assert len(await rows(browser, server, filter_amount=0)) == 2
        assert len(await rows(browser, server, filter_amount="0.000001")) == 3
        assert len(await rows(browser, server, filter_amount="5")) == 1
        assert len(await rows(browser, server, filter_type="CASH", filter_amount="1.01")) == 0
        assert len(await rows(browser, server, filter_type="CASH", filter_amount="1")) == 1
        assert len(await rows(browser, server, taker_only="false")) == 4
        assert {row["side"] for row in await rows(browser, server, taker_only="false", side="SELL")} == {"SELL"}
        # Dust is hidden in the trade feed only.
        assert len(await rows(browser, server, "activity", user=W1)) == 3
        for bad in ({"filter_amount": "-1"}, {"filter_amount": "nan"}, {"side": "HOLD"}, {"taker_only": "perhaps"}):
            await refused(browser, server, "trades", next(iter(bad)), **bad)


async def test_request_rules(server, browser, universe):
    many = ",".join(f"0x{n:064x}" for n in range(21))
    user = max(universe.wallets, key=lambda wallet: seen_rows(server, wallet))
    await refused(browser, server, "trades", "limit", limit=1001)
    await refused(browser, server, "trades", "limit", limit=0)
    await refused(browser, server, "trades", "limit", limit="x")
    await refused(browser, server, "trades", "offset", offset=100)
    await refused(browser, server, "trades", "condition", condition=many)
    await refused(browser, server, "trades", "condition", condition="0x12")
    await refused(browser, server, "trades", "event_id", event_id=1, condition=f"0x{1:064x}")
    await refused(browser, server, "trades", "event_id", event_id=2**31)
    await refused(browser, server, "activity", "user")
    await refused(browser, server, "activity", "user", user="0x12")
    await refused(browser, server, "activity", "user", user="0x4bFb41d5B3570DeFd03C39a9A4D8dE6Bd8B8982E")
    await refused(browser, server, "activity", "type", user=user, type="TRADE,DANCE")
    await refused(browser, server, "activity", "sort_direction", user=user, sort_direction="UP")
    missing = await browser.get(f"{server.data_url}/v2/nothing")
    assert missing.status == 404
    assert missing.doc["code"] == "not_found"
    posted = await browser.post(f"{server.data_url}/v2/trades", {})
    assert posted.status == 405
    default = await browser.get(f"{server.data_url}/v2/activity", user=user.upper().replace("0X", "0x"))
    assert default.doc["pagination"]["limit"] == 100
    assert len(default.doc["data"]) == 100
    nobody = await browser.get(f"{server.data_url}/v2/activity", user="0x" + "99" * 20)
    assert nobody.doc == {"data": [], "pagination": {"limit": 100, "offset": 0, "has_more": False, "next_cursor": None}}


async def test_cursor_holds_position_only_and_is_signed(server, browser, universe):
    url = f"{server.data_url}/v2/activity"
    user, another = sorted(universe.wallets, key=lambda wallet: seen_rows(server, wallet))[-2:]
    first = (await browser.get(url, user=user, limit=5, sort_direction="ASC", start=1)).doc
    cursor = first["pagination"]["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    content = msgspec.json.decode(raw[:-12])
    assert set(content) == {"t", "s", "d", "l"}
    assert content["t"] == first["data"][-1]["timestamp"]
    # Other filters re-anchor silently: another wallet, the same place in time.
    other = (await browser.get(url, user=another, cursor=cursor, start=1)).doc
    assert other["data"]
    assert all(row["timestamp"] >= content["t"] for row in other["data"])
    assert len(other["data"]) == 5  # the limit is in the cursor too; one that is sent goes first
    assert len((await browser.get(url, user=another, cursor=cursor, start=1, limit=7)).doc["data"]) == 7
    for bad in (cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB"), "nonsense", "!", cursor[4:]):
        document = await refused(browser, server, "activity", "cursor", user=user, cursor=bad)
        assert document["error"] == "invalid cursor"
    await refused(browser, server, "trades", "cursor", cursor=cursor)
    await browser.post(f"{server.base_url}/_sim/rotate-cursors", {})
    await refused(browser, server, "activity", "cursor", user=user, cursor=cursor)


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_any_page_size_gives_the_same_walk(server, browser, universe, limit):
    user = sorted(universe.wallets, key=lambda wallet: seen_rows(server, wallet))[-3]
    whole = await rows(browser, server, "activity", user=user, start=1, limit=500)
    assert await rows(browser, server, "activity", user=user, start=1, limit=limit) == whole
    upward = await rows(browser, server, "activity", user=user, start=1, limit=limit, sort_direction="ASC")
    assert upward == whole[::-1]
    assert len(whole) > 10


async def test_pages_are_stable_when_rows_arrive_at_the_head(browser):
    universe = Universe(seed=5, wallets=40, fills=2000)
    async with SimServer(universe, enforce_limits=False, quirks=Quirks(fresh_seconds=0)) as server:
        makers = (
            log.fields["maker"]
            for transaction in universe.transactions(universe.now, universe.now + 20 * DAY)
            for log in transaction.logs
            if log.t == "OrderFilled"
        )
        user = next(maker for maker in makers if seen_rows(server, maker) > 20)
        whole = await rows(browser, server, user=user, taker_only="false")
        url = f"{server.data_url}/v2/trades"
        page = (await browser.get(url, user=user, taker_only="false", limit=2)).doc
        await server.advance(20 * DAY)
        rest = await rows(browser, server, user=user, taker_only="false", cursor=page["pagination"]["next_cursor"])
        assert page["data"] + rest == whole
        assert len(await rows(browser, server, user=user, taker_only="false")) > len(whole)


async def test_markets_in_one_call_are_merged_in_time_order(server, browser):
    conditions = [m.meta.condition_id for m in server.world.catalog.markets[:20]]
    together = await rows(browser, server, condition=",".join(conditions), taker_only="false", limit=7)
    apart = [
        row for c in conditions for row in await rows(browser, server, condition=c, taker_only="false", limit=1000)
    ]
    assert [row["timestamp"] for row in together] == sorted((row["timestamp"] for row in apart), reverse=True)

    def key(row):
        return (row["transaction_hash"], row["proxy_wallet"], row["token_id"], row["size"], row["price"])

    assert Counter(map(key, together)) == Counter(map(key, apart))
    spelled = await rows(browser, server, conditionId=",".join(conditions), taker_only="false", limit=1000)
    assert spelled == together


async def test_fresh_rows_get_their_labels_later(browser):
    universe = HandMade([trade(1, NOW - 200), trade(2, NOW - 60)])
    async with SimServer(universe, enforce_limits=False, quirks=Quirks(fresh_seconds=120)) as server:
        for route, params in (("trades", {}), ("activity", {"user": W1})):
            fresh, old = await rows(browser, server, route, **params)
            assert (fresh["outcome_index"], fresh["event_slug"], fresh["outcome"]) == (999, "", "Yes")
            assert (old["outcome_index"], old["event_slug"]) == (0, "event-5")
        await server.advance(61)
        late = await rows(browser, server)
        assert [row["outcome_index"] for row in late] == [0, 0]


async def test_deposits_only_on_request(browser):
    income = [Log("Income", n, {"wallet": W3, "kind": kind, "amount": 10**6 * n}) for n, kind in enumerate(
        ("REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE", "DEPOSIT", "WITHDRAWAL", "TIP"), start=1)]  # fmt: skip
    async with SimServer(HandMade([tx(1, NOW - 500, *income)]), enforce_limits=False) as server:
        shown = await rows(browser, server, "activity", user=W3, sort_direction="ASC")
        assert [row["type"] for row in shown] == ["REWARD", "YIELD", "MAKER_REBATE", "TAKER_REBATE"]
        assert all(row["condition_id"] == row["token_id"] == row["side"] == "" for row in shown)
        assert [row["usdc_size"] for row in shown] == [1, 2, 3, 4]
        full = await rows(browser, server, "activity", user=W3, exclude_deposits_withdrawals="false")
        assert [row["type"] for row in full][:2] == ["WITHDRAWAL", "DEPOSIT"]
        assert [row["type"] for row in await rows(browser, server, "activity", user=W3, type="tip")] == ["TIP"]


async def test_v1_fee_in_shares_refund_and_overpaying_taker(browser):
    order = "0x" + "77" * 32
    match = tx(
        1, NOW - 500,
        fill(1, W2, W1, "102", 40_000_000, 16_000_000, version=1),  # a buyer of NO: 40 pairs are minted
        fill(2, W1, "EX1", "101", 40_000_000, 30_000_000, version=1, order=order, fee=500_000),
        Log("OrdersMatched", 3, {"ex": "EX1", "order": order}),
        Log("FeeRefunded", 4, {"order": order, "to": W1, "id": "101", "refund": 100_000}),
    )  # fmt: skip
    void = tx(2, NOW - 400, fill(1, W1, W2, "101", 0, 0))
    async with SimServer(HandMade([match, void]), enforce_limits=False) as server:
        (row,) = await rows(browser, server, "activity", user=W1)
        # 40 pairs cost 40 $, the other side paid 16: 24 $ for 40 shares less 0.4 shares of fee; 6 $ go back.
        assert (row["size"], row["usdc_size"], row["price"]) == (39.6, 24.0, 0.6)


async def test_redemptions_per_condition_then_per_outcome(browser):
    resolve = Log("ConditionResolution", 1, {"condition": COND, "numerators": [1, 0]})
    split = {"src": "CTF", "stakeholder": W1, "condition": COND, "amount": 7_000_001}
    redeem = {"src": "CTF", "redeemer": W1, "condition": COND, "index_sets": [1, 2], "payout": 7_000_001}
    for start, expected in (
        (1_786_320_000 - 300, [("REDEEM", 7.000001, 7.000001, "", 999)]),
        (1_786_320_000, [("REDEEM", 7.000001, 7.000001, "101", 0), ("REDEEM", 7.000001, 0.0, "102", 1)]),
    ):
        made = HandMade(
            [
                tx(1, start, Log("PositionSplit", 1, split)),
                tx(2, start + 10, resolve),
                tx(3, start + 20, Log("PayoutRedemption", 1, redeem)),
            ]
        )
        async with SimServer(made, enforce_limits=False) as server:
            found = await rows(browser, server, "activity", user=W1, type="REDEEM", sort_direction="ASC")
            shown = [(r["type"], r["size"], r["usdc_size"], r["token_id"], r["outcome_index"]) for r in found]
            assert shown == expected
            assert await rows(browser, server, "holders", condition=COND) == []


async def test_adapter_events_belong_to_the_wallet_and_plumbing_to_nobody(browser):
    def move(li, source, to, token="101"):
        return Log("Transfer", li, {"from": source, "to": to, "token": token, "amount": 5_000_000})

    def event(li, kind, holder, **more):
        return Log(kind, li, {"src": "CTF", "stakeholder": holder, "condition": COND, "amount": 5_000_000, **more})

    made = HandMade([
        tx(1, NOW - 900, move(1, "ZERO", "ADP"), move(2, "ZERO", "ADP", "102"), event(3, "PositionSplit", "ADP"),
           move(4, "ADP", W1), move(5, "ADP", W1, "102")),
        tx(2, NOW - 800, move(1, "ZERO", "ADP"), event(3, "PositionSplit", "ADP"), move(4, "ADP", "EX2")),
        tx(3, NOW - 700, event(1, "PositionSplit", "NRA"), event(2, "PositionSplit", "EX1")),
        tx(4, NOW - 600, move(1, W1, "AR"), move(2, W1, "AR", "102"), move(3, "AR", "ADP"), move(4, "AR", "ADP", "102"),
           event(5, "PositionsMerge", "ADP")),
        tx(5, NOW - 500, move(1, W2, W3)),
    ])  # fmt: skip
    async with SimServer(made, enforce_limits=False) as server:
        found = await rows(browser, server, "activity", user=W1, sort_direction="ASC")
        assert [(row["type"], row["size"]) for row in found] == [("SPLIT", 5.0), ("MERGE", 5.0)]
        assert server.world.views.stats()["rows"] == 2
        assert await rows(browser, server, "activity", user=W3) == []
        (group,) = await rows(browser, server, "holders", condition=COND)
        assert [(h["proxy_wallet"], h["amount"]) for h in group["holders"]] == [(W3, 5.0)]
