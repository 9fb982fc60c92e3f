"""Which wallets a bulk sync reads: files, repetitions, what an unfinished run of the same call left, leases."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polyhouse.domain.ids import parse_address
from polyhouse.errors import BadInputError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sim.faults import Fault
from polyhouse.sync import verify
from polyhouse.sync.report import WalletSelection
from polyhouse.sync.wallet_list import WalletList, wallet_file_groups

ROUTE = "data/v2/activity"


class StopsAfter:
    """A stream that sends the signal to stop when so many partitions were asked for."""

    def __init__(self, inner: Any, partitions: int, stop: asyncio.Event) -> None:
        self.inner, self.left, self.stop = inner, partitions, stop
        self.name = inner.name
        self.restart_position = inner.restart_position

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        self.left -= 1
        if not self.left:
            self.stop.set()
        async for page in self.inner.pages(partition, position):
            yield page


def address(number: int) -> bytes:
    return hashlib.sha256(b"wallet %d" % number).digest()[:20]


def test_a_list_keeps_order_and_drops_repetitions() -> None:
    wallets = WalletList([address(2), address(1), address(2)])
    wallets.add([address(3), address(1)])
    assert len(wallets) == 3
    assert list(wallets.groups(2)) == [[address(2), address(1)], [address(3)]]
    assert bytes(wallets.joined()) == address(2) + address(1) + address(3)
    wallets.close()


def test_a_long_file_is_not_held_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "wallets.txt"
    with file.open("w") as out:
        for number in range(60_000):
            out.write(f"0x{address(number).hex()}\n")
    tracemalloc.start()
    wallets = WalletList()
    for group in wallet_file_groups(file, 1_000):
        wallets.add(group)
    seen = sum(len(group) for group in wallets.groups(1_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == len(wallets) == 60_000
    assert peak < 1_000_000  # as a list of bytes: 3.6 million
    wallets.close()


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wallets.txt"
    file.write_text(f"# people\n\n0x{address(1).hex()}  # one\n0x{address(2).hex()[:-1]}\n")
    with pytest.raises(BadInputError, match=r"wallets\.txt, line 4: "):
        list(wallet_file_groups(file))
    file.write_bytes(f"0x{address(1).hex()}\n".encode() + b"\xff\xfe\n")
    with pytest.raises(BadInputError, match=r"wallets\.txt, after line \d: not a text in UTF-8"):
        list(wallet_file_groups(file))
    with pytest.raises(BadInputError, match="cannot be read"):
        list(wallet_file_groups(tmp_path / "absent.txt"))


async def test_a_file_with_a_bad_line_registers_nobody(lab: Any, tmp_path: Path) -> None:
    file = tmp_path / "wallets.txt"
    file.write_text(f"0x{address(1).hex()}\n" * 3 + "0x12\n")
    async with lab.session() as s:
        report = await s.engine.sync_wallets(WalletSelection(file=file))
        assert (report.status, report.exit_code) == ("failed", 2)
        assert "line 4" in report.errors[0]
        assert s.state.wallet_addresses() == []


async def test_the_same_call_goes_on_where_a_stopped_one_was(lab: Any, tmp_path: Path) -> None:
    names = lab.server.world.universe.wallets
    file = tmp_path / "wallets.txt"
    file.write_text("\n".join([*names, *names[:5]]) + "\n")
    selection = WalletSelection(file=file)
    async with lab.session(concurrency=2, claim=4) as s:
        s.engine._sources = replace(s.sources, activity=StopsAfter(s.sources.activity, 12, s.engine.stop))
        assert (await s.engine.sync_wallets(selection)).status == "interrupted"
        done = set(s.state.wallet_addresses("completed")) | set(s.state.wallet_addresses("empty"))
        assert 10 <= len(done) < len(names)
        assert s.state.wallet_counts()["syncing"] == 0
    before = lab.server.requests[ROUTE]
    async with lab.session(concurrency=2, claim=4) as s:
        report = await s.engine.sync_wallets(selection)
        assert report.status == "ok"
        assert report.counts["wallets_read_before"] == len(done)
        assert lab.server.requests[ROUTE] - before <= len(names) - len(done) + 2  # two pages were in hand
        again = await s.engine.sync_wallets(selection)  # the work was finished: this is a new one
        assert "wallets_read_before" not in again.counts
        assert again.counts["partitions"] >= len(names)


async def test_a_bounded_call_goes_on_with_the_rest(lab: Any) -> None:
    wallets = [parse_address(name) for name in lab.server.world.universe.wallets]
    async with lab.session(claim=4) as s:
        s.state.register_wallets(wallets, "test")
        counts = []
        for _ in range(3):
            report = await s.engine.sync_wallets(WalletSelection(all=True, max_wallets=12))
            counts.append(report.counts.get("wallets_completed", 0) + report.counts.get("wallets_empty", 0))
        assert counts == [12, 12, len(wallets) - 24]
        assert report.status == "ok"
        assert s.state.wallet_counts()["pending"] == 0


async def test_failed_wallets_are_read_again_when_the_source_recovers_within_the_run(lab: Any) -> None:
    wallets = [parse_address(name) for name in lab.server.world.universe.wallets]
    async with lab.session(claim=7) as s:
        s.state.register_wallets(wallets, "test")
        ill = "0x" + wallets[3].hex()
        lab.server.faults.set([Fault("data/v2/activity", "status", status=500, query=f"*{ill}*", times=3)])
        report = await s.engine.sync_wallets(WalletSelection(all=True))
        assert (report.status, report.errors) == ("ok", [])
        assert s.state.wallet(wallets[3]).status == "completed"
        assert s.state.wallet(wallets[3]).attempts == 0


async def test_checkpoints_are_held_against_the_manifest_page_by_page(lab: Any, monkeypatch: Any) -> None:
    wallets = [parse_address(name) for name in lab.server.world.universe.wallets]
    async with lab.session() as s:
        s.state.register_wallets(wallets, "test")
        await s.engine.sync_wallets(WalletSelection(all=True))
        good = s.state.checkpoints("data.activity")
        assert verify._rewind(s.warehouse, s.state) == 0
        monkeypatch.setattr(verify, "_FEW", 7)
        pages = []
        while page := s.state.checkpoints_after("data.activity", pages[-1].partition if pages else "", 7):
            pages += page
        assert pages == good
        wrong = [replace(one, position={"from": 4_000_000_000}) for one in good[::3]]
        stranger = replace(good[0], partition="0x" + "77" * 20)
        s.state.restore_checkpoints([*wrong, stranger])
        assert verify._rewind(s.warehouse, s.state) == len(wrong) + 1
        repaired = {one.partition: one for one in s.state.checkpoints("data.activity")}
        assert [repaired[one.partition].position for one in good] == [one.position for one in good]
        assert (repaired[stranger.partition].position, repaired[stranger.partition].status) == ({}, "new")


async def test_wallets_that_failed_before_do_not_end_a_run(lab: Any) -> None:
    wallets = sorted(parse_address(name) for name in lab.server.world.universe.wallets)
    ill, well = wallets[:12], wallets[12:]
    async with lab.session(concurrency=4) as s:
        s.state.register_wallets(wallets, "test")
        lab.server.faults.set(
            [Fault("data/v2/activity", "status", status=500, query=f"*0x{wallet.hex()}*") for wallet in ill]
        )
        fresh = await s.engine.sync_wallets(WalletSelection(all=True))
        assert any("partitions in a row failed" in error for error in fresh.errors)  # nobody was answered: an outage?
        for wallet in ill:
            s.state.mark_failed(wallet, "500")
        report = await s.engine.sync_wallets(WalletSelection(all=True))
        assert not any("in a row" in error for error in report.errors)
        assert {s.state.wallet(wallet).status for wallet in well} <= {"completed", "empty"}
        assert {s.state.wallet(wallet).status for wallet in ill} == {"failed"}


async def test_leases_hold_while_a_single_wallet_takes_long(lab: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("polyhouse.sync.leases._RENEWALS", 30_000)
    renewed = asyncio.Event()

    class Slow(StopsAfter):
        async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
            await renewed.wait()
            async for page in self.inner.pages(partition, position):
                yield page

    async with lab.session() as s:
        wallet = parse_address(lab.server.world.universe.wallets[0])
        s.state.register_wallets([wallet], "test")
        renew, loop = s.state.renew_leases, asyncio.get_running_loop()

        def watched() -> int:
            held = int(renew())
            loop.call_soon_threadsafe(renewed.set if held == 1 else renewed.clear)
            return held

        monkeypatch.setattr(s.state, "renew_leases", watched)
        s.engine._sources = replace(s.sources, activity=Slow(s.sources.activity, 0, s.engine.stop))
        assert (await s.engine.sync_wallets(WalletSelection(all=True))).status == "ok"
        assert s.state.wallet(wallet).status == "completed"
