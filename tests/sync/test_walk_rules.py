"""Rules of one walk and of the writer, each on the smallest world that shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from polyhouse.errors import (
    BadInputError,
    CursorRejectedError,
    PolyhouseError,
    UpstreamContractError,
    WarehouseUnavailableError,
)
from polyhouse.ports import Checkpoint, Page, PageCommit, Partition, Position, Reject
from polyhouse.sources.http import SystemClock
from polyhouse.sync.pool import run_jobs
from polyhouse.sync.walk import Walk, WalkResult, check_page
from polyhouse.sync.writer import BatchLimits, BatchWriter

FAST = BatchLimits(rows=100, seconds=0.01, attempts=2, retry_seconds=0.01)


class Memory:
    """Warehouse and state in one: keeps what it is given."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}
        self.commits: list[PageCommit] = []
        self.failed: dict[str, str] = {}
        self.doubted: set[tuple[str, str]] = set()
        self.start: dict[str, Checkpoint] = {}
        self.refuse: Callable[[str, Any], None] = lambda table, columns: None

    def write(self, table: str, columns: dict[str, list[Any]], *, run: int, token: str) -> int:
        self.refuse(table, columns)
        values = next(iter(columns.values()))
        self.rows.setdefault(table, []).extend(values)
        return len(values)

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        return self.start.get(partition)

    def take_ahead(self, stream: str, partition: str) -> None:
        return None

    def doubt(self, partitions: Collection[tuple[str, str]]) -> None:
        self.doubted |= set(partitions)

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        self.commits += commits

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        self.failed[partition] = error


class Scripted:
    """A stream that yields what a function of the position says."""

    name = "scripted"

    def __init__(self, script: Callable[[Position], Sequence[Page | Exception]]) -> None:
        self.script = script
        self.asked: list[Position] = []

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        self.asked.append(position)
        for item in self.script(position):
            if isinstance(item, Exception):
                raise item
            yield item

    def restart_position(self, position: Position) -> Position:
        return {"restarted": 1}


def page(position: Position, rows: int = 1, *, is_last: bool = False, **extra: Any) -> Page:
    return Page({"observations": {"pos": list(range(rows))}}, position, is_last, rows, **extra)


async def walk(
    memory: Memory, stream: Any, key: str = "p", stop: asyncio.Event | None = None, **options: Any
) -> WalkResult:
    async with BatchWriter(memory, memory, 1, SystemClock(), FAST) as writer:  # type: ignore[arg-type]
        one = Walk(
            stream,
            Partition("scripted", key),
            writer=writer,
            state=memory,
            run=1,
            stop=stop or asyncio.Event(),
            **options,
        )
        await one.fetch()
        return await one.settle()


async def test_a_rejected_cursor_restarts_once_and_only_once() -> None:
    def once(position: Position) -> list[Page | Exception]:
        if "restarted" in position:
            return [page({"end": 1}, is_last=True)]
        return [page({"n": 1}), CursorRejectedError("invalid cursor", status=400)]

    stream = Scripted(once)
    result = await walk(Memory(), stream)
    assert (result.status, result.notes) == ("ok", {"cursor_restarts": 1})
    assert stream.asked == [{}, {"restarted": 1}]

    memory = Memory()
    result = await walk(memory, Scripted(lambda _: [CursorRejectedError("invalid cursor", status=400)]))
    assert (result.status, result.error_code) == ("failed", "CURSOR_REJECTED")
    assert memory.failed == {"p": "invalid cursor"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([page({"n": 1}), page({"n": 1})], "came back to a position"),
        ([page({"n": 1}), page({"n": 2}), page({"n": 1})], "came back to a position"),
        ([page({})], "came back to a position"),
        ([page({"n": 1})], "without proof"),
        ([], "without proof"),
    ],
)
async def test_a_walk_that_cannot_end_is_refused(script: list[Page], reason: str) -> None:
    result = await walk(Memory(), Scripted(lambda _: script))
    assert (result.status, result.error_code) == ("failed", UpstreamContractError.code)
    assert reason in result.error


