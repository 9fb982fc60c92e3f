import pytest
from aiohttp import web

from polyhouse.domain.contracts import USDC_E, WCOL
from polyhouse.domain.ids import format_token, token_ids
from polyhouse.errors import ConfigError, UpstreamContractError, UpstreamUnavailableError
from polyhouse.sources.data_api import Holders, Positions, Resolutions, Tokens, Values, status

WALLET = "0x" + "7c" * 20
CONDITION = "0x" + "0a" * 32
TOKENS = [format_token(token) for token in token_ids(b"\x0a" * 32, USDC_E)]


def resolution(**changes):
    return {
        "condition_id": CONDITION, "status": "resolved", "payouts": [0, 1_000_000], "resolved_block": 93_784_296,
        "resolved_at": "2026-09-14T10:24:36Z", "price": "0", "last_update_timestamp": "1785355919", "log_index": "170",
        "transaction_hash": "0x" + "1f" * 32,
    } | changes  # fmt: skip


async def test_resolutions(data_client, fake_data_api, walks):
    fake_data_api.rows = [
        resolution(),
        resolution(payouts=[500_000, 500_000], resolved_at=1_785_355_919),
        resolution(payouts=[1_000_000, 0], resolved_at=None, resolved_block=None),
        resolution(status="posed", payouts=None),
        resolution(payouts=None),
        resolution(payouts=[0, 0]),
        resolution(payouts=[-1, 2]),
        resolution(resolved_at="yesterday"),
        resolution(condition_id="0x1"),
        resolution(payouts="yes"),
    ]
    stream = Resolutions(data_client)
    (page,) = await walks.whole(stream, stream.partition([CONDITION]))
    rows = walks.rows([page], "resolutions")
    assert [(r["numerators"], r["ts"], r["block"]) for r in rows] == [
        ([0, 1_000_000], 1_789_381_476, 93_784_296),
        ([500_000, 500_000], 1_785_355_919, 93_784_296),
        ([1_000_000, 0], 1_785_355_919, 0),
    ]
    assert {(r["source"], r["provisional"]) for r in rows} == {("resolutions", False)}
    assert page.notes == {"unresolved": 1, "without_payouts": 1}
    assert [reject.reason for reject in page.rejected] == [
        "shape",
        "bad_payouts",
        "bad_payouts",
        "bad_value",
        "bad_value",
    ]
    assert page.fetched == 10
    assert fake_data_api.queries == [{"condition": CONDITION}]


async def test_lookups_need_no_pagination(data_client, fake_data_api, walks):
    fake_data_api.rows = [resolution()]
    fake_data_api.change = lambda document, query: {"data": document["data"]}
    stream = Resolutions(data_client)
    (page,) = await walks.whole(stream, stream.partition([CONDITION]))
    assert len(walks.rows([page], "resolutions")) == 1
    fake_data_api.change = lambda document, query: {"data": None}
    (page,) = await walks.whole(stream, stream.partition([CONDITION]))
    assert (page.fetched, page.is_last, page.tables) == (0, True, {})


async def test_tokens_are_proven_not_believed(data_client, fake_data_api, walks):
    wrapped = [format_token(token) for token in token_ids(b"\x0a" * 32, WCOL)]
    v2_condition = "0x" + "0c" * 31
    v2_token = str(int.from_bytes(b"\x0c" * 31 + b"\x01", "big"))

    def token(token_id, outcome, **changes):
        base = {"token_id": token_id, "condition_id": CONDITION, "outcome_index": outcome, "neg_risk": False}
        return base | changes

    fake_data_api.rows = [
        token(TOKENS[0], 0),
        token(TOKENS[1], 1),
        token(wrapped[1], 1, neg_risk=True),
        token(v2_token, 1, condition_id=v2_condition),
        token(TOKENS[0], 1),
        token("99", 0),
        token(TOKENS[0], 999),
    ]
    stream = Tokens(data_client)
    (page,) = await walks.whole(stream, stream.partition(TOKENS))
    rows = walks.rows([page], "tokens")
    assert [(r["outcome"], r["verified"], len(r["condition"])) for r in rows] == [
        (0, True, 32), (1, True, 32), (1, True, 32), (1, True, 31),
    ]  # fmt: skip
    assert [r.reason for r in page.rejected] == ["token_mismatch", "token_mismatch", "unknown_outcome"]
    assert set(fake_data_api.queries[0]["token_id"].split(",")) == set(TOKENS)
    with pytest.raises(ConfigError):
        await walks.whole(stream, stream.partition([str(n) for n in range(51)]))


