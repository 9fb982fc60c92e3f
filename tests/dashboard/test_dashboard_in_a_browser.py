"""Every page in a real Chromium, on a simulated universe: what a reader can do, and what must never happen."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from dashboard_site import ADMIN_KEY, chromium, running_site
from playwright.sync_api import Page, expect, sync_playwright

ARTEFACTS = Path(__file__).parents[2] / ".artefacts" / "dashboard"
TALLEST = 3_000
"""Pixels of a picture: what is further down looks like what is above."""
DESKTOP, PHONE = (1280, 900), (390, 844)
expect.set_options(timeout=15_000)
LOOSE = "min_units=1&min_gains_losses=0"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_site(tmp_path_factory.mktemp("dashboard"), wallets=40, seed=5, loaded=26) as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


class Reader:
    """A person with a browser: pages of the site, and every complaint the console made."""

    def __init__(self, site, context):
        self.site = site
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.set_default_timeout(15_000)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def _heard(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path, status=200):
        answer = self.page.goto(self.site.url + path)
        assert answer.status == status, f"{path}: {answer.status}"
        return self.page


def document(site, path):
    with urllib.request.urlopen(f"{site.url}{path}", timeout=30) as answer:
        return json.loads(answer.read())


def tag_of(site, path):
    with urllib.request.urlopen(site.url + path, timeout=30) as answer:
        return answer.headers["ETag"]


@pytest.fixture
def reader(site, browser):
    context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]}, accept_downloads=True)
    person = Reader(site, context)
    yield person
    context.close()
    assert person.complaints == []


@pytest.fixture(scope="module")
def places(site):
    """A busy wallet, its busiest market, and the pages that every test of all pages walks."""
    board = document(site, f"/api/leaderboard?sort=trades&{LOOSE}")
    wallet = board["rows"][0]["wallet"]
    bets = document(site, f"/api/wallets/{wallet}")["units"]
    market = bets[0]["condition_ids"][0]
    return {
        "leaderboard": f"/?{LOOSE}",
        "wallet": f"/wallets/{wallet}",
        "positions": f"/wallets/{wallet}/positions",
        "bets": f"/wallets/{wallet}/bets",
        "trades": f"/wallets/{wallet}/trades",
        "metrics": f"/wallets/{wallet}/metrics",
        "cost": f"/wallets/{wallet}/cost",
        "explain": f"/wallets/{wallet}/explain?name=realized",
        "market": f"/markets/{market}",
        "markets": "/markets",
        "live": "/live",
        "specialists": "/specialists?tested=true",
        "categories": "/categories",
        "sync": "/sync",
        "quality": "/quality",
        "checks": "/quality/checks",
        "jobs": "/jobs",
        "glossary": "/glossary",
        "search": "/search?q=will",
        "nothing": "/no-such-page",
    }


PAGES = (
    "leaderboard", "wallet", "positions", "bets", "trades", "metrics", "cost", "explain", "market", "markets", "live",
    "specialists", "categories", "sync", "quality", "checks", "jobs", "glossary", "search", "nothing",
)  # fmt: skip


def photograph(page, name, width):
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.screenshot(
        path=ARTEFACTS / f"{name}.png", full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}
    )


def serious_faults(page):
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible_quiet_and_fits_its_screen(site, browser, places, name):
    """Wide and light, narrow and dark: axe finds nothing serious, the console is silent, nothing scrolls sideways."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for (width, height), scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        person = Reader(site, context)
        page = person.open(places[name], 404 if name == "nothing" else 200)
        if page.locator("[data-chart]").count():
            page.wait_for_selector("html[data-charts]")
        photograph(page, f"{name}-{width}-{scheme}", width)
        assert serious_faults(page) == [], f"{name}, {width}, {scheme}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
        assert page.locator("h1").count() == 1
        assert page.title().endswith("· Polyhouse")
        assert [line for line in person.complaints if name != "nothing" or "404" not in line] == []
        context.close()


def wallets_of(page):
    return page.locator("main tbody th a.id").evaluate_all("links => links.map(link => link.title)")


