import base64
import json

import pytest
from aiohttp import web

from polyhouse import tables
from polyhouse.domain.contracts import USDC_E, WCOL
from polyhouse.domain.ids import format_token, neg_risk_condition_id, token_ids
from polyhouse.domain.times import parse_time
from polyhouse.errors import ConfigError, UpstreamContractError, UpstreamRefusedError
from polyhouse.sources.gamma import GammaEvents, GammaMarkets
from polyhouse.sources.http import GAMMA, HttpClient

NOW = parse_time("2026-11-21T11:00:00Z")
NEG_RISK_MARKET = b"\x33" * 31 + b"\x00"


def market(number, *, neg_risk=False, **changes):
    condition = neg_risk_condition_id(NEG_RISK_MARKET, number) if neg_risk else bytes([number]) * 32
    tokens = [format_token(token) for token in token_ids(condition, WCOL if neg_risk else USDC_E)]
    row = {
        "id": str(1000 + number), "conditionId": "0x" + condition.hex(), "question": f"Question {number}?",
        "slug": f"question-{number}", "outcomes": json.dumps(["Yes", "No"]),
        "outcomePrices": json.dumps(["0.584", "0.416"]),
        "clobTokenIds": json.dumps(tokens), "closed": True, "closedTime": "2026-07-24 00:00:16+00",
        "gameStartTime": "2026-07-23 12:30:00+00",
        "startDate": "2026-07-22T00:01:27.770446Z", "endDate": "2026-07-23T18:30:00Z",
        "umaResolutionStatus": "resolved",
        "questionID": "0x" + bytes([number]).hex() * 32, "feesEnabled": False, "negRisk": neg_risk,
    }  # fmt: skip
    if neg_risk:
        row |= {
            "questionID": "0x" + (NEG_RISK_MARKET[:31] + bytes([number])).hex(),
            "negRiskMarketID": "0x" + NEG_RISK_MARKET.hex(),
        }
    return {name: value for name, value in (row | changes).items() if value is not ...}


def event(number, markets=(), **changes):
    return {
        "id": str(number), "slug": f"event-{number}", "title": f"Event {number}", "closed": False,
        "startDate": "2026-07-22T00:00:00Z", "endDate": "2026-07-23T00:00:00Z", "markets": list(markets),
        "tags": [{"id": "1", "label": "All", "slug": "all"}, {"id": "2", "label": "Ice Hockey", "slug": "nhl"}],
        "series": [{"id": "3", "slug": "nhl-2026", "title": "NHL"}],
    } | changes  # fmt: skip


class FakeGamma:
    def __init__(self):
        self.events, self.markets, self.queries = [], [], []
        self.page = 2
        self.repeat = None

    async def __call__(self, request):
        query = request.query
        self.queries.append({name: query.getall(name) for name in dict.fromkeys(query)})
        kind = request.path.split("/")[1]
        rows = [row for row in getattr(self, kind) if self.matches(row, query)]
        if query.get("include_markets") == "false":
            rows = [{name: value for name, value in row.items() if name != "markets"} for row in rows]
        start = int(base64.b64decode(query["after_cursor"])) if "after_cursor" in query else 0
        document = {kind: rows[start : start + self.page]}
        if start + self.page < len(rows):
            document["next_cursor"] = self.repeat or base64.b64encode(str(start + self.page).encode()).decode()
        return web.json_response(document)

    @staticmethod
    def matches(row, query):
        by_ids = any(name in query for name in ("id", "condition_ids", "clob_token_ids"))
        closed = query.get("closed", "false" if by_ids else None)
        if closed is not None and bool(row.get("closed")) is not (closed == "true"):
            return False
        if "id" in query and row["id"] not in query.getall("id"):
            return False
        if "condition_ids" in query and row["conditionId"] not in query.getall("condition_ids"):
            return False
        start = row.get("startDate")
        if "start_date_min" in query and not (start and start[:19] > query["start_date_min"][:19]):
            return False
        return "start_date_max" not in query or bool(start and start[:19] < query["start_date_max"][:19])


@pytest.fixture
def gamma_api():
    return FakeGamma()


@pytest.fixture
async def gamma_client(serve, gamma_api, instant_clock):
    async with HttpClient(await serve(gamma_api), GAMMA, clock=instant_clock, rate_scale=1_000.0) as client:
        yield client


async def read_event(client, walks, api, row):
    api.events = [row]
    stream = GammaEvents(client)
    (page,) = await walks.whole(stream, stream.by_ids([int(row["id"]) if str(row["id"]).isdigit() else 1]))
    return page


