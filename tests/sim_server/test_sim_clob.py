"""Wire quirks of the simulated CLOB market list (upstream §7)."""

from __future__ import annotations

import base64
from collections import Counter

from polyhouse.sim.server import SimServer
from polyhouse.sim.world import Quirks


def _cursor(offset: int) -> str:
    return base64.b64encode(str(offset).encode()).decode()


async def test_offsets_can_be_made_up_and_cover_every_market_once(universe, browser):
    async with SimServer(universe, enforce_limits=False, quirks=Quirks(clob_page=25, placeholder_every=10)) as server:
        rows, offset = [], 0
        while True:
            doc = (await browser.get(f"{server.clob_url}/markets", next_cursor=_cursor(offset))).doc
            assert doc["count"] == len(doc["data"])
            assert doc["limit"] == 25
            rows += doc["data"]
            if doc["next_cursor"] == "LTE=":
                break
            assert doc["next_cursor"] == _cursor(offset + 25)
            offset += 25
        ids = Counter(row["condition_id"] for row in rows)
        placeholders = ids.pop("")
        assert placeholders == len([1 for place in range(len(rows)) if place % 10 == 9])
        assert ids == Counter(m.meta.condition_id for m in server.world.visible_markets())
        beyond = (await browser.get(f"{server.clob_url}/markets", next_cursor=_cursor(1_000_000))).doc
        assert beyond["data"] == []
        assert beyond["next_cursor"] == "LTE="
        first = (await browser.get(f"{server.clob_url}/markets")).doc
        assert first["data"] == rows[:25]


async def test_winners_and_even_outcomes(server, browser):
    rows = (await browser.get(f"{server.clob_url}/markets")).doc["data"]
    states = {m.meta.condition_id: m for m in server.world.catalog.markets}
    seen = Counter()
    for row in rows:
        if not row["condition_id"]:
            continue
        resolution = states[row["condition_id"]].resolution
        winners = [token["winner"] for token in row["tokens"]]
        assert row["closed"] == (resolution is not None)
        if resolution is None:
            assert winners == [False, False]
        elif resolution.numerators[0] == resolution.numerators[1]:
            assert row["is_50_50_outcome"]
            assert winners == [False, False]
            assert [token["price"] for token in row["tokens"]] == [0.5, 0.5]
        else:
            assert winners == [value > 0 for value in resolution.numerators]
        seen[resolution and resolution.numerators] += 1
    assert len(seen) >= 3


async def test_errors_and_single_market(server, browser):
    for bad in ("???", _cursor(-5), base64.b64encode(b"x").decode()):
        answer = await browser.get(f"{server.clob_url}/markets", next_cursor=bad)
        assert answer.status == 400
        assert set(answer.doc) == {"error"}
    known = server.world.visible_markets()[0].meta
    assert (await browser.get(f"{server.clob_url}/markets/{known.condition_id}")).doc["question"] == known.question
    assert (await browser.get(f"{server.clob_url}/markets/0x{'ab' * 32}")).status == 404
    assert (await browser.get(f"{server.clob_url}/nothing")).status == 404
