"""Every page in a real Chromium, on a simulated universe: what a reader can do, and what must never happen."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from dashboard_site import ADMIN_KEY, chromium, running_site
from playwright.sync_api import Page, expect, sync_playwright

ARTEFACTS = Path(__file__).parents[2] / ".artefacts" / "dashboard"
DESKTOP, PHONE = (1280, 900), (390, 844)
LOOSE = "min_units=1&min_gains_losses=0"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_site(tmp_path_factory.mktemp("dashboard"), wallets=70, seed=5, loaded=40) as running:
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
        "explain": f"/wallets/{wallet}/explain?name=realized",
        "market": f"/markets/{market}",
        "markets": "/markets",
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
    "leaderboard", "wallet", "positions", "bets", "trades", "metrics", "explain", "market", "markets", "specialists",
    "categories", "sync", "quality", "checks", "jobs", "glossary", "search", "nothing",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible_quiet_and_fits_its_screen(site, browser, places, name):
    """Both widths, light and dark: axe finds nothing serious, the console is silent, nothing scrolls sideways."""
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for scheme, (width, height) in (("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        person = Reader(site, context)
        page = person.open(places[name], 404 if name == "nothing" else 200)
        if page.locator("[data-chart]").count():
            page.wait_for_selector("html[data-charts]")
        page.screenshot(path=ARTEFACTS / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
        assert page.locator("h1").count() == 1
        assert page.title().endswith("· Polyhouse")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [
            f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], f"{name}, {width}, {scheme}"
        silent = [line for line in person.complaints if name != "nothing" or "404" not in line]
        assert silent == []
        context.close()