async def test_an_event_with_its_markets(gamma_client, gamma_api, walks):
    page = await read_event(gamma_client, walks, gamma_api, event(7, [market(1), market(2)]))
    (got,) = walks.rows([page], "events")
    assert got["event_id"] == 7
    assert got["tags"] == ["All", "all", "Ice Hockey", "nhl"]
    assert (got["category"], got["series"], got["closed"]) == ("sports", "nhl-2026", False)
    first, second = walks.rows([page], "markets")
    assert first == {
        "condition": b"\x01" * 32, "market_id": 1001, "question_id": b"\x01" * 32, "question": "Question 1?",
        "slug": "question-1", "event_id": 7, "outcomes": ["Yes", "No"], "neg_risk": False, "neg_risk_market": b"",
        "question_index": 65_535, "tags": ["All", "all", "Ice Hockey", "nhl"],
        "start_ts": parse_time("2026-07-22T00:01:27Z"), "end_ts": parse_time("2026-07-23T18:30:00Z"),
        "closed_ts": parse_time("2026-07-24T00:00:16Z"), "game_start_ts": parse_time("2026-07-23T12:30:00Z"),
        "closed": True, "fee_rate_e6": 0, "status": "resolved",
        "prices_e6": [584_000, 416_000], "tokens": list(token_ids(b"\x01" * 32, USDC_E)), "source": "gamma",
    }  # fmt: skip
    tokens = walks.rows([page], "tokens")
    assert [(t["condition"][0], t["outcome"], t["verified"]) for t in tokens] == [
        (1, 0, True),
        (1, 1, True),
        (2, 0, True),
        (2, 1, True),
    ]
    assert (page.fetched, page.rejected) == (7, [])
    for name, columns in page.tables.items():
        assert set(columns) <= set(tables.BY_NAME[name].columns)
    assert second["condition"] == b"\x02" * 32


async def test_a_neg_risk_event(gamma_client, gamma_api, walks):
    row = event(
        7, [market(n, neg_risk=True) for n in (0, 1, 2)], negRisk=True, negRiskFeeBips=200, tags=None,
        negRiskMarketID="0x" + NEG_RISK_MARKET.hex(),
    )  # fmt: skip
    page = await read_event(gamma_client, walks, gamma_api, row)
    assert page.rejected == []
    assert walks.rows([page], "neg_risk_markets") == [
        {"market": NEG_RISK_MARKET, "question_count": 3, "fee_bips": 200, "source": "gamma"}
    ]
    assert [m["question_index"] for m in walks.rows([page], "markets")] == [0, 1, 2]
    assert len(walks.rows([page], "tokens")) == 6
    assert walks.rows([page], "events")[0]["category"] == "other"


async def test_tokens_that_do_not_belong_are_rejected_and_the_market_stays(gamma_client, gamma_api, walks):
    swapped = json.dumps(json.loads(market(1)["clobTokenIds"])[::-1])
    rows = [
        market(1, clobTokenIds=swapped),
        market(2, clobTokenIds=json.dumps(["1", "2", "3"])),
        market(3, clobTokenIds=json.dumps(["x", "2"])),
        market(4, negRisk=True),  # a wrong flag: the ids themselves prove what they are
    ]
    page = await read_event(gamma_client, walks, gamma_api, event(7, rows))
    assert [r.reason for r in page.rejected] == ["token_mismatch"] * 2 + ["not_binary"] * 3 + [
        "bad_value",
        "token_mismatch",
    ]
    assert len(walks.rows([page], "markets")) == 4
    assert [m["tokens"] for m in walks.rows([page], "markets")][:3] == [[], [], []]
    assert {t["condition"][0] for t in walks.rows([page], "tokens")} == {4}


async def test_lists_come_in_every_spelling_or_not_at_all(gamma_client, gamma_api, walks):
    plain = json.loads(market(1)["clobTokenIds"])
    rows = [
        market(1, outcomes=["Up", "Down"], outcomePrices=[0.5, "0.5"], clobTokenIds=[int(plain[0]), plain[1]]),
        market(2, clobTokenIds=..., outcomes=..., outcomePrices=..., closedTime=..., id=..., questionID=""),
        market(3, clobTokenIds="", outcomes="", outcomePrices=""),
        market(4, clobTokenIds=None, outcomes="null"),
        market(5, feesEnabled=True, feeSchedule={"rate": 0.07, "exponent": 1, "takerOnly": True}),
    ]
    page = await read_event(gamma_client, walks, gamma_api, event(7, rows))
    assert page.rejected == []
    got = walks.rows([page], "markets")
    assert [m["outcomes"] for m in got] == [["Up", "Down"], [], [], [], ["Yes", "No"]]
    assert [len(m["tokens"]) for m in got] == [2, 0, 0, 0, 2]
    assert [m["fee_rate_e6"] for m in got] == [0, 0, 0, 0, 70_000]
    assert got[0]["prices_e6"] == [500_000, 500_000]


async def test_bad_rows_cost_only_themselves(gamma_client, gamma_api, walks):
    rows = [
        market(1),
        market(2, conditionId="0x12"),
        market(3, conditionId=""),
        market(4, outcomes={"a": 1}),
        "text",
        market(5),
    ]
    page = await read_event(gamma_client, walks, gamma_api, event(7, rows))
    assert [r.reason for r in page.rejected] == ["bad_value", "shape", "shape"]
    assert page.ignored == 1
    assert [m["market_id"] for m in walks.rows([page], "markets")] == [1001, 1005]


