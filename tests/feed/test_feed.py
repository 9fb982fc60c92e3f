"""The feed on a real store: each trade once whichever source tells it, corrections, removals, resumption."""

import shutil
import sys
from decimal import Decimal

import pytest

from polyhouse.errors import BadInputError
from polyhouse.feed import FeedQuery, feed, publish
from polyhouse.feed.publish import BEGIN_NOTE, KEEP_DAYS, LAST_NOTE, RECENT_SECONDS
from polyhouse.models.runner import build
from polyhouse.settings import Settings
from polyhouse.sync.progress import NullReporter
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import open_stores

pytestmark = pytest.mark.usefixtures("accounts_only")

USD = 1_000_000
WALLETS = [bytes([n]) * 20 for n in (0xAA, 0xBB)]
CONDITION = bytes.fromhex("c1" * 32)
TOKENS = (bytes.fromhex("01" * 32), bytes.fromhex("02" * 32))
START = 1_780_000_000
ALL = FeedQuery()


def tell(stores, *fills, source="activity", run=1):
    """Store fills (wallet number, transaction number, second, shares, cash) as a source tells them."""
    stores.warehouse.write("observations", {
        "wallet": [WALLETS[w] for w, *_ in fills], "token": [TOKENS[0]] * len(fills),
        "condition": [CONDITION] * len(fills), "tx": [bytes([tx]) * 32 for _, tx, *_ in fills],
        "source": [source] * len(fills), "kind": ["BUY"] * len(fills), "ts": [ts for _, _, ts, _, _ in fills],
        "pos": [1 if source == "activity" else 0] * len(fills), "shares": [s * USD for *_, s, _ in fills],
        "cash": [c for *_, c in fills], "usdc_gross": [c for *_, c in fills], "outcome": [0] * len(fills),
    }, run=run, token=f"{source}{fills}{run}")  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The folder of a store with one fill, built, whose feed has begun."""
    folder = tmp_path_factory.mktemp("begun")
    with open_stores(Settings(home=folder)) as opened:
        write = opened.warehouse.write
        write("events", {"event_id": [1], "slug": ["e"], "title": ["E"], "tags": [["sports"]], "category": ["sports"]},
              run=1, token="e")  # fmt: skip
        write("markets", {
            "condition": [CONDITION], "source": ["gamma"], "market_id": [7], "question": ["Who?"], "slug": ["m"],
            "event_id": [1], "outcomes": [["Yes", "No"]], "tokens": [list(TOKENS)],
        }, run=1, token="m")  # fmt: skip
        write("tokens", {
            "token": list(TOKENS), "condition": [CONDITION] * 2, "outcome": [0, 1], "verified": [True, True],
            "source": ["gamma"] * 2,
        }, run=1, token="t")  # fmt: skip
        tell(opened, (0, 1, START, 10, 4 * USD))
        rebuild_touched(opened.warehouse, opened.state, None, NullReporter())
    return folder


@pytest.fixture
def stores(begun, tmp_path):
    """A copy of it."""
    home = shutil.copytree(begun, tmp_path / "home", symlinks=True)
    with open_stores(Settings(home=home)) as opened:
        yield opened


def rebuilt(stores, *wallets):
    chosen = [WALLETS[w] for w in wallets] or None
    rebuild_touched(stores.warehouse, stores.state, chosen, NullReporter())
    return feed(stores.warehouse, ALL)["events"]


def trades(events):
    return [(e["action"], e["wallet"][2:4], e["tx"][2:4], e["cash"]) for e in events if e["kind"] == "trade"]


def test_a_trade_is_told_once_then_corrected_then_taken_back(stores):
    assert feed(stores.warehouse, ALL)["events"] == []  # what was there before the feed began is no news

    tell(stores, (0, 2, START + 60, 5, 2 * USD), source="trades")
    events = rebuilt(stores, 0)
    assert trades(events) == [("new", "aa", "02", Decimal(2))]
    assert events[0]["condition_id"] == "0x" + CONDITION.hex()
    assert (events[0]["side"], events[0]["shares"], events[0]["category"]) == ("BUY", Decimal(5), "sports")
    assert trades(rebuilt(stores)) == trades(events)  # a full build changes nothing

    tell(stores, (0, 2, START + 61, 5, 2 * USD))  # the better source agrees, a second later
    assert trades(rebuilt(stores, 0)) == trades(events)
    tell(stores, (0, 2, START + 61, 5, 2 * USD + 7), run=2)
    stores.warehouse.command("ALTER TABLE observations DELETE WHERE cash = 2000000 SETTINGS mutations_sync = 1")
    events = rebuilt(stores, 0)
    assert trades(events)[1:] == [("changed", "aa", "02", Decimal("2.000007"))]

    stores.warehouse.command("ALTER TABLE observations DELETE WHERE cash = 2000007 SETTINGS mutations_sync = 1")
    events = rebuilt(stores, 0)
    assert trades(events)[2:] == [("removed", "aa", "02", Decimal("2.000007"))]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))


def test_history_is_no_news_and_other_wallets_are_left_alone(stores):
    tell(stores, (0, 3, START - RECENT_SECONDS, 1, USD), (1, 4, START + 5, 1, USD))
    assert trades(rebuilt(stores, 0)) == []
    assert trades(rebuilt(stores, 1)) == [("new", "bb", "04", Decimal(1))]


def test_a_resolution_is_told_and_corrected(stores):
    for run, numerators in enumerate(((1, 0), (0, 1)), start=2):
        stores.warehouse.write("resolutions", {
            "condition": [CONDITION], "source": ["data"], "numerators": [list(numerators)],
            "ts": [START + 30],
        }, run=run, token=f"r{run}")  # fmt: skip
        rebuilt(stores)
    told = [event for event in feed(stores.warehouse, ALL)["events"] if event["kind"] == "resolution"]
    assert [event["action"] for event in told] == ["new", "changed"]
    assert [p["numerator"] for p in told[1]["payouts"]] == ["0", "1"]


def test_a_killed_publication_is_finished_by_the_next_one(stores, monkeypatch):
    tell(stores, (0, 5, START + 10, 1, USD), (1, 6, START + 20, 2, USD))
    build(stores.warehouse, WALLETS)
    module = sys.modules["polyhouse.feed.publish"]  # the package's attribute of that name is the function

    def killed(*_arguments, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "resolution_changes", killed)  # the trades are in, their last id is not noted
        with pytest.raises(KeyboardInterrupt):
            publish(stores.warehouse, stores.state, WALLETS, now=START)
    assert stores.state.get_note(LAST_NOTE) is None
    publish(stores.warehouse, stores.state, WALLETS, now=START)
    events = feed(stores.warehouse, ALL)["events"]
    assert [(e["id"], e["tx"][2:4]) for e in events if e["kind"] == "trade"] == [(1, "05"), (2, "06")]
    assert stores.state.get_note(LAST_NOTE) == events[-1]["id"]  # though the second call appended nothing


def test_pages_filters_and_what_was_missed(stores):
    tell(stores, *((n % 2, 10 + n, START + n, 1, (n + 1) * USD) for n in range(6)))
    rebuilt(stores)
    page = feed(stores.warehouse, ALL, limit=4)
    rest = feed(stores.warehouse, ALL, after=page["last_id"])
    assert [e["id"] for e in page["events"] + rest["events"]] == list(range(1, rest["newest_id"] + 1))
    assert (page["missed"], rest["missed"]) == (False, False)
    mine = feed(stores.warehouse, FeedQuery(kinds=("trade",), wallet="0x" + "bb" * 20, min_volume="4"))
    assert trades(mine["events"]) == [("new", "bb", "0d", Decimal(4)), ("new", "bb", "0f", Decimal(6))]
    assert mine["last_id"] == rest["newest_id"]  # what was filtered out is behind the reader, too
    assert feed(stores.warehouse, FeedQuery(condition="0x" + "d2" * 32))["events"] == []
    assert feed(stores.warehouse, ALL, after=10_000)["missed"] is True  # the id of another store's feed
    for query in (FeedQuery(kinds=("fill",)), FeedQuery(wallet="0x1"), FeedQuery(min_volume="many")):
        with pytest.raises(BadInputError):
            feed(stores.warehouse, query)
    with pytest.raises(BadInputError):
        feed(stores.warehouse, ALL, limit=0)


def test_old_days_are_dropped_and_ids_go_on(stores):
    tell(stores, (0, 2, START + 60, 5, 2 * USD))
    build(stores.warehouse, WALLETS)
    publish(stores.warehouse, stores.state, WALLETS, now=START)
    newest = feed(stores.warehouse, ALL)["newest_id"]
    later = START + (KEEP_DAYS + 2) * 86_400
    publish(stores.warehouse, stores.state, WALLETS, now=later)
    assert feed(stores.warehouse, ALL)["newest_id"] == newest  # still compared with: the newest row is of that day

    tell(stores, (0, 7, later, 1, USD))
    build(stores.warehouse, WALLETS)
    publish(stores.warehouse, stores.state, WALLETS, now=later)
    page = feed(stores.warehouse, ALL, after=newest - 1 if newest > 1 else 0)
    assert trades(page["events"]) == [("new", "aa", "07", Decimal(1))]
    assert page["events"][0]["id"] == newest + 1
    publish(stores.warehouse, stores.state, WALLETS, now=later)
    assert feed(stores.warehouse, ALL)["newest_id"] == page["newest_id"]
    assert stores.state.get_note(BEGIN_NOTE) == START
