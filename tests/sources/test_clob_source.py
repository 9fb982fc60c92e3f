import pytest
from aiohttp import web

from polyhouse.domain.contracts import USDC_E
from polyhouse.domain.ids import format_token, token_ids
from polyhouse.errors import UpstreamContractError
from polyhouse.sources.clob import END, ClobMarkets, cursor_of, offset_of
from polyhouse.sources.http import CLOB, HttpClient


def market(number, **changes):
    condition = number.to_bytes(32, "big")
    tokens = [
        {"token_id": format_token(token), "outcome": name, "price": price, "winner": price == 1}
        for token, name, price in zip(token_ids(condition, USDC_E), ("Up", "Down"), (1, 0), strict=True)
    ]
    return {
        "condition_id": "0x" + condition.hex(), "question_id": "", "question": f"Q {number}",
        "market_slug": f"q-{number}",
        "tokens": tokens, "tags": ["All"], "neg_risk": False, "neg_risk_market_id": "", "closed": True,
        "end_date_iso": "2023-03-15T00:00:00Z", "is_50_50_outcome": False,
    } | changes  # fmt: skip


PLACEHOLDER = {
    "condition_id": "",
    "question_id": "",
    "tokens": [{"token_id": "", "outcome": "", "price": 0, "winner": False}] * 2,
}


class FakeClob:
    def __init__(self):
        self.rows, self.size, self.cursors, self.next = [], 4, [], None

    async def __call__(self, request):
        offset = offset_of(request.query["next_cursor"])
        self.cursors.append(offset)
        following = offset + self.size
        cursor = self.next or (END if following >= len(self.rows) else cursor_of(following))
        rows = self.rows[offset:following]
        return web.json_response({"data": rows, "next_cursor": cursor, "limit": self.size, "count": len(rows)})


@pytest.fixture
def clob_api():
    return FakeClob()


@pytest.fixture
async def clob_client(serve, clob_api, instant_clock):
    async with HttpClient(await serve(clob_api), CLOB, clock=instant_clock, rate_scale=1_000.0) as client:
        yield client


def test_cursors_are_offsets():
    assert cursor_of(100) == "MTAw"
    assert offset_of("MTAw") == 100
    assert offset_of(END) is None
    with pytest.raises(UpstreamContractError):
        offset_of("not base64 of a number")


async def test_ranges_cover_the_list_and_the_end_is_marked(clob_client, clob_api, walks):
    clob_api.size = 4_000
    clob_api.rows = [PLACEHOLDER] * 12_000 + [market(1), PLACEHOLDER]  # a page may reach over the end of its range
    stream = ClobMarkets(clob_client)
    first, second, third = stream.partitions(0, 3)
    assert [p.key for p in (first, second, third)] == ["000000000", "000010000", "000020000"]
    pages = await walks.pieces(lambda: ClobMarkets(clob_client), first)
    assert clob_api.cursors == [0, 4_000, 8_000]
    assert [(page.is_last, page.notes) for page in pages] == [(False, {}), (False, {}), (True, {})]
    assert [page.ignored for page in pages] == [4_000, 4_000, 4_000]
    (page,) = await walks.whole(stream, second)
    assert page.ignored == 2_001
    assert (page.is_last, page.notes) == (True, {"end": 1})
    assert [m["question"] for m in walks.rows([page], "markets")] == ["Q 1"]
    (beyond,) = await walks.whole(stream, third)
    assert (beyond.fetched, beyond.is_last, beyond.notes) == (0, True, {"end": 1})


async def test_a_market_and_its_winner(clob_client, clob_api, walks):
    even = market(2, is_50_50_outcome=True)
    for token in even["tokens"]:
        token |= {"winner": False, "price": 0.5}
    neg_risk = market(4, question_id="0x" + "33" * 31 + "05", neg_risk_market_id="0x" + "33" * 31 + "00", closed=False)
    game = {"game_start_time": "2023-03-14T12:30:00Z"}
    clob_api.rows = [market(1, **game), even, market(3, tokens=None, tags=None), neg_risk]
    stream = ClobMarkets(clob_client)
    (page,) = await walks.whole(stream, stream.partitions(0, 1)[0])
    rows = walks.rows([page], "markets")
    assert [(r["status"], r["prices_e6"], r["question_index"]) for r in rows] == [
        ("WINNER_0", [1_000_000, 0], 65_535),
        ("SPLIT", [500_000, 500_000], 65_535),
        ("", [], 65_535),
        ("", [1_000_000, 0], 5),
    ]
    assert [r["game_start_ts"] for r in rows] == [1_678_797_000, 0, 0, 0]
    assert [len(r["tokens"]) for r in rows] == [2, 2, 0, 2]
    assert len(walks.rows([page], "tokens")) == 6
    assert page.fetched == 4 + 6


async def test_bad_rows_cost_only_themselves(clob_client, clob_api, walks):
    wrong = market(2)
    wrong["tokens"] = market(3)["tokens"]
    clob_api.rows = [market(1, condition_id="0x1"), wrong, market(4, tokens="none"), market(5)]
    stream = ClobMarkets(clob_client)
    (page,) = await walks.whole(stream, stream.partitions(0, 1)[0])
    assert [r.reason for r in page.rejected] == ["bad_value", "token_mismatch", "token_mismatch", "shape"]
    assert [r["question"] for r in walks.rows([page], "markets")] == ["Q 2", "Q 5"]


async def test_a_cursor_that_leads_back_is_refused(clob_client, clob_api, walks):
    clob_api.rows = [market(n) for n in range(1, 9)]
    clob_api.next = cursor_of(0)
    stream = ClobMarkets(clob_client)
    with pytest.raises(UpstreamContractError, match="leads back"):
        await walks.whole(stream, stream.partitions(0, 1)[0])
