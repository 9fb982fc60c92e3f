"""Pages that a killed process had taken over: kept, found, committed once, and only where they belong."""

from __future__ import annotations

from pathlib import Path

from polyhouse.ports import Page
from polyhouse.sources.http import SystemClock
from polyhouse.state import open_state
from polyhouse.sync.journal import Journal
from polyhouse.sync.manifest import Delivery
from polyhouse.sync.recovery import recover
from polyhouse.sync.writer import BatchWriter
from polyhouse.warehouse import open_warehouse

STREAM = "data.activity"


def delivery(partition: str, seq: int, *, is_last: bool = False) -> Delivery:
    columns = {
        "wallet": [seq.to_bytes(20, "big")], "token": [bytes(32)], "tx": [seq.to_bytes(32, "big")],
        "source": ["activity"], "kind": ["BUY"], "ts": [1_700_000_000 + seq], "shares": [5], "cash": [3],
    }  # fmt: skip
    before = {"at": seq - 1} if seq > 1 else {}
    page = Page({"observations": columns}, {"at": seq}, is_last=is_last, fetched=1)
    return Delivery(STREAM, partition, before, page, seq, is_first_read=True)


def left(folder: Path) -> list[tuple[str, int]]:
    journal = Journal(folder, keeps_pages=False)
    found = [(one.partition, one.seq) for one in journal.left_behind()]
    journal.close()
    return found


def test_pages_stay_until_they_are_done(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, keeps_pages=True, segment_bytes=1)
    marks = [journal.append(delivery("0x01", seq)) for seq in (1, 2, 3)]
    assert len(set(marks)) == 3  # one page fills a segment here
    journal.done(marks[1])
    assert left(folder) == []  # its process lives
    journal.close()
    assert left(folder) == [("0x01", 1), ("0x01", 3)]
    later = Journal(folder, keeps_pages=True)
    mark = later.append(delivery("0x02", 1))
    assert mark > max(marks)
    first = next(later.left_behind())
    assert first.digest() == delivery("0x01", 1).digest()
    assert left(folder) == []  # somebody cares for them
    later.forget_left_behind()
    later.done(mark)
    later.close()
    assert list(folder.iterdir()) == []


def test_a_segment_is_emptied_as_soon_as_nothing_in_it_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path, keeps_pages=True)
    for _ in range(3):
        marks = [journal.append(delivery("0x01", seq)) for seq in (1, 2)]
        for mark in marks:
            journal.done(mark)
        assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_torn_and_foreign_frames_end_the_reading(tmp_path: Path) -> None:
    journal = Journal(tmp_path, keeps_pages=True)
    for seq in (1, 2, 3):
        journal.append(delivery("0x01", seq))
    journal.close()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for cut in (1, 5, 9, len(whole) // 3):
        path.write_bytes(whole[:-cut])
        assert left(tmp_path) == [("0x01", 1), ("0x01", 2)]
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" + whole[len(whole) // 2 + 1 :])
    assert left(tmp_path) == [("0x01", 1)]
    path.write_bytes(b"garbage" * 10)
    assert left(tmp_path) == []


def test_without_workers_nothing_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none", keeps_pages=False)
    journal.done(journal.append(delivery("0x01", 1)))
    journal.close()
    assert not (tmp_path / "none").exists()


async def test_what_was_left_behind_is_committed_once_and_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    killed = Journal(folder, keeps_pages=True)
    for one in (
        delivery("0x01", 1), delivery("0x02", 1), delivery("0x01", 2, is_last=True),
        delivery("0x03", 2),  # its first page is nowhere: behind a gap
        delivery("0x02", 3),
    ):  # fmt: skip
        killed.append(one)
    killed.close()  # as the kernel does
    with (
        open_warehouse(f"chdb://{tmp_path}/warehouse") as warehouse,
        open_state(f"sqlite:///{tmp_path}/state.db") as state,
    ):
        run = state.start_run("test", {})
        clock = SystemClock()
        async with BatchWriter(warehouse, state, run, clock) as writer:  # this one was committed before the kill
            lane = writer.lane(STREAM, "0x02")
            await lane.submit({}, delivery("0x02", 1).page, 1)
            await lane.settle()
        for expected in (2, 0):
            journal = Journal(folder, keeps_pages=True)
            async with BatchWriter(warehouse, state, run, clock, journal=journal) as writer:
                assert await recover(journal, writer, state) == expected
            journal.close()
        stands = {one.partition: (one.status, one.position, one.pages) for one in state.checkpoints(STREAM)}
        assert stands == {"0x01": ("ok", {"at": 2}, 2), "0x02": ("partial", {"at": 1}, 1)}
        assert warehouse.query("SELECT count() FROM observations").rows[0][0] == 3
    assert list(folder.iterdir()) == []
