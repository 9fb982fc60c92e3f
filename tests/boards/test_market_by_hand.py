"""A market whose holders, flow, prices and traders are worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from board_rows import AS_OF, USD, built, totals, wallet
from score_store import OPEN, columns, condition, fill, load, market_tables, resolution, token

from polyhouse.errors import BadInputError
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import encode
from polyhouse.reads.market import UnknownMarketError, market
from polyhouse.reads.market_flow import step_of

CONDITION = "0x" + condition(1).hex()


def role(row: dict[str, Any], word: str) -> dict[str, Any]:
    return row | {"role": word}


@pytest.fixture(scope="module")
def traded(shared: Warehouse) -> Warehouse:
    """aa takes 100 of the first outcome at 0.40 from bb's order for the second (a mint); cc buys 60 at 0.30 and
    sells 50 to dd at 0.60; ee is only reported.
    """
    tables = market_tables(1, 2, slug="shall-it-be", question="Shall it be?", outcomes=["Yes", "No"])
    tables["markets"]["slug"] = ["shall-it-be", "twice"]
    load(shared, tables)
    rows = [
        role(fill(0xAA, 1, 100, 4_000, tx=1), "TAKER"),
        role(fill(0xBB, 1, 100, 6_000, outcome=1, tx=1), "MAKER"),
        role(fill(0xCC, 2, 60, 1_800, tx=2), "DIRECT"),
        role(fill(0xCC, 30, 50, 3_000, kind="SELL", tx=3), "TAKER"),
        role(fill(0xDD, 30, 50, 3_000, tx=3), "MAKER"),
    ]
    load(shared, {"observations": columns(rows)})
    load(shared, {"reported_holders": {
        "token": [token(1, 1), token(1, 0)], "wallet": [b"\xee" * 20, b"\xaa" * 20], "shares": [40 * USD, 90 * USD],
        "outcome": [1, 0],
    }})  # fmt: skip
    build(shared)
    for name, gains, losses, units in (("aa", 550, 50, 12), ("bb", 50, 250, 30), ("dd", 200, 50, 10)):
        totals(shared, name, gains=gains * USD, losses_abs=losses * USD, wins=units, losses=0, version=2**62)
    built(shared, AS_OF)
    return shared


def test_holders_are_listed_by_value_with_both_counts_of_their_shares(traded: Warehouse) -> None:
    """The last price is 0.60: aa 60, dd 30, cc 6 on the first outcome; bb 40, ee 16 on the second."""
    document = market(traded, CONDITION)
    assert document["holder_count"] == 5
    listed = [
        (row["wallet"][2:4], row["outcome_index"], row["shares"], row["reported_shares"], row["value"], row["tier"])
        for row in document["holders"]
    ]
    assert listed == [
        ("aa", 0, 100, 90, 60, "elite"), ("bb", 1, 100, None, 40, "poor"), ("dd", 0, 50, None, 30, "smart"),
        ("ee", 1, None, 40, 16, "unknown"), ("cc", 0, 10, None, 6, "unknown"),
    ]  # fmt: skip
    first = document["holders"][0]
    # gains 550, losses 50: 600 of 700 with the shrinkage, and 600 over 100
    assert (first["smart_score"], first["omega_shrunk"]) == (Decimal("85.714285714"), 6)
    assert (first["cost"], first["unrealized"], first["grade"], first["units"]) == (40, 20, "S", 12)
    assert market(traded, CONDITION, holders=2)["holder_count"] == 5
    assert len(market(traded, CONDITION, holders=2)["holders"]) == 2


def test_the_smart_split_of_the_market(traded: Warehouse) -> None:
    smart = market(traded, CONDITION)["smart_money"]
    assert (smart["status"], smart["verdict"], smart["favours_outcome_index"]) == ("OK", "LEAN", 0)
    assert smart["inputs"] == {
        "smart_value": [90, 0], "known_value": [90, 40], "total_value": [96, 56],
    }  # fmt: skip
    assert (smart["sentiment"], smart["smart_share"], smart["market_share"], smart["divergence"]) == (100, 100, 60, 40)
    assert smart["confidence"] == Decimal("59.210526316")  # 90 of 152
    # aa 85.71, dd 250/350 = 71.43; bb (50 + 50) / (50 + 250 + 100) = 25
    assert smart["signal"] == {"value": Decimal("53.571428571"), "status": "OK", "confidence": 100}
    assert smart["is_opportunity"] is False


def test_who_earned(traded: Warehouse) -> None:
    people = market(traded, CONDITION)["traders"]
    assert people["count"] == 4
    assert [(row["wallet"], row["realized"], row["pnl"], row["bought_cost"]) for row in people["best"]] == [
        (wallet("cc"), 15, 18, 18)  # sold 50 of 60 for 30 that had cost 15; 10 at 0.60 that cost 3
    ]
    assert people["worst"] == []


def test_flow_by_role_and_one_sided_volume(traded: Warehouse) -> None:
    flow = market(traded, CONDITION)["flow"]
    total = flow["total"]
    assert (total["taker_volume"], total["maker_volume"], total["direct_volume"], total["unknown_volume"]) == (
        70, 90, 18, 0,
    )  # fmt: skip
    assert total["volume"] == 88
    assert (total["taker_bought"], total["taker_sold"]) == ([40, 0], [30, 0])
    assert total["net_shares"] == 50  # bought 100 of the first outcome, sold 50
    assert [total[f"{name}_fills"] for name in ("taker", "maker", "direct", "unknown")] == [2, 2, 1, 0]
    assert flow["step_seconds"] == 300  # 29 hours in at most 400 steps
    assert [point["volume"] for point in flow["points"]] == [40, 18, 30]
    assert sum(point["net_shares"] for point in flow["points"]) == 50


def test_prices_of_the_first_outcome(traded: Warehouse) -> None:
    prices = market(traded, CONDITION)["prices"]
    assert [(point["price"], point["source"]) for point in prices["points"]] == [
        (Decimal("0.4"), "fill"), (Decimal("0.3"), "fill"), (Decimal("0.6"), "fill"),
    ]  # fmt: skip
    assert prices["points"][0]["at"] < prices["points"][-1]["at"]
    assert prices["step_seconds"] == 300


def test_a_market_is_found_by_any_of_its_names(traded: Warehouse) -> None:
    documents = [market(traded, name) for name in (CONDITION, CONDITION.upper().replace("0X", "0x"), "Shall-It-Be",
                                                   str(int.from_bytes(token(1, 1), "big")))]  # fmt: skip
    assert all(document == documents[0] for document in documents)
    assert documents[0]["slug"] == "shall-it-be"
    assert [row["outcome"] for row in documents[0]["outcomes"]] == ["Yes", "No"]
    encode(documents[0])


@pytest.mark.parametrize("name", ["", "   ", "0x12", "two words", "'; DROP", "0x" + "g" * 64, "-5"])
def test_what_is_no_name_of_a_market_is_refused(traded: Warehouse, name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        market(traded, name)
    assert not isinstance(caught.value, UnknownMarketError)


@pytest.mark.parametrize("name", ["0x" + "ab" * 32, "12345", "no-such-slug"])
def test_what_nobody_named_is_unknown(traded: Warehouse, name: str) -> None:
    with pytest.raises(UnknownMarketError):
        market(traded, name)


@pytest.mark.parametrize("holders", [0, -1, 10**6, "5", True])
def test_a_number_of_holders_out_of_range_is_refused(traded: Warehouse, holders: object) -> None:
    with pytest.raises(BadInputError):
        market(traded, CONDITION, holders=holders)


def test_a_market_that_nobody_traded_and_a_slug_of_two(traded: Warehouse) -> None:
    quiet = market(traded, "0x" + condition(2).hex())
    assert (quiet["holder_count"], quiet["traders"]["count"], quiet["prices"]["points"]) == (0, 0, [])
    assert quiet["smart_money"]["status"] == "NO_PRICE"
    assert quiet["flow"]["total"]["volume"] == 0
    load(traded, {"markets": {"condition": [condition(3)], "source": ["gamma"], "slug": ["twice"]}})
    with pytest.raises(BadInputError, match="2 markets have the slug twice"):
        market(traded, "twice")
    unmapped = market(traded, "0x" + condition(3).hex())
    assert (unmapped["outcomes"], unmapped["smart_money"], unmapped["holders"]) == ([], None, [])


def test_a_decided_market_has_no_split_and_pays_what_it_pays(traded: Warehouse) -> None:
    load(traded, {"resolutions": resolution(OPEN + 40 * 3_600, (0, 1))})
    build(traded)
    document = market(traded, CONDITION)
    assert (document["smart_money"]["status"], document["smart_money"]["verdict"]) == ("RESOLVED", None)
    assert {row["wallet"][2:4]: row["value"] for row in document["holders"]} == {
        "bb": 100, "ee": 40, "aa": 0, "dd": 0, "cc": 0,
    }  # fmt: skip
    assert [row["wallet"][2:4] for row in document["traders"]["best"]] == ["bb", "cc"]
    assert [row["wallet"][2:4] for row in document["traders"]["worst"]] == ["aa", "dd"]
    encode(document)


def test_steps_keep_series_short() -> None:
    assert [step_of(seconds) for seconds in (0, 24_000, 24_001, 86_400 * 30, 86_400 * 4_000)] == [
        60, 60, 300, 14_400, 604_800,
    ]  # fmt: skip
