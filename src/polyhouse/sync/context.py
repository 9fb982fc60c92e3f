"""What all phases of one run share, and how the outcome of a walk is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polyhouse.errors import RetryableError, UpstreamContractError
from polyhouse.ports import Clock, Partition, Stream, Warehouse
from polyhouse.sync.discovery_hook import Discovery
from polyhouse.sync.progress import NullObserver, Reporter, RunObserver
from polyhouse.sync.report import Tally
from polyhouse.sync.sources import Sources
from polyhouse.sync.store import RunState
from polyhouse.sync.walk import Walk, WalkResult
from polyhouse.sync.writer import BatchLimits, BatchWriter

_REJECT_SAMPLE = 1_000
_REJECT_SHARE = 0.05
END_NOTE = "end"
"""Note of the page that proves the end of a list with addressable offsets."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds of a run. Whatever they leave out is reported, never dropped silently.

    Attributes:
        concurrency: partitions that are fetched at the same time.
        claim: wallets that are taken out of the queue at a time.
        max_pages: pages of one partition in one run.
        give_up_after: so many partitions in a row failing for outside reasons end the phase (0 = concurrency).
        batch: sizes of the writer's batches.
        closed_refresh_seconds: a finished slice of closed events is read again after this time.
        retry_seconds: first pause before a failed wallet is tried by a later run; doubles with each attempt.
    """

    concurrency: int = 50
    claim: int = 50
    max_pages: int = 100_000
    give_up_after: int = 0
    batch: BatchLimits = field(default_factory=BatchLimits)
    closed_refresh_seconds: int = 86_400
    retry_seconds: int = 300


@dataclass(slots=True)
class RunContext:
    """One run: its stores, sources, writer and counters.

    ``wallets_done`` joins the 20-byte addresses of the wallets whose ledgers this run read to the end.
    """

    warehouse: Warehouse
    state: RunState
    sources: Sources
    reporter: Reporter
    clock: Clock
    stop: asyncio.Event
    limits: EngineLimits
    run: int
    writer: BatchWriter
    tally: Tally
    discovery: Discovery
    observer: RunObserver = field(default_factory=NullObserver)
    gave_up: bool = False
    wallets_done: bytearray = field(default_factory=bytearray)
    _failures_in_a_row: int = 0
    _fetched: Counter[str] = field(default_factory=Counter)
    _unreadable: Counter[str] = field(default_factory=Counter)

    def walk(
        self,
        stream: Stream,
        key: str,
        params: Mapping[str, Any] | None = None,
        *,
        since: int | None = None,
        **options: bool,
    ) -> Walk:
        """A walk over one partition of ``stream``; ``options`` as for ``Walk``."""
        return self.walk_over(stream, Partition(stream.name, key, params or {}), since=since, **options)

    def walk_over(self, stream: Stream, partition: Partition, *, since: int | None = None, **options: bool) -> Walk:
        """A walk over a partition that the stream itself named."""
        return Walk(
            stream,
            partition,
            writer=self.writer,
            state=self.state,
            run=self.run,
            stop=self.stop,
            max_pages=self.limits.max_pages,
            since=since,
            **options,
        )

    @property
    def should_end(self) -> bool:
        """No new partition should be started."""
        return self.stop.is_set() or self.gave_up

    def record(self, result: WalkResult) -> None:
        """Count one finished walk and decide whether the phase can go on."""
        counts = self.tally.counts
        counts["partitions"] += 1
        for name in ("pages", "fetched", "rows", "rejected", "ignored"):
            counts[name] += getattr(result, name)
        counts.update({name: value for name, value in result.notes.items() if name != END_NOTE})
        name = f"{result.partition.stream} [{result.partition.key}]"
        if result.status == "failed":
            counts["failed"] += 1
            self.tally.error(f"{name}: {result.error}")
        else:
            self.tally.done += 1
            if result.status == "partial":
                self.tally.limit(f"{name}: stopped after {result.pages} pages, the bound of one run")
            elif result.status == "interrupted":
                self.tally.interrupted = True
        self._check_quarantine(result)

    def fetched(self, walk: Walk) -> None:
        """A walk used the network: too many in a row that failed for outside reasons mean that the upstream is down."""
        if not isinstance(walk.error, RetryableError):
            self._failures_in_a_row = 0
            return
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= (self.limits.give_up_after or self.limits.concurrency) and not self.gave_up:
            self._give_up(
                f"{self._failures_in_a_row} partitions in a row failed, the last with: {walk.error} "
                "The rest is left to the next run."
            )

    def _check_quarantine(self, result: WalkResult) -> None:
        stream = result.partition.stream
        self._fetched[stream] += result.fetched
        self._unreadable[stream] += result.unreadable
        if self.gave_up or self._fetched[stream] < _REJECT_SAMPLE:
            return
        if self._unreadable[stream] > self._fetched[stream] * _REJECT_SHARE:
            error = UpstreamContractError(
                f"{stream}: {self._unreadable[stream]:,} of {self._fetched[stream]:,} rows could not be read; "
                "the source has changed its format, or we have a bug."
            )
            self._give_up(str(error))

    def _give_up(self, text: str) -> None:
        self.gave_up = True
        self.tally.counts["gave_up"] = 1
        self.tally.error(text)
        self.reporter.note(text)
