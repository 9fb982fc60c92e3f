"""The rows the upstreams show, recomputed here from the logs by the plain rules of the accounting reference."""

from __future__ import annotations

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

import msgspec

from polyhouse.sim.indexer import price_of

_EXACT = msgspec.json.Decoder(float_hook=Decimal)


def _micro(value) -> int:
    scaled = Decimal(value) * 1_000_000
    assert scaled == int(scaled)
    return int(scaled)


async def test_every_trade_row_obeys_the_amount_rules(server, browser, universe, logs):
    """Net size, cash with fees, price half up to ten decimals (accounting §§1.3, 1.8–1.10), row by row in log order."""
    fills = defaultdict(list)
    refunds = defaultdict(list)
    takers = {}
    for tx, log in logs:
        if log.t == "FeeRefunded":
            refunds[tx.tx, log.fields["order"]].append(log.fields["refund"])
        elif log.t == "OrderFilled":
            fills[log.fields["maker"]].append((tx, log))
        elif log.t == "OrdersMatched":
            takers[tx.tx, log.fields["order"]] = True
    checked = with_fee = sells = 0
    for wallet in universe.wallets[:25]:
        rows, cursor = [], {}
        while True:
            answer = await browser.get(
                f"{server.data_url}/v2/activity",
                user=wallet, type="TRADE", start=1, sort_direction="ASC", limit=1000, **cursor,
            )  # fmt: skip
            doc = _EXACT.decode(answer.body)
            rows += doc["data"]
            if not doc["pagination"]["has_more"]:
                break
            cursor = {"cursor": doc["pagination"]["next_cursor"]}
        assert len(rows) == len(fills[wallet])
        for row, (tx, log) in zip(rows, fills[wallet], strict=True):
            f = log.fields
            v1 = int(f["v"]) == 1
            buy = str(f["maker_asset"]) == "0" if v1 else f["side"] in (0, "BUY")
            usdc, shares = (f["maker_amount"], f["taker_amount"]) if buy else (f["taker_amount"], f["maker_amount"])
            fee = f["fee"]
            queue = refunds[tx.tx, f["order"]]
            if fee and queue:
                fee -= queue.pop(0)
            size, cash = _micro(row["size"]), _micro(row["usdc_size"])
            assert row["transaction_hash"] == tx.tx
            assert row["side"] == ("BUY" if buy else "SELL")
            if (tx.tx, f["order"]) not in takers or f["taker"] != f["ex"]:
                # A maker has no refund, so every figure follows from its own log.
                assert size == (shares - fee if v1 and buy else shares)
                assert cash == (usdc if v1 and buy else usdc + fee if buy else usdc - fee)
                expected = (Decimal(usdc) / Decimal(shares)).quantize(Decimal("1e-10"), ROUND_HALF_UP)
                assert row["price"] == expected
            else:
                paid_per_share = Decimal(row["price"])
                gross = (size + (fee if v1 and buy else 0)) * paid_per_share
                net = cash - (0 if v1 and buy else fee if buy else -fee)
                assert abs(gross - net) <= 1 + size // 10**9
                assert net <= usdc
            checked += 1
            with_fee += fee > 0
            sells += not buy
    assert checked > 500
    assert with_fee > 50
    assert sells > 50


def test_price_is_rounded_half_up_to_ten_decimals():
    assert price_of(1, 3) == 3_333_333_333
    assert price_of(2, 3) == 6_666_666_667
    assert price_of(1, 2 * 10**10) == 1  # 0.5 of the last place goes up
    assert price_of(5, 0) == 0


async def test_taker_only_is_the_default_and_gives_one_row_per_match(server, browser, logs, universe):
    matches = sum(log.t == "OrdersMatched" for _, log in logs)
    fills = sum(log.t == "OrderFilled" for _, log in logs)
    taker_rows = all_rows = 0
    for wallet in universe.wallets:
        url = f"{server.data_url}/v2/trades"
        taker_rows += len(await browser.walk(url, user=wallet, start=1, filter_amount="0.000001", limit=1000))
        all_rows += len(
            await browser.walk(url, user=wallet, start=1, filter_amount="0.000001", limit=1000, taker_only="false")
        )
    assert all_rows == fills
    assert taker_rows == matches < fills


async def test_balances_are_what_the_truth_of_share_movements_leaves(server, universe):
    """Supply per market: both outcomes have equal outstanding shares until redemptions burn some."""
    views = server.world.views
    open_markets = [m for m in server.world.catalog.markets if m.resolution is None]
    v2_only = [m for m in open_markets if m.meta.created_ts > 1_777_374_000]
    assert len(v2_only) > 3
    for market in v2_only:
        if market.meta.neg_risk:
            continue
        first, second = views.outstanding(market.number)
        assert first == second
    assert all(balance >= 0 for w in range(views.wallet_count) for balance in views.holdings(w).values())


async def test_no_contract_and_no_plumbing_is_ever_shown(server, browser, universe, logs):
    # The neg-risk burn address holds tokens and nothing else, as on Polymarket (accounting §1.2).
    views, burn = server.world.views, "0xa5ef39c3d3e10d0b270233af41cac69796b12966"
    names = {views.wallet_name(wallet): wallet for wallet in range(views.wallet_count)}
    assert set(names) <= {*universe.wallets, burn}
    assert all(row[5] >= 50 for row in views.history(names.get(burn, -1)))
    refused = await browser.get(f"{server.data_url}/v2/activity", user=burn)
    assert refused.status == 400
    user_splits = sum(
        1 for _, log in logs
        if log.t == "PositionSplit" and log.fields["stakeholder"].startswith("0x")
    )  # fmt: skip
    splits = merges = 0
    for wallet in universe.wallets:
        rows = await browser.walk(
            f"{server.data_url}/v2/activity", user=wallet, type="SPLIT,MERGE", start=1, limit=1000
        )
        splits += sum(row["type"] == "SPLIT" for row in rows)
        merges += sum(row["type"] == "MERGE" for row in rows)
        assert all(row["token_id"] == "" and row["outcome_index"] == 999 for row in rows)
    assert splits >= user_splits
    assert splits + merges > 0


async def test_redemption_rows_change_their_form_on_2026_08_10(server, browser, universe):
    before, after = [], []
    for wallet in universe.wallets:
        for row in await browser.walk(
            f"{server.data_url}/v2/activity", user=wallet, type="REDEEM", start=1, limit=1000
        ):
            (before if row["timestamp"] < 1_786_320_000 else after).append(row)
    assert len(before) > 20
    assert len(after) > 20
    assert all(
        row["token_id"] == "" and row["outcome_index"] == 999 and row["size"] == row["usdc_size"] for row in before
    )
    assert all(row["token_id"] != "" and row["outcome_index"] in (0, 1) for row in after)
    assert any(row["usdc_size"] == 0 and row["size"] > 0 for row in after)