def test_the_leaderboard_sorts_filters_and_pages_as_the_api_does(site, reader):
    page = reader.open(f"/?{LOOSE}&limit=15")
    ranked = document(site, f"/api/leaderboard?{LOOSE}&limit=1000")["rows"]
    assert wallets_of(page) == [row["wallet"] for row in ranked[:15]]
    page.get_by_role("link", name="Next").click()
    expect(page.locator("main tbody .rank").first).to_have_text("16")
    assert wallets_of(page) == [row["wallet"] for row in ranked[15:30]]
    page.get_by_role("link", name="First page").click()
    expect(page.locator("main tbody .rank").first).to_have_text("1")
    page.get_by_role("link", name="Volume").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Volume")
    by_volume = document(site, f"/api/leaderboard?{LOOSE}&sort=volume&limit=15")["rows"]
    assert wallets_of(page) == [row["wallet"] for row in by_volume]
    page.get_by_role("link", name="Volume").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Volume")
    assert wallets_of(page) == [
        row["wallet"] for row in document(site, f"/api/leaderboard?{LOOSE}&sort=volume&reverse=true&limit=15")["rows"]
    ]
    page.get_by_label("Sort by").select_option("sharpe")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("th[aria-sort]")).to_contain_text("Sharpe")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Trades, at least", exact=True).fill("60")
    page.get_by_role("button", name="Apply filters").click()
    busy = document(site, f"/api/leaderboard?{LOOSE}&sort=sharpe&min_trades=60&limit=15")["rows"]
    assert wallets_of(page) == [row["wallet"] for row in busy]
    page.get_by_role("navigation", name="Category").get_by_role("link", name="Politics").click()
    expect(page).to_have_url(re.compile(r"category=politics.*min_trades=60|min_trades=60.*category=politics"))
    page.get_by_role("link", name="Remove filter: Trades, at least 60").click()
    expect(page).not_to_have_url(re.compile("min_trades"))
    page.go_back()
    expect(page).to_have_url(re.compile("min_trades=60"))


def test_the_download_has_every_row_of_the_slice_with_all_digits(site, reader):
    page = reader.open(f"/?{LOOSE}&sort=pnl")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download CSV").click()
    assert started.value.suggested_filename == "polyhouse-overall-lifetime.csv"
    rows = list(csv.DictReader(io.StringIO(Path(started.value.path()).read_text(encoding="utf-8"))))
    board = document(site, f"/api/leaderboard?{LOOSE}&sort=pnl&limit=1000")
    assert len(rows) == board["total"] == len(board["rows"]) > 20
    assert [row["wallet"] for row in rows] == [row["wallet"] for row in board["rows"]]
    assert all(float(row["realized"]) == there["realized"] for row, there in zip(rows, board["rows"], strict=True))


def test_a_number_is_followed_down_to_its_transactions(site, reader, places):
    page = reader.open(places["wallet"])
    page.get_by_role("link", name=re.compile(" Realised: where it comes from")).click()
    expect(page.get_by_text("adds up to the micro")).to_be_visible()
    page.locator("main tbody th a").first.click()
    expect(page.get_by_role("heading", name="Positions")).to_be_visible()
    page.locator("main tbody th a").first.click()
    expect(page.get_by_role("heading", name="Ledger rows")).to_be_visible()
    expect(page.get_by_text("adds up to the micro")).to_be_visible()
    assert re.fullmatch(r"0x[0-9a-f]{64}", page.locator("main tbody td a.id").first.get_attribute("title"))


def test_the_search_leads_to_wallets_and_markets(site, reader, places):
    address = places["wallet"].removeprefix("/wallets/")
    page = reader.open("/glossary")
    page.keyboard.press("/")
    page.keyboard.type(address)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/wallets/{address}")
    slug = document(site, f"/api{places['market']}")["slug"]
    page.get_by_role("searchbox", name="Search").fill(slug)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}{places['market']}")
    page.get_by_role("searchbox", name="Search").fill("nothing is called like this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing fits")).to_be_visible()


def test_keys_lead_everywhere_and_colours_are_remembered(site, reader):
    page = reader.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(page).to_have_url(f"{site.url}/categories")
    page.keyboard.press("g")
    page.keyboard.press("g")
    expect(page).to_have_url(f"{site.url}/glossary")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.emulate_media(color_scheme="light")
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(13, 16, 22)"


def test_an_undefined_number_is_a_dash_with_its_reason(site, reader):
    board = document(site, f"/api/leaderboard?{LOOSE}&limit=1000")["rows"]
    never_lost = next(row["wallet"] for row in board if row["omega"]["status"] == "NO_LOSSES")
    page = reader.open(f"/wallets/{never_lost}")
    tile = page.locator(".tiles > div").filter(has_text="Omega")
    expect(tile.locator(".nil").first).to_have_attribute("title", re.compile("no closed bet has lost"))
    assert "0.00" not in tile.locator("a").inner_text()


