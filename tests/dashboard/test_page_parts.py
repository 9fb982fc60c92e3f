"""Numbers, charts and tables of pages, without a store: exact in the tooltip, honest on the page."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from polyhouse.errors import BadInputError
from polyhouse.serve.pages import charts, formats, tables
from polyhouse.serve.pages.assets import Assets
from polyhouse.serve.pages.site import Freshness, environment

MINUS = formats.MINUS
MONEY = st.decimals(min_value=-(10**13), max_value=10**13, places=6, allow_nan=False)


def text(markup):
    return re.sub(r"<[^>]*>", "", markup)


def request(query=""):
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": []})


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0", "$0.00"), ("0.004999", "$0.00"), ("1.005", "$1.00"), ("999.99", "$999.99"), ("-12.5", f"{MINUS}$12.50"),
        ("1234.5", "$1,234"), ("1500000", "$1.50M"), ("-2340000000", f"{MINUS}$2.34B"),
    ],
)  # fmt: skip
def test_money_is_short_for_people(amount, shown):
    assert text(formats.usd(Decimal(amount))) == shown


@given(MONEY)
def test_the_tooltip_of_money_has_every_digit(amount):
    title = re.search(r'title="([^"]*)"', formats.usd(amount))[1]
    exact = title.replace(",", "").replace(MINUS, "-").replace("\N{NO-BREAK SPACE}$", "")
    assert Decimal(exact) == amount
    assert Decimal(re.search(r'value="([^"]*)"', formats.usd(amount))[1]) == amount


@given(MONEY)
def test_the_sign_and_the_colour_of_a_result_agree(amount):
    shown = formats.pnl(amount)
    assert ("up" in shown, "+" in text(shown)) == (amount > 0, amount > 0)
    assert ("down" in shown, MINUS in text(shown)) == (amount < 0, amount < 0)


@pytest.mark.parametrize("show", [formats.usd, formats.pnl, formats.count, formats.shares, formats.ratio,
                                  formats.percent, formats.cents, formats.moment, formats.day])  # fmt: skip
def test_a_missing_number_is_a_dash_that_says_why(show):
    markup = show(None, "NO_LOSSES")
    assert "no closed bet has lost" in markup
    assert text(markup).startswith("–")
    assert "0" not in text(markup)


def test_reasons_and_words_from_outside_are_escaped():
    assert "<script>" not in formats.nothing("<script>alert(1)</script>")
    entry = {"value": '{"<b>": 1}', "unit": "text", "status": "OK"}
    assert "<b>" not in formats.metric_value(entry)


def test_texts_of_metrics_are_read_out_largest_first():
    entry = {"value": '{"sports":0.2,"politics":0.75,"tech":null}', "unit": "text", "status": "OK"}
    assert text(formats.metric_value(entry)) == "sports 0.20, politics 0.75, tech –"
    entry = {"value": '{"sports":0.2,"politics":0.75}', "unit": "text", "status": "OK"}
    assert text(formats.metric_value(entry)) == "politics 0.75, sports 0.20"


@pytest.mark.parametrize(
    ("name", "title"), [("avg_win", "Average win"), ("net_pnl", "Net PnL"), ("cvar_95", "CVaR 95"), ("omega", "Omega")]
)
def test_names_of_metrics_for_people(name, title):
    assert formats.metric_title(name) == title


def test_ages_are_told_in_their_largest_unit():
    assert [formats.lasting(seconds) for seconds in (0, 59, 60, 3_599, 3_600, 172_800)] == [
        "0 s", "59 s", "1 min", "59 min", "1 h", "2 d",
    ]  # fmt: skip
    assert text(formats.ago("2026-01-01T00:00:00Z", 1_767_225_600 + 120)) == "2 min ago"


def test_sparklines_need_two_days_and_stand_on_the_sign_of_the_end():
    assert "<svg" not in charts.sparkline([None, Decimal(1)], label="x")
    assert 'class="spark down"' in charts.sparkline([Decimal(2), Decimal(-1), None], label="x")
    assert 'aria-label="&lt;x&gt;"' in charts.sparkline([1, 2], label="<x>")


@given(st.lists(st.one_of(st.none(), MONEY), min_size=2, max_size=40))
def test_drawings_stay_inside_their_frame(values):
    drawing = str(charts.sparkline(values, label="x"))
    for x, y in re.findall(r"([\d.]+) (-?[\d.]+)(?=[L\"])", drawing.partition("<path")[2]):
        assert 0 <= float(x) <= 400
        assert 0 <= float(y) <= 100


def test_bars_are_measured_against_the_largest():
    assert 'width="99.00"' in charts.diverging(Decimal(50), Decimal(50))
    assert 'width="49.50"' in charts.diverging(Decimal(-25), Decimal(50))
    assert charts.diverging(None, Decimal(50)) == charts.diverging(Decimal(1), Decimal(0)) == ""
    assert 'width="100.00"' in charts.meter(Decimal(7))


def test_a_chart_without_values_is_empty():
    assert charts.Chart("x", [], []).is_empty
    assert charts.Chart("x", [1, 2], [charts.Series("a", [None, None])]).is_empty
    assert not charts.Chart("x", [1, 2], [charts.Series("a", [None, Decimal(0)])]).is_empty


def test_rows_without_a_value_come_last_in_both_directions():
    rows = [{"n": 1}, {"n": None}, {"n": 3}]
    assert [row["n"] for row in tables.in_order(rows, lambda row: row["n"], "descending")] == [3, 1, None]
    assert [row["n"] for row in tables.in_order(rows, lambda row: row["n"], "ascending")] == [1, 3, None]


def test_pages_of_a_table_say_what_they_show_and_never_leave_it():
    rows = list(range(120))
    first, last = tables.page_of(request(), rows, "trades"), tables.page_of(request("page=99"), rows, "trades")
    assert (first.says, first.previous, first.next) == ("1–50 of 120 trades", None, "/?page=2")
    assert (last.says, last.previous, last.next) == ("101–120 of 120 trades", "/?page=2", None)
    assert tables.page_of(request("page=2"), rows, "trades").previous == "/"
    assert tables.page_of(request(), [], "trades").says == "no trades"
    with pytest.raises(BadInputError):
        tables.page_of(request("page=-1"), rows, "trades")


def read_csv(rows):
    app = FastAPI()
    app.get("/file")(lambda: tables.csv_stream("file", iter(rows)))
    answer = TestClient(app).get("/file")
    assert answer.headers["content-disposition"] == 'attachment; filename="file.csv"'
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_files_have_all_digits_and_flat_names_and_run_no_formulas():
    page = [{"wallet": "0x1", "omega": {"value": Decimal("1.230000001"), "status": "OK"}, "name": "=1+1", "gone": None}]
    rows = read_csv([page, [{"wallet": "0x2", "omega": {"value": None, "status": "NO_SAMPLE"}, "name": "a,b"}]])
    assert rows == [
        {"wallet": "0x1", "omega.value": "1.230000001", "omega.status": "OK", "name": "'=1+1", "gone": ""},
        {"wallet": "0x2", "omega.value": "", "omega.status": "NO_SAMPLE", "name": "a,b", "gone": ""},
    ]


def test_negative_numbers_stay_numbers_in_files():
    assert read_csv([[{"pnl": Decimal("-1.5"), "count": -2}]]) == [{"pnl": "-1.5", "count": "-2"}]


def test_static_files_are_kept_for_ever_under_their_digest_only():
    assets = Assets()
    app = FastAPI()
    app.include_router(assets.router())
    client = TestClient(app)
    url = assets.url("site.css")
    answer = client.get(url)
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/site.css").headers["cache-control"] == "no-cache"
    assert client.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert client.get("/static/../site.py").status_code == client.get("/static/none.js").status_code == 404


def test_vendored_files_come_with_their_licences():
    names = set(Assets()._files)
    for vendored in ("inter", "uPlot"):
        assert any(name.startswith(f"vendor/{vendored}") and name.endswith("LICENSE.txt") for name in names)


HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"


def rendered(template, **view):
    frame = {"title": HOSTILE, "fresh": None, "path": "/", "here": "/", "query": {}, "now": 0.0}
    return environment(Assets()).get_template(template).render({**frame, **view})


def test_texts_from_outside_cannot_become_markup():
    market = {
        "condition_id": "0x" + "c1" * 32, "question": HOSTILE, "slug": HOSTILE, "closed": False, "outcomes": [HOSTILE],
        "end_at": None,
    }  # fmt: skip
    page = rendered(
        "markets.html", result={"text": HOSTILE, "markets": [market], "wallets": [], "more": False}, most=50
    )
    assert page.count("&lt;img src=x") >= 3
    assert "<img" not in page
    assert "alert('x')" not in page


def test_names_inside_of_charts_cannot_end_their_script():
    chart = charts.Chart(HOSTILE, [1, 2], [charts.Series(HOSTILE, [Decimal("1.5"), None])], "usd", HOSTILE)
    macro = environment(Assets()).from_string('{% import "_parts.html" as parts %}{{ parts.chart(it) }}')
    figure = macro.render(it=chart)
    assert figure.count("</script>") == 1
    assert "<img" not in figure
    data = json.loads(re.search(r'<script type="application/json">(.*)</script>', figure)[1], parse_float=Decimal)
    assert data["series"][0] == {
        "label": HOSTILE, "values": [Decimal("1.5"), None], "color": 1, "style": "line", "fill": False,
    }  # fmt: skip


def test_an_error_page_says_what_happened_and_what_to_do():
    problem = {
        "title": "Not found", "status": 404, "code": "UNKNOWN_WALLET", "detail": HOSTILE, "hint": "polyhouse run",
        "request_id": "abc",
    }  # fmt: skip
    page = rendered("error.html", problem=problem)
    assert "<img" not in page
    for said in ("UNKNOWN_WALLET", "polyhouse run", "abc", 'href="/"'):
        assert said in page


@pytest.mark.parametrize(
    ("last_run", "state", "stale"),
    [
        (None, None, False), ("2020-01-01T00:00:00Z", None, True), ("2020-01-01T00:00:00Z", "running", False),
        ("2020-01-01T00:00:00Z", "done", True), ("2999-01-01T00:00:00Z", None, False),
    ],
)  # fmt: skip
def test_pages_say_when_the_last_run_is_long_ago(last_run, state, stale):
    run = None if last_run is None else {"command": "run", "status": "ok", "at": last_run}
    progress = None if state is None else {"state": state, "phase": "x", "percent": None}
    fresh = Freshness(7, "2020-01-01T00:00:00Z", run, progress)
    assert fresh.is_stale is stale
    page = rendered("markets.html", fresh=fresh, result={"text": "", "markets": [], "more": False}, most=50)
    assert ("These numbers are" in page or "these numbers are" in page) is stale
