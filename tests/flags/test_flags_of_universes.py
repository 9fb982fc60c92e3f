"""Flags of whole universes: equal to the slow calculation, equal in every build, and the planted cast told apart."""

from __future__ import annotations

from typing import Any

import pytest
from plain_flags import Market, bound, bound_without_best, circled_share, habits_of, record_of, trades_of
from scipy.stats import false_discovery_control
from score_store import Tables, load, universe_tables

from polyhouse.cli.flags import flag_facts
from polyhouse.domain.categories import CATEGORIES
from polyhouse.metrics.flags import (
    BOT,
    FLAGS,
    MARKET_MAKER,
    MINIMUM,
    NO_ROUND_TRIPS,
    Q_LEVEL,
    SKILLED,
    TESTED,
    THRESHOLD,
    WASH_TRADER,
    bot_likelihood,
    is_candidate,
    market_making,
)  # fmt: skip
from polyhouse.models import build as build_module
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import encode
from polyhouse.reads.flags import MEANINGS
from polyhouse.reads.wallet import wallet as document
from polyhouse.sim.actors import CAST
from polyhouse.sim.universe import Universe

EVERYBODY = {name: 2 if name == "wash_trader" else 1 for name in CAST}
OWN_FLAGS = {
    "skilled_trader": {"skilled"}, "specialist": set(), "insider": {"insider"}, "lucky_gambler": {"lucky"},
    "bot": {"bot", "market_maker"}, "wash_trader": {"wash_trader"},
}  # fmt: skip
"""What each planted kind is flagged; specialists have a table of their own."""

Row = dict[str, Any]


def planted(seed: int) -> Universe:
    return Universe(seed=seed, wallets=50, fills=6_000, cast=EVERYBODY)


def stored(warehouse: Warehouse) -> dict[bytes, dict[str, Row]]:
    result = warehouse.query("SELECT * FROM wallet_flags_current")
    found: dict[bytes, dict[str, Row]] = {}
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        found.setdefault(bytes(row["wallet"]), {})[row["flag"]] = row
    return found


def flagged(rows: dict[bytes, dict[str, Row]], universe: Universe) -> dict[str, set[str]]:
    """Address → names of its flags."""
    return {
        wallet: {name for name, row in rows.get(bytes.fromhex(wallet[2:]), {}).items() if row["is_flagged"]}
        for wallet in universe.wallets
    }