async def test_the_page_bound_is_told() -> None:
    endless = Scripted(lambda _: [page({"n": n}) for n in range(1, 100)])
    memory = Memory()
    result = await walk(memory, endless, max_pages=3)
    assert (result.status, result.pages) == ("partial", 3)
    assert [dict(commit.position) for commit in memory.commits] == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_a_backwards_stream_is_read_from_the_top_after_an_interrupted_walk() -> None:
    stream = Scripted(lambda position: [page({"head": len(position)}, is_last=True)])
    memory = Memory()
    memory.start["p"] = Checkpoint("scripted", "p", {"cursor": "c"}, "partial")
    assert (await walk(memory, stream, backwards=True)).pages == 2
    assert stream.asked == [{"cursor": "c"}, {"head": 1}]
    stream.asked.clear()
    memory.start["p"] = Checkpoint("scripted", "p", {"head": 1}, "ok")
    assert (await walk(memory, stream, backwards=True)).pages == 1


async def test_fresh_and_refreshing_walks_begin_where_they_should() -> None:
    stream = Scripted(lambda _: [page({"end": 1}, is_last=True)])
    memory = Memory()
    for status, options, begins in [
        ("ok", {}, {"from": 9}),
        ("ok", {"refresh": True}, {}),
        ("partial", {"refresh": True}, {"from": 9}),
        ("partial", {"fresh": True}, {}),
    ]:
        stream.asked.clear()
        memory.start["p"] = Checkpoint("scripted", "p", {"from": 9}, status)  # type: ignore[arg-type]
        await walk(memory, stream, **options)
        assert stream.asked == [begins], (status, options)


async def test_whose_rows_are_written_over_is_known_before_a_row_is_written() -> None:
    memory = Memory()
    known: list[set[tuple[str, str]]] = []
    memory.refuse = lambda table, columns: known.append(set(memory.doubted))
    two = [page({"n": 1}), page({"end": 1}, is_last=True)]
    await walk(memory, Scripted(lambda _: two))
    memory.start["p"] = Checkpoint("scripted", "p", {"from": 9}, "ok", pages=2)
    await walk(memory, Scripted(lambda _: [page({"end": 2}, 0, is_last=True)]))
    assert not any(known), "a first read and a page without rows cover nothing"
    await walk(memory, Scripted(lambda _: two))
    assert known[-1] == {("scripted", "p")}


async def test_a_walk_in_doubt_does_not_take_the_newest_rows_for_written() -> None:
    stream = Scripted(lambda _: [page({"end": 1}, is_last=True)])
    memory = Memory()
    for is_doubtful, begins in [(False, {"from": 9, "tail": "ab"}), (True, {"from": 9})]:
        stream.asked.clear()
        position = {"from": 9, "tail": "ab"}
        memory.start["p"] = Checkpoint("scripted", "p", position, "ok", pages=1, is_doubtful=is_doubtful)
        await walk(memory, stream)
        assert stream.asked == [begins]


async def test_a_page_that_cannot_be_stored_fails_its_partition_alone() -> None:
    memory = Memory()

    def refuse(table: str, columns: Any) -> None:
        if table == "observations" and 99 in columns["pos"]:
            raise BadInputError("column pos, row 0: 99 is not allowed")

    memory.refuse = refuse
    good = Scripted(lambda _: [page({"n": 1}), page({"n": 2}), page({"end": 1}, is_last=True)])
    poisoned = Page({"observations": {"pos": [99]}}, {"n": 2}, is_last=False, fetched=1)
    bad = Scripted(lambda _: [page({"n": 1}), poisoned, page({"end": 1}, is_last=True)])
    async with BatchWriter(memory, memory, 1, SystemClock(), FAST) as writer:  # type: ignore[arg-type]
        walks = [
            Walk(stream, Partition("scripted", key), writer=writer, state=memory, run=1, stop=asyncio.Event())
            for key, stream in (("good", good), ("bad", bad))
        ]
        await asyncio.gather(*(one.fetch() for one in walks))
        results = {one.partition.key: await one.settle() for one in walks}
    assert results["good"].status == "ok"
    assert results["bad"].status == "failed"
    assert [dict(c.position) for c in memory.commits if c.partition == "bad"] == [{"n": 1}], "nothing behind the gap"


async def test_an_unavailable_warehouse_moves_no_checkpoint_and_ends_the_run() -> None:
    memory = Memory()
    tries = 0

    def refuse(table: str, columns: Any) -> None:
        nonlocal tries
        tries += 1
        raise WarehouseUnavailableError("the disk is full")

    memory.refuse = refuse
    with pytest.raises(WarehouseUnavailableError, match="disk is full"):
        await walk(memory, Scripted(lambda _: [page({"end": 1}, is_last=True)]))
    assert tries == FAST.attempts
    assert memory.commits == []


