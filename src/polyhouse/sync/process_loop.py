"""Continuous mode: pass after pass over the queue, with waits between, until a stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from polyhouse.ports import Clock
from polyhouse.sync.discovery_report import DiscoverOptions
from polyhouse.sync.engine import SyncEngine
from polyhouse.sync.process import Pass, ProcessOptions, QueueState, process
from polyhouse.sync.report import RunReport
from polyhouse.sync.store import RunState

DISCOVERED_NOTE = "process.discovered"
"""Note with the time of the last complete discovery (Unix seconds)."""

_STANDING_ERRORS = frozenset({2, 4, 5})
"""Exit codes of errors that waiting does not mend: settings, keys, a store in use."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """The rhythm of continuous mode, in seconds.

    Attributes:
        look: longest wait between two looks at the queue.
        discover: time between two discoveries; 0 = never.
        outage: first wait after a pass that failed; doubles up to ``look``.
        turn: a pass ends after this time, so that a queue that never empties does not put discovery off for ever.
    """

    look: float = 600.0
    discover: float = 6 * 3600.0
    outage: float = 30.0
    turn: float = 3600.0


class ProcessLoop:
    """Runs passes until ``engine.stop`` is set.

    Args:
        engine: with open clients.
        state: the state store, for the note of the last discovery.
        clock: time.
        options: of each pass.
        rhythm: waits.
        say: hears one sentence after each pass.
    """

    def __init__(
        self,
        engine: SyncEngine,
        state: RunState,
        clock: Clock,
        options: ProcessOptions,
        rhythm: LoopOptions | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._engine = engine
        self._state = state
        self._clock = clock
        self._options = options
        self._rhythm = rhythm or LoopOptions()
        self._say = say
        self._left = options.max_wallets
        self._counts: Counter[str] = Counter()
        self._errors: list[str] = []
        self._failures = 0
        self.queue = QueueState()

    async def run(self) -> RunReport:
        """Go on until a stop, the bound of wallets, or an error that waiting does not mend; one report of all."""
        started = self._clock.monotonic()
        report: RunReport | None = None
        while not self._engine.stop.is_set():
            await self._discover_if_due()
            if self._engine.stop.is_set():
                break
            done = await self._pass()
            report, self.queue = done.report, done.queue
            if report.status == "failed" and report.exit_code in _STANDING_ERRORS:
                break
            if self._left is not None and self._left <= 0:
                break
            await self._wait(done)
        return self._sum(report, self._clock.monotonic() - started)

    async def _pass(self) -> Pass:
        until = self._clock.time() + self._rhythm.turn
        done = await process(self._engine, replace(self._options, until=until, max_wallets=self._left))
        counts = Counter(done.report.counts)
        self._counts += counts
        self._errors += done.report.errors
        del self._errors[:-100]
        if self._left is not None:
            self._left -= counts["wallets_taken"]
        self._say(f"{counts['wallets_completed']:,} wallets done, {counts['wallets_failed']:,} failed; "
                  f"{done.queue.in_words()}")  # fmt: skip
        return done

    async def _wait(self, done: Pass) -> None:
        """Until something is due; after a pass that an outage ended, a growing while."""
        is_outage = done.report.status == "failed" or done.report.counts.get("wallets_spared", 0) > 0
        self._failures = self._failures + 1 if is_outage else 0
        if is_outage:
            pause = min(self._rhythm.look, self._rhythm.outage * 2 ** min(self._failures - 1, 10))
            self._say(f"the upstream or a store is down; looking again in {pause:.0f} s")
        elif not done.queue.is_empty:
            return
        else:
            due = done.queue.next_due
            rest = self._rhythm.look if due is None else due - self._clock.time()
            pause = min(max(rest, 1.0), self._rhythm.look)
        await _either(self._engine.stop, self._clock.sleep(pause))

    async def _discover_if_due(self) -> None:
        if not self._rhythm.discover:
            return
        last = float(await asyncio.to_thread(self._state.get_note, DISCOVERED_NOTE) or 0)
        if self._clock.time() < last + self._rhythm.discover:
            return
        report, found = await self._engine.discover(DiscoverOptions())
        if report.status in {"ok", "partial"}:
            await asyncio.to_thread(self._state.set_note, DISCOVERED_NOTE, int(self._clock.time()))
        self._say(f"discovery: {report.status}, {found.totals.get('new', 0):,} new wallets")

    def _sum(self, last: RunReport | None, seconds: float) -> RunReport:
        is_stopped = self._engine.stop.is_set()
        status = "interrupted" if is_stopped else (last.status if last else "ok")
        return RunReport(
            last.run_id if last else 0,
            status,
            counts=dict(self._counts),
            errors=self._errors,
            seconds=seconds,
            error_code=last.error_code if last else "",
            exit_code=130 if is_stopped else (last.exit_code if last else 0),
        )


async def _either(stop: asyncio.Event, sleep: Coroutine[Any, Any, None]) -> None:
    """Wait for the end of ``sleep`` or for the stop."""
    tasks: set[asyncio.Task[Any]] = {asyncio.create_task(sleep), asyncio.create_task(stop.wait())}
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
