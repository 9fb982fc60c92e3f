"""Markets are asked when they are due; what they say then replaces what they said, and everybody's PnL follows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from tests.incremental.conftest import DAY, EVERYONE

from polyhouse.models.runner import build
from polyhouse.ports import Page
from polyhouse.sim.rulings import Ruling
from polyhouse.sim.truth import Truth, compute_truth
from polyhouse.sim.universe import Universe
from polyhouse.sync.manifest import Delivery, merge_tables
from polyhouse.sync.market_rules import RULES, due_markets, schedule
from polyhouse.sync.open_markets import walk_events
from polyhouse.sync.payouts import payouts, withdraw
from polyhouse.truth_check import compare
from polyhouse.warehouse import open_warehouse

pytestmark = pytest.mark.usefixtures("accounts_only")

MODELS = ("ledger", "positions", "units", "wallet_totals")


def lifetime(life: Any) -> dict[str, set[str]]:
    """What the models say, without windows (they end when the build was made) and marks (of settled positions idle)."""
    found = {}
    for table in MODELS:
        names = life.column(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
            " AND name NOT IN ('version', 'is_deleted', 'run')"
            " AND NOT match(name, '_\\\\d+d$|^mark_') ORDER BY position",
            t=table,
        )
        where = "WHERE window = 'lifetime'" if table == "wallet_totals" else ""
        rows = life.warehouse.query(f"SELECT {', '.join(names)} FROM {table} FINAL {where}").rows
        found[table] = {repr(row) for row in rows}
    return found


def truth_of(universe: Universe) -> Truth:
    history = universe.transactions(until=universe.now)
    return compute_truth(history, universe.events, universe.neg_risk_markets)


def held_markets(lab: Any, *, resolved: bool) -> list[Any]:
    """Markets with several holders, the ones with most first."""
    world = lab.server.world
    states = [state for state in world.visible_markets() if (state.resolution is not None) is resolved]
    return sorted(states, key=lambda state: -len(world.views.market_wallets(state.number)))


async def test_late_corrected_and_withdrawn_payouts_reach_every_holder(make_lab: Any) -> None:
    universe = Universe(seed=5, wallets=30, fills=700, now_fraction=0.8)
    lab = await make_lab(universe)
    rulings, start = lab.server.world.rulings, lab.server.world.now
    late, wrong, *_ = held_markets(lab, resolved=True)
    premature = held_markets(lab, resolved=False)[0]
    ends = start + 45 * DAY
    for market, first in ((late, ()), (wrong, tuple(reversed(wrong.resolution.numerators))), (premature, (1, 0))):
        rulings.add(market.meta.condition_id, Ruling(start - DAY, first))
        rulings.add(market.meta.condition_id, Ruling(ends, truth=True))
    touched: set[bytes] = set()
    async with lab.life() as life:
        await life.load()
        build(life.warehouse)
        assert not compare(life.warehouse, truth_of(universe)).ok, "the rulings are false"
        reports = []
        for days in (20, 40):
            await lab.server.advance(days * DAY)
            reports.append(await life.open_markets())
            assert (reports[-1].status, reports[-1].errors) == ("ok", [])
        assert "corrected" not in reports[0].counts
        counts = reports[1].counts
        assert (counts["resolved"], counts["corrected"] + counts.get("reopened", 0)) >= (1, 2), counts
        assert counts["wallets_affected"] > 3
        # Twice is once.
        assert not {"resolved", "corrected", "reopened"} & set((await life.open_markets(everything=True)).counts)
        for report in (*reports, await life.engine.sync_markets(), await life.sync(EVERYONE)):
            touched |= set(report.touched)
        build(life.warehouse, sorted(touched))
        holders = set(life.column("SELECT DISTINCT wallet FROM positions FINAL"))
        assert len(touched) < len(holders), "the build found the other holders by itself"
        seen = lifetime(life)
    async with lab.life("scratch") as life:
        await life.load()
        build(life.warehouse)
        fresh = lifetime(life)
        assert {table: seen[table] ^ fresh[table] for table in MODELS} == {table: set() for table in MODELS}
        assert compare(life.warehouse, truth_of(universe)).ok


def test_a_payout_is_taken_back_only_by_a_state_that_was_told_after_it(tmp_path: Path) -> None:
    """A run that is killed inside a batch leaves the first of the two: the other one must be asked for again."""
    assert [table for table in merge_tables([both_told()]) if table != "sync_pages"] == ["market_states", "resolutions"]
    condition = b"\x07" * 32
    payout = {"condition": [condition], "source": ["resolutions"], "ts": [1_780_000_000], "numerators": [[1, 0]]}
    with open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse:

        def told(status: str, token: str) -> None:
            warehouse.write("market_states", {"condition": [condition], "status": [status]}, run=1, token=token)

        told("posed", "first")
        warehouse.write("resolutions", payout, run=1, token="payout")
        assert withdraw(warehouse, 2) == 0
        assert payouts(warehouse, [condition])[condition].numerators == (1, 0)
        told("resolved", "second")
        assert withdraw(warehouse, 2, [condition]) == 0
        told("posed", "third")
        assert withdraw(warehouse, 2, [condition]) == 1
        assert (payouts(warehouse, [condition]), withdraw(warehouse, 3)) == ({}, 0)


def both_told() -> Delivery:
    """A page of the list of resolutions."""
    told = {"resolutions": {"condition": [b"\x07" * 32]}, "market_states": {"condition": [b"\x07" * 32]}}
    return Delivery("data.resolutions", "1", {}, Page(tables=told, position={}, is_last=True, fetched=1), 1)


async def test_quiet_markets_are_left_alone_until_they_are_due(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=300, now_fraction=0.8))
    async with lab.life() as life:
        await life.load()
        first = await life.open_markets()
        assert first.counts["markets_due"] == first.counts["markets_refreshed"] > 0
        async with lab.counted() as requests:
            again = await life.open_markets()
        assert (again.counts.get("markets_due", 0), sum(requests.values())) == (0, 0)
        waiting = {rule.rule: rule for rule in schedule(life.warehouse, lab.server.world.now)}
        assert set(waiting) <= {rule.name for rule in RULES}
        quiet = waiting["quiet"]
        assert quiet.next_due == lab.server.world.now + DAY
        # An hour later only what moves faster is asked; a day later the quiet ones are.
        for seconds, asked in ((3_700, 0), (DAY - 3_700, quiet.markets)):
            await lab.server.advance(seconds)
            due = [m.rule for group in due_markets(life.warehouse, lab.server.world.now) for m in group]
            report = await life.open_markets()
            assert report.counts.get("due_quiet", 0) == due.count("quiet")
            assert (due.count("quiet") > 0) == (asked > 0)


async def test_nothing_is_given_up_and_the_pauses_grow(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=300, now_fraction=0.6))
    never = max(held_markets(lab, resolved=True), key=lambda state: state.meta.end_ts)
    lab.server.world.rulings.add(never.meta.condition_id, Ruling(0))
    condition = bytes.fromhex(never.meta.condition_id[2:])
    asked: list[int] = []
    async with lab.life() as life:
        await life.engine.sync_markets()
        hour = 0
        while hour < 24 * 90:
            due = [m.condition for group in due_markets(life.warehouse, lab.server.world.now) for m in group]
            if condition in due:
                asked.append(hour)
                now = lab.server.world.now
                columns = {"condition": [condition], "checked_at": [now]}
                life.warehouse.write("market_checks", columns, run=1, token=f"asked {now}")
            step = max(4, hour // 10)
            await lab.server.advance(step * 3_600)
            hour += step
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(pauses) > 5
    assert pauses[-1] > 5 * pauses[0]
    assert all(later >= earlier - 48 for earlier, later in itertools.pairwise(pauses)), pauses
    assert max(pauses) <= 7 * 24 + step, "a week at most, for ever"


async def test_one_event_by_number_and_by_slug(make_lab: Any) -> None:
    lab = await make_lab(Universe(seed=5, wallets=30, fills=700, now_fraction=0.8))
    event = held_markets(lab, resolved=True)[0].event
    other = next(one for one in lab.server.world.visible_events() if one.event_id != event.event_id)
    async with lab.life() as life:
        names = [str(event.event_id), other.slug]
        report = await life.engine.perform("sync open-markets", {}, lambda ctx: walk_events(ctx, names))
        assert (report.status, report.errors) == ("ok", [])
        stored = life.warehouse.query("SELECT event_id, slug FROM events_current").rows
        assert {int(row[0]) for row in stored} == {event.event_id, other.event_id}
        assert report.counts["resolved"] == life.column("SELECT uniqExact(condition) FROM resolutions_current")[0] > 0
        bad = await life.engine.perform("sync open-markets", {}, lambda ctx: walk_events(ctx, ["no-such-event"]))
        assert (bad.status, bad.exit_code) == ("failed", 2)
        assert "no-such-event" in bad.errors[0]