async def test_back_pressure_bounds_what_waits() -> None:
    memory = Memory()
    most = 0
    limits = BatchLimits(rows=10, seconds=10.0, waiting_rows=20)
    async with BatchWriter(memory, memory, 1, SystemClock(), limits) as writer:  # type: ignore[arg-type]

        def script(_: Position) -> Any:
            nonlocal most
            for n in range(1, 40):
                most = max(most, writer._waiting_rows)
                yield page({"n": n}, rows=4, is_last=n == 39)

        one = Walk(
            Scripted(script), Partition("scripted", "p"), writer=writer, state=memory, run=1, stop=asyncio.Event()
        )
        await one.fetch()
        assert (await one.settle()).rows == 39 * 4
    assert 10 <= most <= 20


class Hanging:
    """A job whose page never comes."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.asks = asyncio.Event()

    async def fetch(self) -> None:
        self.asks.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended.append("cut")
            raise

    async def settle(self) -> None:
        self.ended.append("settled")


async def test_after_a_stop_a_page_that_never_comes_is_cut_off_and_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyhouse.sync.pool._GRACE_SECONDS", 0.05)
    stop = asyncio.Event()
    ctx = SimpleNamespace(stop=stop, should_end=False, limits=SimpleNamespace(concurrency=3))
    jobs = [Hanging(), Hanging()]
    running = asyncio.create_task(run_jobs(ctx, jobs))  # type: ignore[arg-type]
    for job in jobs:
        await job.asks.wait()
    stop.set()
    await running
    assert [job.ended for job in jobs] == [["cut", "settled"]] * 2


async def test_an_abort_is_no_stop_and_settles_nothing() -> None:
    ctx = SimpleNamespace(stop=asyncio.Event(), should_end=False, limits=SimpleNamespace(concurrency=3))
    job = Hanging()
    running = asyncio.create_task(run_jobs(ctx, [job]))  # type: ignore[arg-type]
    await job.asks.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert job.ended == ["cut"]


async def test_a_time_out_of_the_work_itself_is_told() -> None:
    class TooSlow(Hanging):
        async def fetch(self) -> None:
            raise TimeoutError("of its own")

    ctx = SimpleNamespace(stop=asyncio.Event(), should_end=False, limits=SimpleNamespace(concurrency=3))
    with pytest.raises(TimeoutError, match="of its own"):
        await run_jobs(ctx, [TooSlow()])  # type: ignore[arg-type]


async def test_pages_that_wait_for_room_do_not_make_batches_small() -> None:
    memory = Memory()
    sizes: list[int] = []

    def write_slowly(table: str, columns: Any) -> None:
        if table == "observations":
            sizes.append(len(columns["pos"]))
            time.sleep(0.02)  # meanwhile more pages come than there is room for

    memory.refuse = write_slowly
    limits = BatchLimits(rows=40, seconds=10.0, waiting_rows=60)
    stream = Scripted(lambda _: [page({"n": n}, rows=4, is_last=n == 10) for n in range(1, 11)])
    async with BatchWriter(memory, memory, 1, SystemClock(), limits) as writer:  # type: ignore[arg-type]
        walks = [
            Walk(stream, Partition("scripted", str(n)), writer=writer, state=memory, run=1, stop=asyncio.Event())
            for n in range(12)
        ]
        await asyncio.gather(*(one.fetch() for one in walks))
        for one in walks:
            await one.settle()
    assert sum(sizes) == 12 * 10 * 4
    assert set(sizes[:-1]) == {40}, "the last one is what is left"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Page({}, {}, is_last=True, fetched=1), "1 rows were accepted"),
        (page({}, rows=3, is_last=True, ignored=1), "2 rows were accepted"),
        (Page({}, {}, is_last=True, fetched=0, rejected=[Reject("r", "w", "")]), "fetched 0 rows"),
        (Page({"nonsense": {"a": [1]}}, {}, is_last=True, fetched=1), "unknown table"),
        (Page({"events": {"event_id": [1], "slug": []}}, {}, is_last=True, fetched=1), "differ in length"),
    ],
)
def test_pages_that_do_not_add_up_are_our_bug(bad: Page, message: str) -> None:
    with pytest.raises(PolyhouseError, match=message):
        check_page("test", bad)
