"""The page loop and the writer under seeded faults, and the proof that these tests see planted bugs."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.ports import Page, Partition, Position
from polyhouse.sync.walk import Walk
from polyhouse.sync.writer import BatchLimits, BatchWriter

_spec = importlib.util.spec_from_file_location("sync_simworld", Path(__file__).with_name("simworld.py"))
assert _spec is not None
assert _spec.loader is not None
sim = importlib.util.module_from_spec(_spec)
sys.modules["sync_simworld"] = sim
_spec.loader.exec_module(sim)

ALL_FAULTS = (
    "source_error", "cursor", "empty", "short", "write_refused", "write_half", "write_ack_lost",
    "commit_refused", "commit_ack_lost", "crash",
)  # fmt: skip
LIMITS = BatchLimits(rows=10, seconds=1.0, waiting_rows=16, attempts=2, retry_seconds=0.5)


async def one_run(world: Any, faults: Any, writer_class: type, stream_class: type, walk_class: type) -> None:
    stream = stream_class(world, faults)
    state = sim.SimState(world, faults)
    stop = asyncio.Event()
    async with writer_class(sim.SimWarehouse(world, faults), state, 1, sim.LoopClock(), LIMITS) as writer:

        async def walk(key: str) -> None:
            one = walk_class(stream, Partition("sim", key), writer=writer, state=state, run=1, stop=stop)
            await one.fetch()
            await one.settle()

        async with asyncio.TaskGroup() as group:
            for key in world.upstream:
                group.create_task(walk(key))


def run_once(world: Any, faults: Any, classes: tuple[type, type, type]) -> None:
    """One process life. It may crash or fail; the world outside remains."""
    loop = sim.VirtualLoop()
    try:
        loop.run_until_complete(one_run(world, faults, *classes))
    except BaseExceptionGroup as group:
        if group.split((sim.Crash, PolyhouseError))[1] is not None:
            raise
    except (sim.Crash, PolyhouseError):
        pass
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


CORRECT = (BatchWriter, sim.SimStream, Walk)


def play(seed: int, classes: tuple[type, type, type] = CORRECT, lives: int = 4) -> tuple[list[str], Counter[str]]:
    """Some lives with faults and growth between them, then healthy ones; returns what was broken."""
    world = sim.World(seed)
    fired: Counter[str] = Counter()
    for life in range(lives):
        rate = world.random.choice([0.0, 0.05, 0.15, 0.3])
        kinds = [kind for kind in ALL_FAULTS if world.random.random() < 0.7]
        faults = sim.Faults(seed * 101 + life, rate, kinds)
        run_once(world, faults, classes)
        fired += faults.fired
        for key in world.upstream:
            world.grow(key, world.random.choice([0, 0, 2]))
    for life in range(2):
        run_once(world, sim.Faults(life, 0.0, ()), classes)
    problems = list(world.violations)
    if not world.complete():
        problems.append("rows are missing after healthy runs")
    if any(c.status != "ok" for c in world.checkpoints.values()):
        problems.append("a healthy run left a partition unfinished")
    return problems, fired


def test_no_fault_schedule_loses_rows_or_moves_a_checkpoint_past_them() -> None:
    fired: Counter[str] = Counter()
    for seed in range(700):
        problems, seen = play(seed)
        assert not problems, f"seed {seed}: {problems[:3]}"
        fired += seen
    # Not vacuous: every kind of fault really happened, often.
    assert {kind: n for kind in ALL_FAULTS if (n := fired[kind]) < 100} == {}


def test_a_crash_at_every_single_call_is_harmless() -> None:
    for seed in range(3):
        call = 0
        while True:
            call += 1
            world = sim.World(seed)
            faults = sim.Faults(seed, 0.0, ())
            faults.crash_at = call
            run_once(world, faults, CORRECT)
            if not faults.dead:
                break
            run_once(world, sim.Faults(0, 0.0, ()), CORRECT)
            assert not world.violations, f"seed {seed}, call {call}: {world.violations[:2]}"
            assert world.complete(), f"seed {seed}, call {call}"
        assert call > 10


def test_a_disturbed_run_writes_at_most_the_uncommitted_pages_again() -> None:
    for seed in range(50):
        world = sim.World(seed)
        faults = sim.Faults(seed, 0.0, ())
        faults.crash_at = 15
        run_once(world, faults, CORRECT)
        run_once(world, sim.Faults(0, 0.0, ()), CORRECT)
        assert max(world.warehouse.values(), default=1) <= 2


# ---- planted bugs: each must be seen -----------------------------------------------------------------------------


class CheckpointFirst(BatchWriter):
    async def _commit(self, deliveries: Any) -> None:
        await self._retried(lambda: self._move(deliveries))
        await self._retried(lambda: self._write(deliveries))


class SwallowWriteError(BatchWriter):
    def _insert(self, table: str, columns: Any, digests: Any) -> None:
        try:
            super()._insert(table, columns, digests)
        except RetryableError:
            return


class ManifestAfterCheckpoint(BatchWriter):
    def _insert(self, table: str, columns: Any, digests: Any) -> None:
        if table == "sync_pages":
            self.later = (table, columns, digests)
        else:
            super()._insert(table, columns, digests)

    def _move(self, deliveries: Any) -> None:
        super()._move(deliveries)
        super()._insert(*self.later)


class GoOnAfterFailedBatch(BatchWriter):
    async def _flush(self, batch: Any) -> None:
        await super()._flush(batch)
        self.failure = None
        for item in batch:
            item.lane.failure = None


class NewestPageFirst(BatchWriter):
    def _take(self) -> Any:
        self._queue.reverse()
        taken = super()._take()
        self._queue.reverse()
        return taken


class DropLastPage(BatchWriter):
    async def submit(self, lane: Any, delivery: Any) -> None:
        if not (delivery.page.is_last and delivery.page.fetched < 3):
            await super().submit(lane, delivery)


def stream_that_edits(edit: Callable[[Page, Position], Page]) -> type:
    class Edited(sim.SimStream):
        async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
            async for page in super().pages(partition, position):
                edited = edit(page, position)
                yield edited
                if edited.is_last:
                    return

    return Edited


EmptyIsEnd = stream_that_edits(lambda page, _: page if page.fetched else replace(page, is_last=True))
ShortIsEnd = stream_that_edits(lambda page, _: replace(page, is_last=True) if page.fetched < 4 else page)


class StrictCursor(sim.SimStream):
    def _page(self, key: str, position: Position, fault: str) -> Page:
        if "ts" in position:
            position = {**position, "skip": 10**6}
        return super()._page(key, position, fault)


class RestartBehindTheTies(sim.SimStream):
    def restart_position(self, position: Position) -> Position:
        return {"ts": position["ts"] + 1, "skip": 0}


class MoveWithoutWaiting(Walk):
    """Writes the checkpoint itself as soon as a page is queued."""

    def _count(self, page: Page) -> None:
        from polyhouse.ports import PageCommit

        self._state.commit_pages(1, [PageCommit("sim", self.partition.key, page.position, page.is_last, page.fetched)])
        super()._count(page)


MUTANTS = {
    "checkpoint before write": (CheckpointFirst, sim.SimStream, Walk),
    "write error swallowed": (SwallowWriteError, sim.SimStream, Walk),
    "manifest after checkpoint": (ManifestAfterCheckpoint, sim.SimStream, Walk),
    "goes on after a failed batch": (GoOnAfterFailedBatch, sim.SimStream, Walk),
    "pages out of order": (NewestPageFirst, sim.SimStream, Walk),
    "last short page dropped": (DropLastPage, sim.SimStream, Walk),
    "empty page is the end": (BatchWriter, EmptyIsEnd, Walk),
    "short page is the end": (BatchWriter, ShortIsEnd, Walk),
    "strict cursor": (BatchWriter, StrictCursor, Walk),
    "restart skips ties": (BatchWriter, RestartBehindTheTies, Walk),
    "checkpoint moved by the walker": (BatchWriter, sim.SimStream, MoveWithoutWaiting),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulation_catches(name: str) -> None:
    for seed in range(200):
        try:
            problems, _ = play(seed, MUTANTS[name])
        except (AssertionError, PolyhouseError):
            return
        if problems:
            return
    pytest.fail(f"200 seeds did not notice: {name}")
