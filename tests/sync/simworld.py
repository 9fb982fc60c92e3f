"""A world in one thread: virtual time, inline "threads", and ports that fail on a seeded schedule."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

from polyhouse.errors import CursorRejectedError, UpstreamUnavailableError, WarehouseUnavailableError
from polyhouse.ports import Checkpoint, Page, PageCommit, Partition, Position
from polyhouse.sync.manifest import position_text


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeping costs nothing, and what would run in a thread runs in place: same seed, same schedule."""

    def __init__(self) -> None:
        self.now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                if timeout is None:
                    raise AssertionError("deadlock: nothing is scheduled and somebody waits")
                loop.now += timeout
                return super().select(0)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except (Crash, Exception) as error:  # noqa: BLE001  (as a real executor does)
            future.set_exception(error)
        return future


class LoopClock:
    def time(self) -> float:
        return 1_800_000_000 + asyncio.get_event_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_event_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Crash(BaseException):
    """The process died here."""


class Faults:
    """Decides, call by call, what goes wrong. After a crash every call dies: the process is gone."""

    def __init__(self, seed: int, rate: float, kinds: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.rate = rate
        self.kinds = kinds
        self.fired: Counter[str] = Counter()
        self.dead = False
        self.calls = 0
        self.crash_at = 0  # crash at exactly this call (systematic mode)

    def draw(self, *possible: str) -> str:
        if self.dead:
            raise Crash
        self.calls += 1
        if self.calls == self.crash_at:
            self.dead = True
            raise Crash
        kinds = [kind for kind in possible if kind in self.kinds]
        if not kinds or self.random.random() >= self.rate:
            return ""
        kind = self.random.choice(kinds)
        self.fired[kind] += 1
        if kind == "crash":
            self.dead = True
            raise Crash
        return kind


class World:
    """What exists outside the process: the upstream's rows, the warehouse's and the state store's content."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed * 7919 + 1)
        self.upstream: dict[str, list[tuple[int, int]]] = {}
        self.warehouse: dict[tuple[str, int], int] = {}  # (partition, row id) → times written
        self.manifest: set[tuple[str, str]] = set()
        self.checkpoints: dict[tuple[str, str], Checkpoint] = {}
        self.violations: list[str] = []
        self.commits = 0
        for p in range(self.random.randint(1, 6)):
            self.upstream[f"w{p}"] = []
            self.grow(f"w{p}", self.random.choice([0, 3, 12, 30]))

    def grow(self, partition: str, n: int) -> None:
        rows = self.upstream[partition]
        ts = rows[-1][0] if rows else 100
        for _ in range(n):
            ts += self.random.choice([0, 0, 0, 1, 5])
            rows.append((ts, len(rows)))

    def expected(self, partition: str, position: Position) -> set[int]:
        """Rows that must be in the warehouse once a checkpoint stands at ``position``."""
        rows = self.upstream[partition]
        if "ts" in position:
            before = [i for ts, i in rows if ts < position["ts"]]
            same = [i for ts, i in rows if ts == position["ts"]]
            return set(before) | set(same[: position["skip"]])
        if "from" in position:
            return {i for ts, i in rows[: position["count"]]}
        return set()

    def check(self, partition: str, position: Position) -> None:
        missing = self.expected(partition, position) - {i for (p, i) in self.warehouse if p == partition}
        if missing:
            self.violations.append(f"{partition}: checkpoint {dict(position)} without rows {sorted(missing)[:5]}")
        if position and (partition, position_text(position)) not in self.manifest:
            self.violations.append(f"{partition}: checkpoint {dict(position)} without its manifest row")

    def check_complete(self, partition: str) -> None:
        """Only a partition that was read to its end may say so."""
        missing = {i for _, i in self.upstream[partition]} - {i for (p, i) in self.warehouse if p == partition}
        if missing:
            self.violations.append(f"{partition}: called finished without rows {sorted(missing)[:5]}")

    def complete(self) -> bool:
        want = {(p, i) for p, rows in self.upstream.items() for _, i in rows}
        return want == set(self.warehouse)


class SimStream:
    """Keyset paging with many equal timestamps, inclusive and restartable."""

    name = "sim"

    def __init__(self, world: World, faults: Faults, page_size: int = 4) -> None:
        self.world = world
        self.faults = faults
        self.page_size = page_size

    async def pages(self, partition: Partition, position: Position) -> AsyncIterator[Page]:
        while True:
            await asyncio.sleep(self.faults.random.random())
            fault = self.faults.draw("source_error", "cursor", "empty", "short", "crash")
            if fault == "source_error":
                raise UpstreamUnavailableError("503")
            if fault == "cursor" and "ts" in position:
                raise CursorRejectedError("invalid cursor", status=400)
            page = self._page(partition.key, position, fault)
            yield page
            if page.is_last:
                return
            position = page.position

    def _page(self, key: str, position: Position, fault: str) -> Page:
        rows = self.world.upstream[key]
        if "ts" in position:
            same = [row for row in rows if row[0] == position["ts"]][position["skip"] :]
            rest = same + [row for row in rows if row[0] > position["ts"]]
        else:
            start = position.get("from", 0)
            rest = [row for row in rows if row[0] >= start]
        size = {"empty": 0, "short": self.page_size - 2}.get(fault, self.page_size)
        if fault == "empty" and "ts" in position and position.get("pad", 0):
            size = self.page_size  # an empty page once in a row, else nobody could call it progress
        taken = rest[:size]
        is_last = len(taken) == len(rest)
        after = self._after(position, rows, taken, is_last=is_last)
        columns = {"wallet": [key.encode()] * len(taken), "pos": [i for _, i in taken], "ts": [t for t, _ in taken]}
        return Page({"observations": columns}, after, is_last, len(taken))

    @staticmethod
    def _after(position: Position, rows: Any, taken: Any, *, is_last: bool) -> Position:
        if is_last:
            return {"from": rows[-1][0] if rows else 0, "count": len(rows)}
        if not taken:
            return {"ts": 0, "skip": 0, **position, "pad": 1}
        ts = taken[-1][0]
        index = taken[-1][1]
        skip = sum(1 for t, i in rows if t == ts and i <= index)
        return {"ts": ts, "skip": skip}

    def restart_position(self, position: Position) -> Position:
        return {"ts": position["ts"], "skip": 0}


class SimWarehouse:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def write(self, table: str, columns: dict[str, list[Any]], *, run: int, token: str) -> int:
        fault = self.faults.draw("write_refused", "write_half", "write_ack_lost", "crash")
        if fault == "write_refused":
            raise WarehouseUnavailableError("refused")
        rows = len(next(iter(columns.values())))
        stored = rows // 2 if fault == "write_half" else rows
        for i in range(stored):
            if table == "observations":
                key = (columns["wallet"][i].decode(), columns["pos"][i])
                self.world.warehouse[key] = self.world.warehouse.get(key, 0) + 1
            else:
                self.world.manifest.add((columns["partition"][i], columns["position_to"][i]))
        if fault:
            raise WarehouseUnavailableError(fault)
        self.faults.draw("crash")
        return rows


class SimState:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        self.faults.draw("crash")
        return self.world.checkpoints.get((stream, partition))

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        fault = self.faults.draw("commit_refused", "commit_ack_lost", "crash")
        if fault == "commit_refused":
            raise WarehouseUnavailableError("database is locked")
        for commit in commits:
            old = self.world.checkpoints.get((commit.stream, commit.partition))
            self.world.checkpoints[commit.stream, commit.partition] = Checkpoint(
                commit.stream, commit.partition, commit.position, "ok" if commit.is_last else "partial",
                pages=(old.pages if old else 0) + 1, rows=(old.rows if old else 0) + commit.rows,
            )  # fmt: skip
            self.world.commits += 1
            self.world.check(commit.partition, commit.position)
            if commit.is_last:
                self.world.check_complete(commit.partition)
        if fault:
            raise WarehouseUnavailableError(fault)
        self.faults.draw("crash")

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        self.faults.draw("crash")
