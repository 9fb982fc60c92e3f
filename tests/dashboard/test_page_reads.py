"""What pages read beyond the documents of the API: names, sparks, quality, health. By hand, on a real store."""

from __future__ import annotations

from decimal import Decimal

import pytest

from polyhouse.models.runner import build
from polyhouse.reads.health import health, read_workers
from polyhouse.reads.names import MOST, market_names, newest_markets, search
from polyhouse.reads.quality import quality, reconciled
from polyhouse.reads.sparks import POINTS, sparks
from polyhouse.state import open_state
from polyhouse.warehouse import open_warehouse

USD = 1_000_000
DAY = 86_400
BEGIN = 1_780_272_000  # a midnight
WALLETS = [bytes([n]) * 20 for n in (0xA1, 0xA2)]
CONDITIONS = [bytes([n]) * 32 for n in (0xC1, 0xC2, 0xC3)]
TOKENS = [bytes([n]) * 32 for n in (1, 2, 3, 4, 5, 6)]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    home = tmp_path_factory.mktemp("reads")
    with open_warehouse(f"chdb://{home}/warehouse") as warehouse, open_state(f"sqlite:///{home}/state.db") as state:
        fill(warehouse)
        state.register_wallets(WALLETS, "trades")
        run = state.start_run("run")
        state.finish_run(run, "partial", {"wallets_completed": 2, "rows": 6, "rejected": 1}, "one page failed")
        state.start_run("process")
        build(warehouse)
        yield warehouse, state