async def test_positions_are_walked_by_time_and_rounded_only_where_printed_finer(data_client, fake_data_api, walks):
    position = {
        "proxy_wallet": WALLET, "token_id": TOKENS[0], "condition_id": CONDITION, "current_size": 400000.0,
        "avg_price": 0.5, "realized_pnl": -0.0000005, "unrealized_pnl": -101800.0, "current_value": 301800.1234567,
        "status": "OPEN", "last_event_at": 1_787_499_970,
    }  # fmt: skip
    fake_data_api.rows = [position, position | {"token_id": "x"}, position | {"current_size": "1e400"}, position]
    stream = Positions(data_client, page_limit=3)
    pages = await walks.pieces(lambda: Positions(data_client, page_limit=3), stream.partition(WALLET))
    first, last = walks.rows(pages, "reported_positions")
    assert first == last
    assert (first["shares"], first["realized"], first["unrealized"]) == (400_000_000_000, 0, -101_800_000_000)
    assert (first["current_value"], first["avg_price_e6"]) == (301_800_123_457, 500_000)
    assert [reject.reason for page in pages for reject in page.rejected] == ["bad_value", "bad_value"]
    assert set(pages[-1].position) == {"done_at"}
    query = fake_data_api.queries[0]
    assert (query["sort_by"], query["status"], query["filter_amount"]) == ("TIMESTAMP", "OPEN", "0.000001")


async def test_holders_count_every_holder(data_client, fake_data_api, walks):
    holder = {"proxy_wallet": WALLET, "amount": 1878.77239, "outcome_index": 0}
    fake_data_api.rows = [
        {"token_id": TOKENS[0], "holders": [holder, holder | {"proxy_wallet": "0x1"}]},
        {"token_id": TOKENS[1], "holders": None},
        {"token_id": TOKENS[1], "holders": [holder | {"outcome_index": None}]},
    ]
    stream = Holders(data_client, page_limit=2)
    pages = await walks.whole(stream, stream.partition([CONDITION]))
    rows = walks.rows(pages, "reported_holders")
    assert [(r["shares"], r["outcome"]) for r in rows] == [(1_878_772_390, 0), (1_878_772_390, 999)]
    assert [page.fetched for page in pages] == [2, 1]
    assert len(pages[0].rejected) == 1


async def test_value(serve, instant_clock, data_client, walks):
    from polyhouse.sources.http import DATA, HttpClient

    answers = [
        {"data": {"proxy_wallet": WALLET, "value": 684953.8942}},
        {"data": None},
        {"data": {"proxy_wallet": "0x" + "11" * 20, "value": 1}},
    ]

    async def handler(request):
        return web.json_response(answers.pop(0))

    async with HttpClient(await serve(handler), DATA, clock=instant_clock) as client:
        stream = Values(client)
        partition = stream.partition(WALLET)
        (page,) = await walks.whole(stream, partition)
        assert walks.rows([page], "reported_values") == [
            {"wallet": b"\x7c" * 20, "value": 684_953_894_200, "seen_at": int(instant_clock.now)}
        ]
        (page,) = await walks.whole(stream, partition)
        assert (page.fetched, page.tables) == (0, {})
        with pytest.raises(UpstreamContractError, match="another wallet"):
            await walks.whole(stream, partition)


async def test_status(serve, instant_clock):
    from polyhouse.sources.http import DATA, HttpClient

    answers = [
        {"data": {"computed_at": "2026-10-07T00:00:00Z", "serving": {"lag_seconds": 4, "mechanisms": []},
                  "ingestion": {"max_synced_block": 93, "min_synced_block": 92, "lagging": []}}},
        {"error": "maintenance", "code": "dependency_unavailable"},
    ]  # fmt: skip

    async def handler(request):
        return web.json_response(answers.pop(0) if len(answers) > 1 else answers[0])

    async with HttpClient(await serve(handler), DATA, clock=instant_clock) as client:
        seen = await status(client)
        assert (seen.serving.lag_seconds, seen.ingestion.min_synced_block) == (4.0, 92)
        with pytest.raises(UpstreamUnavailableError, match="maintenance"):
            await status(client)
