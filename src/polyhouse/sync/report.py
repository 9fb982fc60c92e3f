"""What a run was asked to do, what it plans, and what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from polyhouse.errors import PolyhouseError

RunStatus = Literal["ok", "partial", "failed", "interrupted"]

_MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class WalletSelection:
    """Which wallets a command works on.

    Attributes:
        addresses: these wallets (20 bytes each); they are registered if they are new.
        all: every registered wallet.
        top: the N wallets of the largest volume.
        only_pending: wallets that wait in the queue (never read, or failed and due again).
        active_only: wallets that trade feeds show something new of.
        file: one 0x… address per line, ``#`` starts a comment.
        incremental: without another selection, only wallets whose trades feed shows something their ledger lacks;
            with one, every selected wallet, from its cursor.
        resume: leave out wallets that completed since the last stop of an interrupted run.
        full: read from the beginning instead of from the cursor.
        max_wallets: at most so many; what is left out is reported and makes the run partial.
        dry_run: plan only.
        until_empty: with ``only_pending``: also take over what other workers leave behind, so wait for those that
            still read.
    """

    addresses: tuple[bytes, ...] = ()
    all: bool = False
    top: int | None = None
    only_pending: bool = False
    file: Path | None = None
    incremental: bool = False
    resume: bool = False
    full: bool = False
    max_wallets: int | None = None
    dry_run: bool = False
    active_only: bool = False
    until_empty: bool = False

    @property
    def is_explicit(self) -> bool:
        """True when wallets were named in one way or another."""
        named = self.addresses or self.file or self.top is not None
        return bool(named or self.all or self.only_pending or self.active_only)


@dataclass(frozen=True, slots=True)
class Road:
    """One way to do a job.

    Attributes:
        road: ``wallets`` asks every selected wallet, ``feed`` reads everyone's newest trades and asks the wallets with
            news, ``markets`` reads the trades of the markets that can have news and asks the wallets with news,
            ``stored`` asks the wallets that the stored trades show news of.
        requests: expected.
        seconds: they take at the current limits.
        complete: it brings everything that was asked for.
        why: one sentence: what it costs, what it does not bring.
    """

    road: str
    requests: int
    seconds: float
    complete: bool
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a dry run would do: partitions to read, requests expected, seconds at the current limits.

    ``roads`` are the ways there are; ``chosen`` names the cheapest of those that bring everything.
    """

    partitions: int
    requests: int
    seconds: float
    roads: tuple[Road, ...] = ()
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """The outcome of one run.

    Attributes:
        run_id: number of the run in the state store (0 for a dry run).
        status: ``ok`` everything asked for was read to its proven end; ``partial`` something failed, was limited or
            quarantined (named in ``errors``); ``failed`` nothing useful could be done; ``interrupted`` by a signal.
        counts: rows, pages, partitions, wallets … by name.
        errors: sentences, the first hundred; ``counts["errors"]`` has their true number.
        seconds: wall time.
        plan: set by a dry run only.
        error_code: code of the error that ended a failed run, e.g. ``WAREHOUSE_UNAVAILABLE``.
        exit_code: what the command line should return.
        touched: wallets whose observations this run wrote, sorted; None = too many to list.
    """

    run_id: int
    status: RunStatus
    counts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    plan: Plan | None = None
    error_code: str = ""
    exit_code: int = 0
    touched: tuple[bytes, ...] | None = ()


class Tally:
    """Collects counts and errors while a run goes on."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.limited = False
        self.interrupted = False
        self.fatal: PolyhouseError | None = None
        self.done = 0

    def error(self, text: str) -> None:
        """Record one failure; the run can no longer be ``ok``."""
        self.counts["errors"] += 1
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(text)

    def limit(self, text: str) -> None:
        """Record a limit that left something out."""
        self.limited = True
        self.error(text)

    def status(self) -> RunStatus:
        """The status of the run so far."""
        if self.fatal is not None:
            return "failed"
        if self.interrupted:
            return "interrupted"
        if self.counts["failed"] and not self.done:
            return "failed"
        if self.errors or self.limited or self.counts["rejected"]:
            return "partial"
        return "ok"

    def exit_code(self) -> int:
        """The exit code that belongs to the status."""
        status = self.status()
        if self.fatal is not None:
            return self.fatal.exit_code
        return {"ok": 0, "partial": 1, "failed": 3, "interrupted": 130}[status]
