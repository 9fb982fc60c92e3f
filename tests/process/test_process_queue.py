"""`process` over the simulated Polymarket: what it reads, what it never overwrites, what the queue hears."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

from polyhouse.sim.faults import Fault
from polyhouse.state import open_state
from polyhouse.state.outcomes import MAX_ATTEMPTS
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.process import ProcessOptions, process
from polyhouse.sync.served import upstream_is_in_step

REPORTED = {
    "positions": "SELECT wallet, token, shares, status FROM reported_positions_current ORDER BY wallet, token",
    "values": "SELECT wallet, argMax(value, seen_at) FROM reported_values_current GROUP BY wallet ORDER BY wallet",
    "holders": "SELECT token, wallet, shares FROM reported_holders_current ORDER BY token, wallet",
}
READ_ONLY = ProcessOptions(metrics=False)
"""Most rules are about reading; models have tests of their own."""

LEDGER = "SELECT count(), sum(cityHash64(* EXCEPT (run, version))) FROM observations_current"


def wallet_faults(wallet: bytes, kind: str = "status", routes: str = "data/*") -> list[Fault]:
    return [Fault(routes, kind, status=500, query=f"*{wallet.hex()}*")]


async def test_every_wallet_is_read_scored_and_leaves_the_queue(lab):
    async with lab.filled() as s:
        known = s.state.wallet_addresses()
        done = await process(s.engine)
        assert (done.report.status, done.report.errors) == ("ok", [])
        counts = s.state.wallet_counts()
        assert counts["completed"] == len(known) == done.report.counts["wallets_completed"]
        assert sum(counts.values()) == counts["completed"]
        # what the simulated upstream itself answers, counted on its own side
        views = lab.server.world.views
        fills = {wallet: s.state.wallet(wallet).trades_synced for wallet in known}
        assert sum(fills.values()) == s.value("SELECT count() FROM observations_current WHERE source = 'trades'")
        assert all(views.wallet_id("0x" + wallet.hex()) is not None for wallet in known)
        assert s.value("SELECT uniqExact(wallet) FROM reported_values_current") == len(known)
        held = s.value("SELECT count() FROM reported_positions_current WHERE status = 'OPEN'")
        assert held > 0
        assert s.value("SELECT count() FROM reported_holders_current WHERE shares > 0") > 0
        assert s.value("SELECT count() FROM wallet_scores_v1 FINAL") == len(known)
        # the scores are back in the queue
        scores = dict(s.rows("SELECT wallet, whale_tenths FROM wallet_scores_v1 FINAL"))
        assert {wallet: s.state.wallet(wallet).whale_score for wallet in known} == scores
        assert done.queue.is_empty
        assert done.queue.next_due == int(s.calendar.time()) + 6 * 3600
        assert "queue empty; the next wallet is due at" in done.queue.in_words()
        assert upstream_is_in_step(s.state).detail.endswith("it was 4 s behind")


async def test_the_second_pass_asks_nobody_and_six_hours_later_everybody_is_asked_again(lab):
    async with lab.filled() as s:
        await process(s.engine, READ_ONLY)
        before = sum(lab.server.requests.values())
        again = await process(s.engine, READ_ONLY)
        assert (again.report.counts.get("wallets_taken", 0), again.queue.is_empty) == (0, True)
        assert sum(lab.server.requests.values()) == before
        s.calendar.extra += 6 * 3600 + 1
        third = await process(s.engine, READ_ONLY)
        assert third.report.counts["wallets_taken"] == len(s.state.wallet_addresses())
        assert third.report.counts.get("ledger_inserted", 0) == 0
        assert third.report.counts["markets_with_holders_read"] > 0


async def test_holders_of_a_market_are_asked_once_per_interval(lab):
    async with lab.filled() as s:
        await process(s.engine, READ_ONLY)
        first = lab.server.requests["data/v2/holders"]
        assert first > 0
        s.state.queue()
        s.calendar.extra += 3600
        again = await process(s.engine, READ_ONLY)
        assert lab.server.requests["data/v2/holders"] == first
        assert again.report.counts["markets_still_fresh"] > 0
        s.state.queue()
        s.calendar.extra += 5 * 3600 + 1
        await process(s.engine, READ_ONLY)
        assert lab.server.requests["data/v2/holders"] > first


async def test_a_failing_list_of_holders_is_asked_again_and_keeps_what_was_known(lab):
    async with lab.filled() as s:
        await process(s.engine, READ_ONLY)
        known = s.rows(REPORTED["holders"])
        lab.server.faults.set([Fault("data/v2/holders", "status", status=500)])
        s.state.queue()
        s.calendar.extra += 7 * 3600
        broken = await process(s.engine, READ_ONLY)
        assert broken.report.status == "partial"
        assert s.rows(REPORTED["holders"]) == known
        lab.server.faults.set(())
        s.state.queue()
        healed = await process(s.engine, READ_ONLY)
        assert (healed.report.status, healed.report.counts["markets_with_holders_read"] > 0) == ("ok", True)


async def test_a_poison_wallet_waits_and_is_parked_while_the_others_are_done(lab):
    async with lab.filled() as s:
        known = s.state.wallet_addresses()
        bad = known[3]
        lab.server.faults.set(wallet_faults(bad))
        done = await process(s.engine, READ_ONLY)
        assert (done.report.status, done.report.exit_code) == ("partial", 1)
        counts = s.state.wallet_counts()
        assert (counts["completed"], counts["failed"]) == (len(known) - 1, 1)
        record = s.state.wallet(bad)
        assert record.attempts == 1
        assert record.last_error.startswith("data.activity: ")
        for attempt in range(2, MAX_ATTEMPTS + 1):
            s.calendar.extra = s.state.wallet(bad).next_attempt - lab.server.world.now + 1
            done = await process(s.engine, READ_ONLY)
            assert done.queue.is_empty
            assert s.state.wallet(bad).attempts == attempt
        assert s.state.wallet(bad).status == "parked"
        assert "500" in s.state.wallet(bad).last_error
        s.calendar.extra += 365 * 86_400
        later = await process(s.engine, READ_ONLY)
        assert later.report.status == "ok"  # nobody asks for it any more
        assert s.state.wallet(bad).attempts == MAX_ATTEMPTS


async def test_an_error_never_overwrites_a_good_value(lab):
    async with lab.filled() as s:
        await process(s.engine, READ_ONLY)
        good = {name: s.rows(sql) for name, sql in REPORTED.items()}
        assert all(good.values())
        lab.server.faults.set(
            [
                Fault("data/v2/positions", "status", status=500, query="*user=0x[0-7]*"),
                Fault("data/v2/value", "truncated", query="*user=0x[89a-f]*"),
                Fault("data/v2/holders", "empty"),
            ]
        )
        s.calendar.extra += 7 * 3600
        broken = await process(s.engine, READ_ONLY)
        assert broken.report.counts["wallets_failed"] > 0
        assert {name: s.rows(sql) for name, sql in REPORTED.items()} == good
        reasons = {s.state.wallet(one).last_error.split(":")[0] for one in s.state.wallet_addresses("failed")}
        assert reasons == {"data.positions", "data.value"}


async def test_an_outage_counts_against_nobody_and_loses_nothing(lab):
    async with lab.filled("calm") as s:
        await process(s.engine, READ_ONLY)
        calm = (s.value(LEDGER), s.rows(REPORTED["positions"]))
    async with lab.filled("stormy", concurrency=4) as s:
        lab.server.faults.set([Fault("data/*", "status", status=503, after=12)])
        broken = await process(s.engine, READ_ONLY)
        assert broken.report.status in {"partial", "failed"}
        assert not broken.queue.is_empty
        counts = s.state.wallet_counts()
        assert (counts["failed"], counts["parked"], counts["syncing"]) == (0, 0, 0)
        assert broken.report.counts["wallets_spared"] > 0
        assert all(s.state.wallet(wallet).attempts == 0 for wallet in s.state.wallet_addresses())
        lab.server.faults.set(())
        healed = await process(s.engine, READ_ONLY)
        assert healed.queue.is_empty
        assert s.state.wallet_counts()["completed"] == len(s.state.wallet_addresses())
        assert (s.value(LEDGER), s.rows(REPORTED["positions"])) == calm


async def test_empty_wallets_leave_the_queue_until_something_is_seen_of_them(lab):
    async with lab.filled() as s:
        nobody = [bytes([0xEE, number]) * 10 for number in range(5)]
        s.state.register_wallets(nobody, "file")
        done = await process(s.engine, READ_ONLY)
        assert (done.report.status, done.report.counts["wallets_empty"]) == ("ok", 5)
        assert s.state.wallet_addresses("empty") == nobody
        s.calendar.extra += 30 * 86_400
        again = await process(s.engine, READ_ONLY)
        assert again.report.counts["wallets_taken"] == len(s.state.wallet_addresses()) - 5


async def test_what_a_stopped_run_left_unbuilt_is_built_by_the_next_one(lab):
    totals = "SELECT * EXCEPT version FROM wallet_totals FINAL ORDER BY wallet, category, window"
    async with lab.filled() as s:
        await process(s.engine)
        built = s.rows(totals)
    async with lab.filled("stopped", concurrency=2) as s:
        s.progress.stop_after = 6
        stopped = await process(s.engine)
        assert (stopped.report.status, stopped.report.counts.get("wallets_scored", 0)) == ("interrupted", 0)
        counts = s.state.wallet_counts()
        assert counts["syncing"] == counts["failed"] == 0
        assert counts["completed"] >= 5
        s.engine.stop.clear()
        after = await process(s.engine)
        assert after.report.counts["wallets_caught_up"] >= 5
        assert s.rows(totals) == built
        last = await process(s.engine)
        assert "wallets_caught_up" not in last.report.counts


async def test_killed_at_named_points_it_ends_with_the_same_tables(lab):
    async with lab.filled("calm") as s:
        await process(s.engine, READ_ONLY)
        calm = (s.value(LEDGER), s.rows(REPORTED["positions"]), s.rows(REPORTED["holders"]))
    lab.copy("filled", "killed")
    server = lab.server
    urls = {"GAMMA": server.gamma_url, "CLOB": server.clob_url, "DATA": server.data_url}
    environment = {f"POLYHOUSE_{name}_URL": url for name, url in urls.items()} | {"POLYHOUSE_RATE_SCALE": "1000"}
    for failpoint, code in (("K10", -signal.SIGKILL), ("K14", -signal.SIGKILL), ("", 0)):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "polyhouse", "--home", str(lab.folder / "killed"), "process", "--no-metrics",
            "--concurrency", "4", stderr=subprocess.PIPE,
            env=os.environ | environment | {"POLYHOUSE_FAILPOINT": failpoint},
        )  # fmt: skip
        _, errors = await child.communicate()
        assert child.returncode == code, errors.decode()
    async with lab.session("killed") as s:
        counts = s.state.wallet_counts()
        assert counts["completed"] == len(s.state.wallet_addresses())
        assert [one.status for one in s.state.runs(command="process")] == ["ok", "interrupted", "interrupted"]
        assert (s.value(LEDGER), s.rows(REPORTED["positions"]), s.rows(REPORTED["holders"])) == calm


async def test_a_lease_is_renewed_while_a_wallet_hangs(lab, monkeypatch):
    monkeypatch.setattr("polyhouse.sync.leases._RENEWALS", 6_000)  # every 0.05 s
    async with lab.filled() as s:
        slow = s.state.wallet_addresses()[2]
        lab.server.faults.set([Fault("data/v2/activity", "slow", seconds=1.5, query=f"*{slow.hex()}*")])
        work = asyncio.create_task(process(s.engine, READ_ONLY))
        await asyncio.sleep(0.7)
        for _ in range(3):
            s.calendar.extra += 200  # of a lease of 300 seconds
            await asyncio.sleep(0.2)
            s.state.promote_due(stale=False)
            assert s.state.wallet(slow).status == "syncing"
        assert (await work).report.status == "ok"
        assert s.state.wallet(slow).status == "completed"


async def test_the_bound_of_wallets_is_kept_and_said(lab):
    async with lab.filled() as s:
        total = len(s.state.wallet_addresses())
        done = await process(s.engine, ProcessOptions(max_wallets=3, metrics=False))
        assert (done.report.status, s.state.wallet_counts()["completed"]) == ("partial", 3)
        assert f"{total - 3} more wallets wait" in done.report.errors[0]
        assert not done.queue.is_empty


async def test_a_position_that_is_gone_is_closed_even_when_an_earlier_try_of_the_run_saw_it(lab):
    from polyhouse.sync.positions import GONE, positions_left_behind

    async with lab.session() as s:
        wallet, old, new = b"\x01" * 20, b"\x02" * 32, b"\x03" * 32
        for token, seen_at in ((old, 1_000), (new, 2_000)):
            row = {"wallet": [wallet], "token": [token], "condition": [b"\x04" * 32], "status": ["OPEN"],
                   "shares": [5], "seen_at": [seen_at]}  # fmt: skip
            s.warehouse.write("reported_positions", row, run=7, token=token.hex())
        assert positions_left_behind(s.warehouse, {wallet: 1_500}, 7) == [(wallet, old, b"\x04" * 32)]
        assert positions_left_behind(s.warehouse, {wallet: 500}, 7) == []
        assert len(positions_left_behind(s.warehouse, {wallet: 500}, 8)) == 2
        gone = {"wallet": [wallet], "token": [old], "status": [GONE], "seen_at": [2_000]}
        s.warehouse.write("reported_positions", gone, run=7, token="gone")
        assert positions_left_behind(s.warehouse, {wallet: 1_500}, 7) == []


async def test_two_processes_share_a_queue_in_postgresql(lab, postgres_url):
    async with lab.filled() as s:
        known = s.state.wallet_addresses()
        now = s.calendar.time
        with open_state(postgres_url, now=now) as mine, open_state(postgres_url, now=now) as other:
            mine.register_wallets(known, "trades")
            taken = other.claim_wallets(5)  # another machine works on these
            engine = SyncEngine(s.warehouse, mine, s.sources, None, s.calendar)
            done = await process(engine, READ_ONLY)
            assert (done.report.status, done.queue.is_empty) == ("ok", True)
            assert set(mine.wallet_addresses("syncing")) == set(taken)
            assert set(mine.wallet_addresses("completed")) == set(known) - set(taken)
            s.calendar.extra += 301  # the other machine died
            again = await process(engine, READ_ONLY)
            assert again.report.counts["wallets_taken"] == 5
            assert mine.wallet_counts()["completed"] == len(known)
            assert s.value("SELECT countIf(status = 'completed') FROM wallet_registry_current") == len(known)
