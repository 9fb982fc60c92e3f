"""The mirror of the registry in the warehouse: complete, cheap to repeat, rebuilt when the stores were parted."""

from __future__ import annotations

import asyncio
import shutil

from polyhouse.errors import WarehouseUnavailableError
from polyhouse.sync.process import ProcessOptions, process
from polyhouse.sync.registry_mirror import NOTE, PAGE, RegistryMirror, push

SAME = (
    "status", "attempts", "first_seen", "last_seen", "next_attempt", "last_error", "last_attempt_at", "last_synced_at",
    "sync_duration_ms", "trades_synced", "rows_synced", "last_trade_at", "whale_score", "due_at", "queued_reason",
    "updated_at",
)  # fmt: skip


def mirrored(s) -> dict[bytes, tuple]:
    times = {"first_seen", "last_seen", "next_attempt", "last_attempt_at", "last_synced_at", "last_trade_at", "due_at",
             "updated_at"}  # fmt: skip
    names = ", ".join(f"toUnixTimestamp({name})" if name in times else name for name in SAME)
    rows = s.rows(f"SELECT wallet, provenance, {names} FROM wallet_registry_current")
    return {bytes(row[0]): (tuple(row[1]), *row[2:]) for row in rows}


def registered(s) -> dict[bytes, tuple]:
    records = [s.state.wallet(address) for address in s.state.wallet_addresses()]
    return {one.address: (one.provenance, *(getattr(one, name) for name in SAME)) for one in records}


def wallet(number: int) -> bytes:
    return number.to_bytes(20, "big")


async def test_every_run_ends_with_the_mirror_up_to_date(lab):
    async with lab.filled() as s:
        await process(s.engine, ProcessOptions(max_wallets=5, metrics=False))
        assert mirrored(s) == registered(s)
        assert len(mirrored(s)) == len(s.state.wallet_addresses()) > 5
        rows = s.rows("SELECT run_id, command, status, toUnixTimestamp(finished_at) FROM sync_runs_current ORDER BY 1")
        recorded = s.state.runs(limit=100)
        assert rows == [(one.id, one.command, one.status, one.finished_at) for one in reversed(recorded)]


async def test_a_push_writes_what_changed_and_nothing_is_ever_twice(lab):
    async with lab.session() as s:
        s.state.register_wallets([wallet(n) for n in range(1, 101)], "file")
        assert push(s.warehouse, s.state).wallets == 100
        s.calendar.extra += 3600
        s.state.mark_failed(wallet(7), "500: no such luck")
        assert push(s.warehouse, s.state).wallets == 100  # the last minute before the mark is read again
        s.calendar.extra += 3600
        s.state.mark_failed(wallet(8), "the same")
        assert push(s.warehouse, s.state).wallets == 2
        assert mirrored(s) == registered(s)
        assert s.value("SELECT count() FROM wallet_registry_current") == 100


async def test_pages_follow_each_other_by_key(lab, monkeypatch):
    monkeypatch.setattr("polyhouse.sync.registry_mirror.PAGE", 7)
    async with lab.session() as s:
        s.state.register_wallets([wallet(n) for n in range(1, 51)], "file")  # all in one second
        assert push(s.warehouse, s.state).wallets == 50
        assert mirrored(s) == registered(s)
    assert PAGE > 1_000


async def test_a_lost_mark_or_a_lost_table_means_everything_again(lab):
    async with lab.session() as s:
        s.state.register_wallets([wallet(n) for n in range(1, 31)], "file")
        push(s.warehouse, s.state)
        s.state.set_note(NOTE, None)
        assert push(s.warehouse, s.state).rebuilt
        assert mirrored(s) == registered(s)
        s.warehouse.command("TRUNCATE TABLE wallet_registry")  # as after restoring an older warehouse
        s.calendar.extra += 86_400
        assert push(s.warehouse, s.state).rebuilt
        assert mirrored(s) == registered(s)
        assert not push(s.warehouse, s.state).rebuilt


async def test_wallets_of_a_registry_that_was_replaced_do_not_stay(lab):
    async with lab.session() as s:
        s.state.register_wallets([wallet(n) for n in range(1, 31)], "file")
        s.state.start_run("sync wallets")
        push(s.warehouse, s.state)
    (lab.folder / "home" / "state.db").unlink()
    for rest in ("state.db-wal", "state.db-shm"):
        (lab.folder / "home" / rest).unlink(missing_ok=True)
    async with lab.session() as s:
        s.state.register_wallets([wallet(n) for n in range(20, 41)], "file")
        assert push(s.warehouse, s.state).rebuilt
        assert mirrored(s) == registered(s)
        assert s.value("SELECT count() FROM sync_runs_current") == 0
    shutil.rmtree(lab.folder / "home")


async def test_a_run_that_goes_on_is_shown_every_minute_and_its_end_replaces_it(lab):
    async with lab.session() as s:
        run = s.state.start_run("sync wallets", {"all": True})
        mirror = RegistryMirror(s.warehouse, s.state, s.calendar, seconds=0.01)
        mirror.start()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if s.value("SELECT count() FROM sync_runs_current"):
                break
        assert s.rows("SELECT status, args FROM sync_runs_current") == [("running", '{"all":true}')]
        s.state.finish_run(run, "partial", {"rows": 3})
        await mirror.stop()
        assert s.rows("SELECT status, counts FROM sync_runs_current") == [("partial", '{"rows":3}')]


async def test_a_mirror_that_cannot_write_fails_no_run(lab, caplog):
    class Broken:
        def query(self, *_: object) -> None:
            raise WarehouseUnavailableError("gone")

    async with lab.session() as s:
        mirror = RegistryMirror(Broken(), s.state, s.calendar)
        mirror.start()
        await mirror.stop()
        assert "gone" in caplog.text