def dump(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    rows = warehouse.query("SELECT * EXCEPT (version, as_of) FROM wallet_flags_current").rows
    return sorted((*row[:-1], sorted(row[-1].items())) for row in rows)


def intervals_of(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "SELECT * EXCEPT (version, is_deleted) FROM wallet_intervals FINAL ORDER BY wallet, category, window"
    ).rows


def markets_of(tables: Tables) -> dict[bytes, Market]:
    paid = dict(zip(tables["resolutions"]["condition"], range(10**9), strict=False))
    numerators, times = tables["resolutions"]["numerators"], tables["resolutions"]["ts"]
    event_of = dict(zip(tables["markets"]["condition"], tables["markets"]["event_id"], strict=True))
    category = dict(zip(tables["events"]["event_id"], tables["events"]["category"], strict=True))
    found = {}
    for token, condition, outcome in zip(
        *(tables["tokens"][name] for name in ("token", "condition", "outcome")), strict=True
    ):
        place = paid.get(condition)
        found[token] = Market(
            condition, event_of[condition], outcome, category[event_of[condition]],
            0 if place is None else times[place],
            0.0 if place is None else numerators[place][outcome] / sum(numerators[place]),
        )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def universe() -> Universe:
    return planted(2)


@pytest.fixture(scope="module")
def tables(universe: Universe) -> Tables:
    return universe_tables(universe)


@pytest.fixture(scope="module")
def built(shared: Warehouse, tables: Tables) -> dict[bytes, dict[str, Row]]:
    load(shared, tables)
    build(shared)
    return stored(shared)


def test_every_value_equals_the_slow_calculation(built: dict[bytes, dict[str, Row]], tables: Tables) -> None:
    markets, observed = markets_of(tables), tables["observations"]
    trades = trades_of(observed)
    assert set(built) == {wallet for wallet, own in trades.items() if own}
    tested = 0
    for wallet, rows in built.items():
        habits = habits_of(trades[wallet], markets)
        for name, slow in ((BOT, bot_likelihood), (MARKET_MAKER, market_making)):
            row = rows[name]
            assert row["sample"] == habits.trades
            if row["value"] is not None:
                assert row["value"] == pytest.approx(slow(habits), abs=1e-12)
                assert row["is_flagged"] == (slow(habits) >= THRESHOLD[name])
        if rows[WASH_TRADER]["value"] is not None:
            assert is_candidate(habits)
            share = circled_share(wallet, observed, markets)
            assert rows[WASH_TRADER]["value"] == pytest.approx(share, abs=1e-12)
            assert rows[WASH_TRADER]["is_flagged"] == (share >= THRESHOLD[WASH_TRADER])
        record = record_of(trades[wallet], markets)
        bets = record.bets
        assert (SKILLED in rows) == bool(bets)
        if record.is_sure and len(bets) >= MINIMUM[SKILLED]:
            p_all, p_rest = bound(bets), bound_without_best(bets, list(CATEGORIES))
            assert rows["lucky"]["p_value"] == pytest.approx(p_all, rel=1e-6)
            assert rows[SKILLED]["p_value"] == pytest.approx(max(p_all, p_rest), rel=1e-6)
            edge = sum(payout - price for price, payout, _ in bets) / len(bets)
            assert rows[SKILLED]["value"] == pytest.approx(edge, abs=1e-9), "prices are rounded up to 10⁻⁹"
            tested += p_all < 1
    assert tested >= 3


def test_q_values_are_those_of_benjamini_and_hochberg(built: dict[bytes, dict[str, Row]]) -> None:
    for name in TESTED:
        rows = [row[name] for row in built.values() if name in row and row[name]["p_value"] is not None]
        assert len(rows) > 10
        wanted = false_discovery_control([row["p_value"] for row in rows])
        assert [row["q_value"] for row in rows] == pytest.approx(list(wanted), rel=1e-12)
        for row in rows:
            found = row["q_value"] <= Q_LEVEL
            assert not row["is_flagged"] or found == (name != "lucky")


def test_the_cast_is_told_apart(built: dict[bytes, dict[str, Row]], universe: Universe) -> None:
    for wallet, flags in flagged(built, universe).items():
        kind = universe.behaviours[wallet]
        if kind in CAST:
            assert flags == OWN_FLAGS[kind], kind
        else:
            assert not flags & {"skilled", "insider", "bot", "wash_trader"}, kind


def test_too_little_says_so(built: dict[bytes, dict[str, Row]]) -> None:
    rows = [row for flags in built.values() for row in flags.values()]
    assert {row["status"] for row in rows} >= {"OK", "SMALL_SAMPLE", NO_ROUND_TRIPS}
    for row in rows:
        assert (row["status"] == "SMALL_SAMPLE") == (row["sample"] < row["minimum_sample"])
        if row["status"] != "OK":
            assert row["value"] is None
            assert not row["is_flagged"]
        assert all(number == number and abs(number) < 1e30 for number in row["inputs"].values())


def test_the_wallet_document_shows_every_flag_and_why(
    shared: Warehouse, built: dict[bytes, dict[str, Row]], universe: Universe
) -> None:
    named = {kind: wallet for wallet, kind in universe.behaviours.items()}
    shown = {kind: document(shared, named[kind], sync=None)["flags"] for kind in OWN_FLAGS}
    for kind, flags in shown.items():
        assert [flag["flag"] for flag in flags][:6] == list(FLAGS)
        assert {flag["flag"] for flag in flags if flag["is_flagged"]} == OWN_FLAGS[kind] | (
            {"specialist"} if kind == "specialist" else set()
        )
        encode(flags)
        stored_rows = built[bytes.fromhex(named[kind][2:])]
        for flag in flags[:6]:
            row = stored_rows[flag["flag"]]
            assert (flag["value"] is None) == (row["value"] is None)
            assert flag["q_value"] is None or float(flag["q_value"]) == row["q_value"]
            assert flag["minimum_sample"] == MINIMUM[flag["flag"]]
            assert flag["meaning"] == MEANINGS[flag["flag"]]
    (insider,) = [flag for flag in shown["insider"] if flag["is_flagged"]]
    assert insider["inputs"].keys() >= {"earliness", "against_share", "return_24h", "stake_hhi", "days_before_stake"}
    lines = dict(flag_facts(shown["insider"]))
    assert lines["flags"] == "insider"
    assert "no accusation" in lines["insider"]
    assert ", q " in lines["insider"]
    assert "skilled" in lines["flags_not_judged"]
    shown_intervals = document(shared, named["skilled_trader"], sync=None)["intervals"]
    encode(shown_intervals)
    whole = next(row for row in shown_intervals if (row["category"], row["window"]) == ("overall", "lifetime"))
    assert whole["bets"] > 100
    assert 1 < whole["omega_low"] < whole["omega_high"]
    assert 0 < whole["roi_low"] < whole["roi_high"]


def test_a_wallet_that_no_build_has_seen_has_no_flags(shared: Warehouse) -> None:
    flags = document(shared, "0x" + "fe" * 20, sync={"status": "pending"})["flags"]
    assert {flag["status"] for flag in flags} == {"NOT_COMPUTED"}
    assert {flag["is_flagged"] for flag in flags} == {None}
    assert dict(flag_facts(flags))["flags"] == "none"


def test_nobody_of_a_crowd_without_a_cast_knows_anything(warehouse: Warehouse) -> None:
    """Nobody is called skilled, an insider, a specialist or a bot, and one wallet in fifty a wash trader at most."""
    universe = Universe(seed=7, wallets=50, fills=3_000, cast={})
    load(warehouse, universe_tables(universe))
    build(warehouse)
    found = [flag for flags in flagged(stored(warehouse), universe).values() for flag in flags]
    assert not set(found) & {"skilled", "insider", "bot"}
    assert found.count("wash_trader") <= 1
    assert found.count("lucky") <= 5
    assert warehouse.query("SELECT count() FROM category_specialists WHERE is_specialist").rows == [(0,)]


def test_touched_wallets_only_equals_a_full_build(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """p-values of the touched, and with them the q-values of everybody, are those of a full build, bit for bit."""
    universe = Universe(seed=5, wallets=30, fills=1_200, cast={"skilled_trader": 1, "wash_trader": 2})
    tables = universe_tables(universe)
    rows = tables["observations"]
    wallets = sorted({bytes(wallet) for wallet in rows["wallet"]})
    late = sorted(rows["ts"])[len(rows["ts"]) // 2]
    skilled = next(
        bytes.fromhex(wallet[2:]) for wallet, kind in universe.behaviours.items() if kind == "skilled_trader"
    )
    some = set(wallets[::3]) - {skilled}
    kept = [ts <= late or wallet not in some for ts, wallet in zip(rows["ts"], rows["wallet"], strict=True)]
    early = {name: [v for v, keep in zip(column, kept, strict=True) if keep] for name, column in rows.items()}
    load(warehouse, tables | {"observations": early})
    build(warehouse)
    before = dump(warehouse)
    load(warehouse, {"observations": rows})
    build(warehouse, sorted(some))
    partial, partial_intervals = dump(warehouse), intervals_of(warehouse)
    monkeypatch.setattr(build_module, "SLICE_ROWS", 1_000)
    build(warehouse)
    full = dump(warehouse)
    assert partial_intervals == intervals_of(warehouse)
    assert len(partial_intervals) > 3
    touched = {row[0] for row in full if bytes(row[0]) in some}
    assert [row for row in partial if row[0] in touched] == [row for row in full if row[0] in touched]
    assert [row for row in before if row[0] in touched] != [row for row in full if row[0] in touched]
    q_before, q_partial, q_full = (
        {row[:2]: row[7] for row in rows if row[0] not in touched} for rows in (before, partial, full)
    )
    assert q_partial == q_full != q_before