def test_wrong_words_and_unknown_things_are_pages_that_help(site, browser, places):
    context = browser.new_context()
    person = Reader(site, context)
    for path, status, words in (
        ("/?sort=luck", 422, "unknown sort"),
        ("/?min_trades=many", 422, "min_trades"),
        ("/wallets/0x12", 422, "0x12"),
        ("/wallets/0x" + "ab" * 20, 404, "polyhouse sync wallets"),
        ("/markets/no-such-slug", 404, "no-such-slug"),
        (places["wallet"] + "/explain?name=magic", 422, "magic"),
        ("/nowhere", 404, "Not found"),
    ):
        page = person.open(path, status)
        expect(page.locator("main")).to_contain_text(words)
        expect(page.get_by_role("link", name="Leaderboard").last).to_be_visible()
        assert "Traceback" not in page.content()
    context.close()


def test_pages_work_without_scripts(site, browser, places):
    context = browser.new_context(java_script_enabled=False)
    person = Reader(site, context)
    page = person.open(places["wallet"])
    expect(page.locator("svg.line").first).to_be_visible()
    page.get_by_role("link", name="Positions").click()
    expect(page.get_by_role("heading", name="Positions")).to_be_visible()
    context.close()


def test_pages_load_nothing_from_elsewhere_and_allow_nothing_inline(site, reader, places):
    asked = []
    reader.page.on("request", lambda request: asked.append(request.url))
    for name in PAGES[:-1]:
        answer = reader.page.goto(site.url + places[name])
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert len(answer.body()) < 200_000
    assert [url for url in asked if not url.startswith(site.url)] == []
    known = urllib.request.Request(f"{site.url}/glossary", headers={"If-None-Match": tag_of(site, "/glossary")})
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(known, timeout=30)
    assert unchanged.value.code == 304


def test_the_key_opens_the_jobs_and_a_job_shows_its_progress_and_new_numbers(site, reader, browser, places):
    """A wrong key is refused; the right one starts a job that reads waiting wallets; an open page shows the build."""
    watching = reader.open(f"/?{LOOSE}")
    build = watching.locator("html").get_attribute("data-build")
    before = int(document(site, f"/api/leaderboard?{LOOSE}")["total"])
    context = browser.new_context()
    person = Reader(site, context)
    health = context.new_page()
    health.goto(site.url + "/sync")
    expect(health.locator("#content")).not_to_contain_text("process")
    filling_in = context.new_page()
    filling_in.goto(f"{site.url}/?{LOOSE}")
    filling_in.get_by_text("Filters", exact=True).click()
    filling_in.get_by_label("Trades, at least", exact=True).fill("7")
    filling_in.get_by_role("heading", name="Leaderboard").click()
    page = person.open("/jobs")
    page.get_by_label("Admin key").fill("not-the-key")
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("alert")).to_contain_text("refused")
    assert page.evaluate("sessionStorage.length") == 0
    page.get_by_label("Admin key").fill(ADMIN_KEY)
    page.get_by_role("button", name="Unlock").click()
    expect(page.get_by_role("heading", name="Schedule", exact=True)).to_be_visible()
    expect(page.locator("#schedule tr").nth(4)).to_be_visible()
    assert ADMIN_KEY not in page.url + page.content()
    page.get_by_role("button", name="Process the queue").click()
    row = page.locator("#jobs tr").first
    expect(row).to_contain_text("process")
    expect(row.locator("progress")).to_be_visible(timeout=60_000)
    expect(row.locator(".badge")).to_have_text("done", timeout=90_000)
    expect(page.locator("#audit tr").first).to_contain_text("job.start")
    page.get_by_label("One wallet").fill(places["wallet"].removeprefix("/wallets/"))
    page.get_by_role("button", name="Read from the start").click()
    expect(page.get_by_text("is in the queue again")).to_be_visible()
    expect(page.locator("#audit tr").first).to_contain_text("wallet.reset")
    photograph(page, "jobs-unlocked-1280-light", DESKTOP[0])
    expect(watching.locator("html")).not_to_have_attribute("data-build", build, timeout=30_000)
    assert int(document(site, f"/api/leaderboard?{LOOSE}")["total"]) >= before
    expect(watching.locator("main .lead")).to_contain_text(str(document(site, f"/api/leaderboard?{LOOSE}")["total"]))
    expect(health.get_by_role("region", name="Runs")).to_contain_text("process")
    expect(health.locator("#progress")).to_contain_text("done")
    expect(filling_in.get_by_label("Trades, at least", exact=True)).to_have_value("7")
    expect(filling_in.locator("html")).to_have_attribute("data-build", build)
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Admin key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert [line for line in person.complaints if "401" not in line] == []
    context.close()
