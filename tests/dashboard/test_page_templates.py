"""Pages of documents that a small universe seldom has: specialists, smart money, every kind of event, differences."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from polyhouse.serve.pages import market as market_pages
from polyhouse.serve.pages import wallet_view
from polyhouse.serve.pages.assets import Assets
from polyhouse.serve.pages.site import environment

WALLET, CONDITION = "0x" + "a1" * 20, "0x" + "c1" * 32
TEMPLATES = environment(Assets())


def rendered(template, **view):
    frame = {"title": "T", "fresh": None, "path": "/", "here": "/", "query": {}, "now": 0.0}
    return TEMPLATES.get_template(template).render({**frame, **view})


def words(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]).split())


def test_a_specialist_stands_beside_the_rest_and_the_others():
    row = {
        "rank": 1, "wallet": WALLET, "category": "politics", "is_specialist": True, "is_primary": True, "closed": 60,
        "events": 40, "rest_events": 30, "stake_share": Decimal("0.6"), "bet_share": Decimal("0.5"),
        "edge": Decimal("0.12"), "edge_shrunk": Decimal("0.081"), "rest_shrunk": Decimal("-0.01"),
        "category_edge": Decimal("-0.004"), "p_category": Decimal("0.001"), "p_rest": Decimal("0.002"),
        "p_value": Decimal("0.002"), "q_value": Decimal("0.0123"), "net": Decimal("512.25"),
        "omega_shrunk": Decimal("2.5"), "grade": "A",
    }  # fmt: skip
    rules = {
        "min_events": 20, "min_stake_share": Decimal("0.25"), "false_discoveries": Decimal("0.05"),
        "shrinkage_events": 20,
    }  # fmt: skip
    document = {
        "category": None, "as_of": None, "rules": rules, "tests": {"politics": 9}, "total": 1, "count": 1,
        "rows": [row],
    }  # fmt: skip
    page = words(
        rendered(
            "specialists.html", document=document, categories=[], is_tested=False, other="/x", download="/y", tests=9
        )
    )
    assert "specialist politics +8.1% \N{MINUS SIGN}1.0% \N{MINUS SIGN}0.4% 40 60.0% 2.50 +$512.25 0.0123" in page


def market_document(status, **split):
    empty = dict.fromkeys(
        ("verdict", "favours_outcome_index", "is_opportunity", "sentiment", "confidence", "smart_share", "market_share",
         "divergence")
    )  # fmt: skip
    outcome = {
        "token_id": "1", "mark": Decimal("0.4"), "mark_source": "fill", "resolved": False, "payout_numerator": None,
        "payout_denominator": None, "provisional": None,
    }  # fmt: skip
    return {
        "condition_id": CONDITION, "question": "Will it?", "slug": "will-it", "category": "politics", "neg_risk": False,
        "closed": False, "end_at": None, "resolved_at": None, "as_of": None, "holder_count": 0, "holders": [],
        "outcomes": [outcome | {"outcome_index": n, "outcome": name} for n, name in enumerate(("Yes", "No"))],
        "smart_money": {"status": status, **empty, "signal": {"value": None, "status": "ONE_SIDED"}, **split},
        "traders": None, "flow": None, "prices": None,
    }  # fmt: skip


def test_smart_money_is_shown_against_the_price():
    split = {
        "verdict": "LEAN", "favours_outcome_index": 1, "is_opportunity": False, "smart_share": Decimal(30),
        "market_share": Decimal(40), "divergence": Decimal(10), "confidence": Decimal(45), "sentiment": Decimal(-40),
    }  # fmt: skip
    page = rendered("market.html", **market_pages.view_of(market_document("OK", **split)))
    assert "Lean No Yes 30.0% smart holders Yes 40.0% the price Divergence 10.0 Confidence 45.0% Signal –" in words(
        page
    )
    assert "on one side no holder has a score" in page


@pytest.mark.parametrize("status", ["RESOLVED", "NO_HOLDERS", "NO_SMART_MONEY", "NO_PRICE"])
def test_a_market_without_a_split_says_why(status):
    page = words(rendered("market.html", **market_pages.view_of(market_document(status))))
    assert "No split" in page
    assert "It is not known" not in page


def test_takers_are_drawn_where_the_sources_tell_roles():
    point = {"from": "2026-06-01T00:00:00Z", "volume": Decimal(9), "taker_fills": 1, "net_shares": Decimal(-5)}
    document = market_document("NO_PRICE") | {"flow": {"total": {"volume": Decimal(9)}, "points": [point]}}
    flow = market_pages.view_of(document)["flow"]
    assert flow.title == "Net shares that takers bought"
    assert [list(one.values) for one in flow.series] == [[None], [Decimal(-5)]]
    silent = document | {"flow": {"total": {"volume": Decimal(9)}, "points": [point | {"taker_fills": 0}]}}
    assert market_pages.view_of(silent)["flow"].title == "Volume"


def test_every_kind_of_event_is_told():
    shared = {"action": "new", "published_at": "2026-06-01T10:00:00Z"}
    events = [
        {"id": 5, "kind": "trade", "wallet": WALLET, "condition_id": CONDITION, "outcome_index": 1, "side": "BUY",
         "shares": Decimal(3), "volume": Decimal(2), "at": "2026-06-01T09:59:00Z", **shared},
        {"id": 4, "kind": "trade", **shared, "action": "removed"},
        {"id": 3, "kind": "resolution", "condition_id": CONDITION, "at": "2026-06-01T09:00:00Z", **shared},
        {"id": 2, "kind": "leaderboard", "wallet": WALLET, "window": "30d", "sort": "pnl", "rank": 3, **shared},
        {"id": 1, "kind": "flag", "wallet": WALLET, "flag": "market_maker", **shared},
    ]  # fmt: skip
    names = {CONDITION: {"question": "Will it?", "slug": None, "outcomes": ["Yes", "No"]}}
    page = rendered(
        "live.html", events=events, names=names, newest=5, window=2_000, kinds=[], sizes=[], stream="/api/events"
    )
    said = words(page)
    for told in ("buy 0xa1a1…a1a1 Will it? No 3.00 $2.00", "resolved Will it?", "place 3 by pnl, 30d",
                 "new : market maker", "removed"):  # fmt: skip
        assert told in said.replace("new: ", "new : ")
    assert re.findall(r'data-id="(\d)"', page) == ["5", "4", "3", "2", "1"]
    assert 'data-follow="/api/events"' in page


def day(number, equity, realized=0):
    return {"day": f"2026-06-{number:02}", "equity": equity, "realized_total": realized, "realized": realized}


def test_the_equity_curve_reaches_from_the_windows_first_to_its_last_day():
    days = {
        "from": "2026-06-01", "to": "2026-06-09", "opening": {"equity": 5, "realized_total": 5},
        "days": [day(3, None), day(5, 8, 3)],
    }  # fmt: skip
    chart = wallet_view.equity_chart(days)
    assert [(time - chart.times[0]) // 86_400 for time in chart.times] == [0, 2, 4, 8]
    assert list(chart.series[0].values) == [5, None, 8, 8]
    assert chart.summary.startswith("From 5.00 $ on 2026-06-01 to 8.00 $ on 2026-06-09")
    empty = {"from": None, "to": None, "opening": {"equity": 0, "realized_total": 0}, "days": []}
    assert wallet_view.equity_chart(empty).is_empty


def test_long_histories_are_summed_by_week_and_nothing_is_lost():
    days = {"days": [day(1, 0, 2), day(2, 0, -5), {**day(1, 0, 7), "day": "2026-12-01"}]}
    chart = wallet_view.daily_chart(days)
    assert chart.title == "Realised per week"
    assert sum(value for one in chart.series for value in one.values if value) == 4


def test_the_largest_cause_of_a_difference_is_named():
    causes = [{"cause": "fees", "total": Decimal(-3)}, {"cause": "rounding", "total": Decimal(1)}]
    assert wallet_view.largest_cause(causes) == "fees"
    assert wallet_view.largest_cause([{"cause": "fees", "total": None}]) == ""


def test_badges_tell_reservations_and_flags():
    scores = {"whale": {"is_whale": True}, "insider": {"is_suspected": False}}
    document = {
        "provisional": ["unmapped"], "coverage_details": {"gaps": [], "complete_to": "2026-06-01T00:00:00Z"},
        "scores": scores,
        "flags": [
            {"flag": "specialist", "category": "crypto", "is_flagged": True, "meaning": "m"},
            {"flag": "bot", "category": None, "is_flagged": False, "meaning": "m"},
        ],
    }  # fmt: skip
    found = [text for _, text, _ in wallet_view.badges(document)]
    assert found == ["provisional", "complete", "whale", "specialist: crypto"]