def fill(warehouse):
    questions = ["Will Ada win the vote?", "Will Ada lose the vote?", ""]
    for source, names in (("clob", ["", "", ""]), ("gamma", questions)):
        warehouse.write("markets", {
            "condition": CONDITIONS, "source": [source] * 3, "market_id": [1, 2, 3], "question": names,
            "slug": [f"{source}-{n}" for n in range(3)], "outcomes": [["Yes", "No"]] * 3,
            "tokens": [TOKENS[0:2], TOKENS[2:4], TOKENS[4:6]], "closed": [True, False, False],
            "end_ts": [BEGIN + DAY, BEGIN + 9 * DAY, BEGIN + 5 * DAY],
        }, run=1, token=source)  # fmt: skip
    warehouse.write("tokens", {
        "token": TOKENS, "condition": [CONDITIONS[n // 2] for n in range(6)], "outcome": [0, 1] * 3,
        "verified": [True] * 6, "source": ["gamma"] * 6,
    }, run=1, token="tokens")  # fmt: skip
    buy, sell = "BUY", "SELL"
    fills = [  # wallet, token, day, kind, shares, cash
        (0, 0, 0, buy, 10, 4), (0, 0, 2, sell, 10, 7), (1, 2, 0, buy, 10, 5), (1, 2, 3, sell, 10, 1),
        (1, 0, 3, buy, 1, 1),
    ]  # fmt: skip
    rows = {
        "wallet": [WALLETS[w] for w, *_ in fills], "token": [TOKENS[t] for _, t, *_ in fills],
        "condition": [CONDITIONS[t // 2] for _, t, *_ in fills], "tx": [bytes([n + 1]) * 32 for n in range(len(fills))],
        "source": ["activity"] * 5, "kind": [kind for *_, kind, _, _ in fills], "pos": [1] * 5, "outcome": [0] * 5,
        "ts": [BEGIN + day * DAY + 60 for _, _, day, *_ in fills], "shares": [f[4] * USD for f in fills],
        "cash": [f[5] * USD for f in fills], "usdc_gross": [f[5] * USD for f in fills],
        "shares_gross": [f[4] * USD for f in fills],
    }  # fmt: skip
    warehouse.write("observations", rows, run=1, token="fills")
    stray = {name: values[:1] for name, values in rows.items()} | {"token": [b"\x99" * 32], "condition": [b""]}
    warehouse.write("observations", stray | {"tx": [b"\x77" * 32]}, run=1, token="stray")
    compared = {
        "wallet": [WALLETS[0], WALLETS[1], WALLETS[1], WALLETS[1]], "run": [7, 7, 7, 5],
        "kind": ["gross_of_fees", "gross_of_fees", "position_pnl", "gross_of_fees"], "detail": ["", "", "123", ""],
        "as_of": [BEGIN + 4 * DAY] * 3 + [BEGIN], "theirs_ts": [BEGIN] * 4, "ours": [3 * USD, -4 * USD, 5, 0],
        "theirs": [3 * USD, -4 * USD - 500_000, 5 - USD, 0], "difference": [0, 500_000, USD, 0],
        "cause": ["equal", "fee", "mark", "equal"],
    }  # fmt: skip
    for run, rows in ((7, slice(0, 3)), (5, slice(3, 4))):
        part = {name: values[rows] for name, values in compared.items()}
        warehouse.write("reconciliation", part, run=run, token=f"compared {run}")


def hexed(raw):
    return f"0x{raw.hex()}"


def test_a_market_is_named_by_the_source_that_tells_most(stores):
    warehouse, _ = stores
    names = market_names(warehouse, [hexed(CONDITIONS[0]), "0x" + "00" * 32])
    assert set(names) == {hexed(CONDITIONS[0])}
    found = names[hexed(CONDITIONS[0])]
    assert (found["question"], found["slug"], found["closed"]) == ("Will Ada win the vote?", "gamma-0", True)
    assert market_names(warehouse, []) == {}


def test_open_markets_come_first_and_then_the_latest_end(stores):
    warehouse, _ = stores
    found = newest_markets(warehouse)
    assert [market["condition_id"] for market in found["markets"]] == [hexed(CONDITIONS[n]) for n in (1, 2, 0)]
    assert (found["more"], MOST) == (False, 50)


@pytest.mark.parametrize(
    ("text", "markets", "wallets"),
    [
        ("ADA vote", [1, 0], []), ("vote win ada", [0], []), ("gamma-2", [2], []), ("nobody", [], []),
        (hexed(CONDITIONS[1]), [1], []), ("c3c3c3", [2], []), (str(int.from_bytes(TOKENS[3], "big")), [1], []),
        (hexed(WALLETS[0]), [], [0]), ("0xA2a2", [], [1]), ("0x" + "bb" * 20, [], []), ("", [], []),
        ("'; DROP TABLE markets; --", [], []), ("%", [], []), ("1" * 78, [], []),
    ],
)  # fmt: skip
def test_a_search_finds_markets_by_words_and_ids_and_wallets_by_their_beginning(stores, text, markets, wallets):
    found = search(stores[0], text)
    assert [market["condition_id"] for market in found["markets"]] == [hexed(CONDITIONS[n]) for n in markets]
    assert found["wallets"] == [hexed(WALLETS[n]) for n in wallets]


def test_sparks_carry_the_equity_of_each_stretch_on(stores):
    """Wallet 0 realises 3 on the third day; wallet 1 loses 4 on the fourth."""
    warehouse, _ = stores
    lines = sparks(warehouse, [hexed(w) for w in WALLETS], category="overall", window="lifetime")
    first, second = (lines[hexed(w)] for w in WALLETS)
    assert len(first) == len(second) == 4
    assert first[-2:] == [Decimal(3), Decimal(3)]
    assert second[-1] is not None
    assert second[-1] < 0
    assert len(sparks(warehouse, [hexed(WALLETS[0])], category="overall", window="90d")[hexed(WALLETS[0])]) == POINTS
    assert sparks(warehouse, [], category="overall", window="lifetime") == {}
    assert sparks(warehouse, [hexed(b"\x00" * 20)], category="overall", window="lifetime") == {}


def test_quality_tells_coverage_unmapped_rows_and_the_history_of_comparisons(stores):
    document = quality(stores[0])
    assert document["coverage"] == {"rest": 2}
    assert document["provisional"] == {"unmapped": 1}
    assert document["exact"] == 1
    assert document["unmapped"] == [
        {
            "token_id": str(int.from_bytes(b"\x99" * 32, "big")), "reason": "unknown_token", "rows": 1,
            "cash": document["unmapped"][0]["cash"], "wallets": 1,
        }
    ]  # fmt: skip
    history = {(row["run"], row["kind"]): row for row in document["reconciliation"]}
    assert list(history) == [(7, "gross_of_fees"), (5, "gross_of_fees")]
    newest = history[7, "gross_of_fees"]
    assert (newest["compared"], newest["within_cent"], newest["within_dollar"]) == (2, Decimal("0.5"), 1)
    assert newest["causes"] == {"equal": 1, "fee": 1}


def test_a_wallet_knows_its_last_comparison_only(stores):
    warehouse, _ = stores
    equal, differing = (reconciled(warehouse, wallet) for wallet in WALLETS)
    assert (equal["is_equal"], equal["compared"], equal["run"]) == (True, 1, 7)
    assert (differing["is_equal"], differing["compared"]) == (False, 1)
    assert [(row["kind"], row["difference"]) for row in differing["rows"]] == [
        ("position_pnl", Decimal(1)), ("gross_of_fees", Decimal("0.5")),
    ]  # fmt: skip
    assert reconciled(warehouse, b"\x55" * 20) is None


def test_workers_are_told_by_what_they_hold(stores):
    _, state = stores
    assert read_workers(state) == []
    state.claim_wallets(1, worker="b")
    state.claim_wallets(1, worker="a")
    assert read_workers(state) == [{"worker": "a", "wallets": 1}, {"worker": "b", "wallets": 1}]
    state.release_worker("a")
    assert read_workers(state) == [{"worker": "b", "wallets": 1}]


def test_health_tells_sources_and_runs(stores):
    warehouse, state = stores
    document = health(warehouse, state)
    assert [(row["source"], row["rows"]) for row in document["sources"]] == [("activity", 6)]
    assert document["sources"][0]["newest_row_at"] == "2026-06-04T00:01:00Z"
    running, ended = document["runs"]
    assert document["sources"][0]["written_at"] >= ended["started_at"]
    assert (running["status"], running["seconds"]) == ("running", None)
    assert (ended["status"], ended["wallets"], ended["rows"], ended["rejected"]) == ("partial", 2, 6, 1)
    assert ended["error"] == "one page failed"
    assert (document["failed"], document["failures"], document["rejected"], document["hours"]) == (0, [], [], [])
