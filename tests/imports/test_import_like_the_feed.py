"""A saved row and the same row from the feed are one row: same natural key, same amounts."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from polyhouse.sources.data_api import Activity
from polyhouse.sources.files import read
from polyhouse.sources.http import DATA, HttpClient

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded"
FILES = [
    "Polymarket__py-sdk/tests/fixtures/data_v2/activity.json",
    "edulabrador__polymarket-smart-money/tests/fixtures/activity.json",
    "edulabrador__polymarket-smart-money/tests/fixtures/activity_all.json",
    "sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/activity_merge_h2.json",
    "sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/activity_rebates_w0.json",
    "sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/activity_trade_redeem_w.json",
    "sppburke__prediction-markets/crates/source-polymarket-public/tests/fixtures/activity_redeem_no_asset_w0.json",
]
V2_NAMES = {
    "proxyWallet": "proxy_wallet", "conditionId": "condition_id", "usdcSize": "usdc_size", "asset": "token_id",
    "transactionHash": "transaction_hash", "outcomeIndex": "outcome_index",
}  # fmt: skip
COMPARED = (
    "wallet", "token", "condition", "tx", "kind", "ts", "ordinal", "shares", "cash", "usdc_gross", "fee_usdc",
    "fee_net", "fee_asset", "shares_gross", "price_e12", "role", "label", "flags", "source",
)  # fmt: skip


def _tuples(columns):
    return sorted(zip(*(columns[name] for name in COMPARED), strict=True))


async def _feed(body, wallet):
    """Observations of one answer of the activity route, read by the live source from a server."""

    async def answer(request):
        assert request.path == "/v2/activity"
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        async with HttpClient(f"http://127.0.0.1:{port}", DATA) as client:
            source = Activity(client)
            (page,) = [page async for page in source.pages(source.partition(wallet), {})]
        assert (page.ignored, list(page.rejected)) == (0, [])
        return page.tables["observations"]
    finally:
        await runner.cleanup()


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded answers (../shared/recorded) are not here")
@pytest.mark.parametrize("name", FILES)
async def test_a_file_and_the_feed_agree(name):
    path = RECORDED / name
    saved = json.loads(path.read_text(encoding="utf-8"), parse_float=str)
    rows = sorted(
        ({V2_NAMES.get(key, key): value for key, value in row.items()} for row in saved),
        key=lambda row: row["timestamp"],
    )
    body = json.dumps({"data": rows, "pagination": {"has_more": False, "next_cursor": None}}).encode()
    fed = await _feed(body, rows[0]["proxy_wallet"])
    (batch,) = read(path)
    assert _tuples(batch.tables["observations"]) == _tuples(fed)
