"""The runs against the simulated Polymarket: real HTTP, real chDB, real SQLite."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyhouse.errors import BadInputError, UpstreamUnavailableError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sim.faults import Fault
from polyhouse.sync.report import WalletSelection

_spec = importlib.util.spec_from_file_location("sync_conftest", Path(__file__).with_name("conftest.py"))
assert _spec is not None
assert _spec.loader is not None
helpers = importlib.util.module_from_spec(_spec)
sys.modules["sync_conftest"] = helpers
_spec.loader.exec_module(helpers)
content = helpers.content


class Failing:
    """A stream that fails for some partitions, so many times each."""

    def __init__(self, inner: Any, times: int, only: str = "") -> None:
        self.inner = inner
        self.name = inner.name
        self.times = times
        self.only = only
        self.failures: dict[str, int] = {}

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        failed = self.failures.get(partition.key, 0)
        if failed < self.times and self.only in partition.key:
            self.failures[partition.key] = failed + 1
            raise UpstreamUnavailableError("503 from the test")
        async for page in self.inner.pages(partition, position):
            yield page

    def restart_position(self, position: Position) -> Position:
        return self.inner.restart_position(position)


def with_stream(session: Any, **streams: Any) -> None:
    session.engine._sources = replace(session.sources, **streams)


async def test_a_run_copies_everything_and_a_second_one_adds_nothing(lab: Any) -> None:
    async with lab.session() as s:
        first = await s.engine.run(metrics=False)
        assert (first.status, first.errors, first.exit_code) == ("ok", [], 0)
        # Every row that was fetched stands in the manifest.
        accounted = s.warehouse.query("SELECT sum(rows) FROM sync_pages_current").rows[0][0]
        assert accounted == first.counts["rows"]
        seen = content(s.warehouse)
        second = await s.engine.run(metrics=False)
        assert second.status == "ok"
        assert second.counts["wallets_with_news"] == 0
        assert content(s.warehouse) == seen
        assert seen["observations"][0] > 300
        counts = s.state.wallet_counts()
        assert counts["completed"] == sum(counts.values()) == first.counts["wallets_found"] > 10
        wallet = s.state.wallet(first.touched[0])
        fills = s.warehouse.query(
            "SELECT count() FROM observations_current WHERE source = 'activity' AND kind IN ('BUY', 'SELL') "
            "AND wallet = unhex({w:String})",
            {"w": first.touched[0].hex()},
        )
        assert wallet.trades_synced == fills.rows[0][0] > 0
        assert s.warehouse.query("SELECT count() FROM reported_positions_current").rows[0][0] > 0
        assert s.state.last_run().status == "ok"


async def test_new_trades_are_picked_up_and_equal_a_copy_from_scratch(lab: Any) -> None:
    async with lab.session() as s:
        await s.engine.run(metrics=False)
        before = content(s.warehouse)
        assert await lab.server.advance(60 * 86_400) > 10
        report = await s.engine.run(metrics=False)
        assert report.status == "ok"
        assert 0 < report.counts["wallets_with_news"] <= s.state.wallet_counts()["completed"]
        await s.engine.sync_wallets(WalletSelection(all=True, incremental=True))
        after = content(s.warehouse)
        assert after["observations"][0] > before["observations"][0]
    async with lab.session("scratch") as s:
        await s.engine.run(metrics=False)
        fresh = content(s.warehouse)
    assert after["observations"] == fresh["observations"]
    assert after["resolutions"] == fresh["resolutions"]


async def test_a_faulty_upstream_gives_the_same_tables(lab: Any) -> None:
    async with lab.session("clean") as s:
        await s.engine.run(metrics=False)
        clean = content(s.warehouse)
    lab.server.faults.set(Fault("*", kind, probability=0.05) for kind in ("status", "truncated", "reset", "empty"))
    async with lab.session("faulty") as s:
        for _ in range(4):
            report = await s.engine.run(metrics=False)
            assert report.status in {"ok", "partial", "failed"}
        lab.server.faults.set(())
        s.state.retry()
        assert (await s.engine.sync_markets(full=True)).status == "ok"
        assert (await s.engine.run(metrics=False)).status == "ok"
        assert content(s.warehouse) == clean


async def test_a_failed_wallet_is_tried_again_in_the_same_run(lab: Any) -> None:
    async with lab.session() as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        with_stream(s, activity=Failing(s.sources.activity, times=1))
        report = await s.engine.sync_wallets(WalletSelection(all=True))
        assert (report.status, report.errors) == ("ok", [])
        assert s.state.wallet_counts()["completed"] > 10


async def test_a_wallet_that_keeps_failing_is_named_and_waits(lab: Any) -> None:
    async with lab.session() as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        bad = s.state.wallet_addresses()[0]
        with_stream(s, activity=Failing(s.sources.activity, times=99, only=bad.hex()))
        report = await s.engine.sync_wallets(WalletSelection(all=True))
        assert (report.status, report.exit_code, report.counts["failed"]) == ("partial", 1, 1)
        assert bad.hex() in report.errors[0]
        record = s.state.wallet(bad)
        assert (record.status, record.attempts) == ("failed", 2)
        assert "503" in record.last_error
        assert s.state.checkpoint("data.activity", "0x" + bad.hex()).status == "failed"


async def test_an_outage_ends_the_run_soon_and_says_so(lab: Any) -> None:
    async with lab.session(concurrency=5) as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        broken = Failing(s.sources.activity, times=99)
        with_stream(s, activity=broken)
        report = await s.engine.sync_wallets(WalletSelection(all=True))
        assert (report.status, report.exit_code) == ("failed", 3)
        assert any("in a row failed" in error for error in report.errors)
        assert len(broken.failures) <= 10, "most wallets were left alone"
        assert s.state.wallet_counts()["syncing"] == 0
        s.state.retry()
        with_stream(s)
        assert (await s.engine.sync_wallets(WalletSelection(only_pending=True))).status == "ok"


async def test_a_stop_ends_at_a_page_boundary_and_the_same_call_goes_on(lab: Any) -> None:
    async with lab.session("clean") as s:
        await s.engine.run(metrics=False, positions=False)
        clean = content(s.warehouse)
    async with lab.session(concurrency=2) as s:
        stops = [3, 150, 160, 175]
        for stop_at in stops:
            s.engine.stop.clear()
            s.reporter.done = 0
            s.reporter.on_advance = lambda at=stop_at: s.reporter.done < at or s.engine.stop.set()
            report = await s.engine.run(metrics=False, positions=False)
            if not s.engine.stop.is_set():
                break
            assert (report.status, report.exit_code) == ("interrupted", 130)
        s.engine.stop.clear()
        s.reporter.on_advance = lambda: None
        assert (await s.engine.run(metrics=False, positions=False)).status == "ok"
        assert content(s.warehouse) == clean


async def test_limits_are_reported(lab: Any) -> None:
    async with lab.session(max_pages=1) as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        known = sum(s.state.wallet_counts().values())
        plan = (await s.engine.sync_wallets(WalletSelection(all=True, dry_run=True))).plan
        assert plan.partitions == known
        assert plan.requests >= known
        assert s.state.wallet_counts()["pending"] == known, "a dry run changes nothing"
        report = await s.engine.sync_wallets(WalletSelection(all=True, max_wallets=3))
        assert (report.status, report.counts["partitions"]) == ("partial", 3)
        assert f"{known - 3} more wallets wait" in report.errors[-1]
        assert s.state.wallet_counts()["pending"] == known - 3


async def test_selected_wallets(lab: Any, tmp_path: Path) -> None:
    async with lab.session() as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        known = s.state.wallet_addresses()
        file = tmp_path / "wallets.txt"
        file.write_text(f"# two\n0x{known[0].hex()}\n\n0x{known[1].hex()}  # with a comment\n")
        report = await s.engine.sync_wallets(WalletSelection(file=file))
        assert set(s.state.wallet_addresses("completed")) == set(known[:2])
        assert report.touched == tuple(sorted(known[:2]))
        await s.engine.sync_wallets(WalletSelection(top=3))
        assert len(set(s.state.wallet_addresses("completed")) - set(known[:2])) >= 1
        stranger = bytes(19) + b"\x07"
        report = await s.engine.sync_wallets(WalletSelection(addresses=(stranger,)))
        assert (report.status, report.counts["rows"]) == ("ok", 0)
        assert s.state.wallet(stranger).status == "empty"
        assert s.state.checkpoint("data.activity", "0x" + stranger.hex()).status == "empty"
        file.write_text("0x12\n")
        bad = await s.engine.sync_wallets(WalletSelection(file=file))
        assert (bad.status, bad.exit_code) == ("failed", 2)
        assert "line 1" in bad.errors[0]
        unknown = await s.engine.sync_trades(["987654321"])
        assert (unknown.status, unknown.error_code) == ("failed", BadInputError.code)


async def test_positions_that_are_gone_are_marked(lab: Any) -> None:
    async with lab.session() as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        await s.engine.sync_positions(WalletSelection())
        wallet, token = s.warehouse.query("SELECT wallet, token FROM reported_positions_current LIMIT 1").rows[0]
        columns = {"wallet": [wallet], "token": [b"\x01" * 32], "shares": [5], "status": ["OPEN"]}
        s.warehouse.write("reported_positions", columns, run=1, token="planted")
        await s.engine.sync_positions(WalletSelection(addresses=(bytes(wallet),)))
        rows = s.warehouse.query(
            "SELECT token, shares, status FROM reported_positions_current WHERE wallet = unhex({w:String})",
            {"w": wallet.hex()},
        ).rows
        by_token = {bytes(row[0]): (row[1], row[2]) for row in rows}
        assert by_token[b"\x01" * 32] == (0, "GONE")
        assert by_token[bytes(token)][1] != "GONE"


async def test_lost_state_is_rebuilt_from_the_warehouse(lab: Any) -> None:
    async with lab.session() as s:
        await s.engine.run(metrics=False, positions=False)
        seen = content(s.warehouse)
        positions = {(c.stream, c.partition): (c.position, c.status) for c in s.state.checkpoints()}
        wallets = s.state.wallet_addresses()
    for file in (lab.folder / "home").glob("state.db*"):
        file.unlink()
    async with lab.session() as s:
        report = await s.engine.sync_markets()
        assert report.counts["partitions_rebuilt"] == len(positions)
        assert any("rebuilt" in note for note in s.reporter.notes)
        rebuilt = {(c.stream, c.partition): (c.position, c.status) for c in s.state.checkpoints("data.activity")}
        assert rebuilt == {key: value for key, value in positions.items() if key[0] == "data.activity"}
        assert s.state.wallet_addresses() == wallets
        assert (await s.engine.run(metrics=False, positions=False)).status == "ok"
        assert content(s.warehouse) == seen


async def test_a_restored_warehouse_sets_the_checkpoints_back(lab: Any) -> None:
    home = lab.folder / "home"
    async with lab.session() as s:
        await s.engine.sync_markets()
        await s.engine.sync_trades()
        await s.engine.sync_wallets(WalletSelection(all=True, max_wallets=5))
    shutil.copytree(home / "warehouse", lab.folder / "backup", symlinks=True)
    async with lab.session() as s:
        await s.engine.run(metrics=False, positions=False)
        seen = content(s.warehouse)
    shutil.rmtree(home / "warehouse")
    shutil.copytree(lab.folder / "backup", home / "warehouse", symlinks=True)
    async with lab.session() as s:
        assert content(s.warehouse) != seen
        report = await s.engine.run(metrics=False, positions=False)
        assert report.counts["partitions_rewound"] > 5
        assert any("older than the state store" in note for note in s.reporter.notes)
        await s.engine.sync_wallets(WalletSelection(all=True, incremental=True))
        assert content(s.warehouse) == seen


async def test_a_stream_that_cannot_be_read_any_more_is_stopped(lab: Any) -> None:
    class Garbled(Failing):
        async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
            from polyhouse.ports import Reject

            yield Page({}, {"done": 1}, is_last=True, fetched=400, rejected=[Reject("shape", "row", "{}")] * 400)

    async with lab.session(concurrency=2) as s:
        s.state.register_wallets([bytes([n]) * 20 for n in range(1, 120)], "test")
        with_stream(s, activity=Garbled(s.sources.activity, times=0))
        report = await s.engine.sync_wallets(WalletSelection(only_pending=True))
        assert report.status == "partial"
        assert any("could not be read" in error for error in report.errors)
        assert report.counts["partitions"] < 60
        assert sum(s.state.quarantine_counts().values()) > 0