async def test_the_partitions_cover_every_event(gamma_client, gamma_api, walks):
    starts = [
        None, "", "2020-10-01T00:00:00Z", "2021-01-01T00:00:00Z", "2024-12-31T23:59:59.999999Z", "2025-06-01T00:00:00Z",
        "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-21T10:00:00.5Z",
        "2027-05-01T00:00:00Z", "soon",
    ]  # fmt: skip
    gamma_api.page = 3
    gamma_api.events = [
        event(100 * closed + number, startDate=start, closed=bool(closed))
        for closed in (0, 1)
        for number, start in enumerate(starts, start=1)
    ]
    stream = GammaEvents(gamma_client)
    partitions = stream.partitions(NOW)
    assert len({partition.key for partition in partitions}) == len(partitions)
    found = set()
    for partition in partitions:
        pages = await walks.whole(stream, partition)
        assert set(pages[-1].position) == {"done_at"}
        found |= {r["event_id"] for r in walks.rows(pages, "events")}
    assert found == {int(row["id"]) for row in gamma_api.events}
    # Later partitions keep the keys of earlier ones.
    earlier = {p.key for p in stream.partitions(NOW - 40 * 86_400)}
    assert len(earlier - {p.key for p in partitions}) == 2  # the open-ended last slices


async def test_a_walk_ends_only_at_a_null_cursor(gamma_client, gamma_api, walks):
    gamma_api.events = [event(n) for n in range(1, 8)]
    stream = GammaEvents(gamma_client)
    partition = next(p for p in stream.partitions(NOW) if p.key == "open/2026-07-20..2026-07-27")
    pages = await walks.pieces(lambda: GammaEvents(gamma_client), partition)
    assert [r["event_id"] for r in walks.rows(pages, "events")] == list(range(1, 8))
    assert {query["limit"][0] for query in gamma_api.queries} == {"100"}  # the short pages of two did not end it
    gamma_api.repeat = base64.b64encode(b"2").decode()
    with pytest.raises(UpstreamContractError, match="repeated"):
        await walks.whole(stream, partition)


async def test_a_page_that_comes_twice_is_noticed(serve, instant_clock, walks):
    async def handler(request):
        cursor = int(request.query.get("after_cursor", "0"))
        return web.json_response({"events": [event(1), event(2)], "next_cursor": str(cursor + 2)})

    async with HttpClient(await serve(handler), GAMMA, clock=instant_clock) as client:
        stream = GammaEvents(client)
        with pytest.raises(UpstreamContractError, match="same page twice"):
            await walks.whole(stream, stream.partitions(NOW)[0])


async def test_an_answer_without_the_list_is_no_empty_page(serve, instant_clock, walks):
    async def handler(request):
        return web.json_response({"data": []})

    async with HttpClient(await serve(handler), GAMMA, clock=instant_clock) as client:
        stream = GammaEvents(client)
        with pytest.raises(UpstreamContractError):
            await walks.whole(stream, stream.partitions(NOW)[0])


async def test_look_up_by_conditions_asks_open_and_closed_in_chunks(gamma_client, gamma_api, walks):
    gamma_api.page = 100
    gamma_api.markets = [
        market(n, closed=bool(n % 2), events=[{"id": "77"}], tags=[{"label": "Crypto"}]) for n in range(1, 46)
    ]
    stream = GammaMarkets(gamma_client)
    partition = stream.by_conditions([row["conditionId"] for row in gamma_api.markets])
    pages = await walks.pieces(lambda: GammaMarkets(gamma_client), partition)
    rows = walks.rows(pages, "markets")
    assert {r["market_id"] for r in rows} == set(range(1001, 1046))
    assert {(r["event_id"], *r["tags"]) for r in rows} == {(77, "Crypto")}
    assert [len(query["condition_ids"]) for query in gamma_api.queries] == [20, 20, 20, 20, 5, 5]
    assert [query["closed"] for query in gamma_api.queries] == [["false"], ["true"]] * 3
    assert [page.is_last for page in pages] == [False] * 5 + [True]


async def test_a_query_that_is_too_long_is_halved(serve, instant_clock, walks):
    sizes = []

    async def handler(request):
        ids = request.query.getall("clob_token_ids")
        sizes.append(len(ids))
        if len(ids) > 5:
            return web.Response(status=403, text="<html>blocked</html>", content_type="text/html")
        return web.json_response({"markets": [market(int(n)) for n in ids], "next_cursor": None})

    async with HttpClient(await serve(handler), GAMMA, clock=instant_clock) as client:
        stream = GammaMarkets(client)
        pages = await walks.whole(stream, stream.by_tokens([str(n) for n in range(1, 13)]))
        assert sorted(m["market_id"] for m in walks.rows(pages[:1], "markets")) == list(range(1001, 1013))
        assert sizes[:7] == [12, 6, 3, 3, 6, 3, 3]

    async def always(request):
        return web.Response(status=403, text="<html>blocked</html>", content_type="text/html")

    async with HttpClient(await serve(always), GAMMA, clock=instant_clock) as client:
        stream = GammaMarkets(client)
        with pytest.raises(UpstreamRefusedError) as caught:
            await walks.whole(stream, stream.by_tokens(["1", "2"]))
        assert caught.value.status == 403
        with pytest.raises(ConfigError):
            await walks.whole(stream, stream.by_tokens([]))
