"""``progress.json`` in the home folder: how far the running job is, for people and programs that watch files.

It is replaced as a whole (written beside, synced, renamed) at most once a second and at least every ten, so that a
reader never sees half a document. At the end it says ``done``, ``failed`` or ``interrupted``; a killed process leaves
``running`` beside a process id that no longer exists. It is a view: nothing reads it to go on from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from polyhouse.ports import Clock
from polyhouse.reads.progress_file import FILE_NAME
from polyhouse.sync.progress import PhaseFigures, Reporter, Traffic
from polyhouse.sync.report import RunStatus

WRITE_SECONDS = 1.0
HEARTBEAT_SECONDS = 10.0
_EPILOGUE = frozenset({"tokens", "market details", "metrics"})
"""Short phases that follow the main one of a run; the document keeps the figures of the main one."""
_STATES: dict[RunStatus, Literal["done", "failed", "interrupted"]] = {
    "ok": "done", "partial": "done", "failed": "failed", "interrupted": "interrupted",
}  # fmt: skip


class CheckpointFile:
    """A reporter that passes everything on to another one and keeps the progress file; use as an async context manager.

    Args:
        home: the folder of the file.
        inner: the reporter that shows the progress to the person in front.
        traffic: requests so far and their rate.
        clock: time and sleep.
    """

    def __init__(self, home: Path, inner: Reporter, traffic: Callable[[], Traffic], clock: Clock) -> None:
        self._path = home / FILE_NAME
        self._inner = inner
        self._traffic = traffic
        self._clock = clock
        self._figures: PhaseFigures | None = None
        self._run: dict[str, Any] | None = None
        self._step = ""
        self._state = "running"
        self._last_wallet: str | None = None
        self._status: RunStatus | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._broken = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep(), name="progress-file")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._task is not None:
            await self._task

    def begin(self, run: int, command: str) -> None:
        """See ``RunObserver``."""
        self._run = {
            "run": run, "command": command, "pid": os.getpid(), "host": socket.gethostname(),
            "started_at": _iso(self._clock.time()),
        }  # fmt: skip
        self._state, self._status, self._figures, self._last_wallet = "running", None, None, None

    def wallet(self, address: bytes) -> None:
        """See ``RunObserver``."""
        self._last_wallet = "0x" + address.hex()

    def end(self, status: RunStatus) -> None:
        """See ``RunObserver``."""
        self._state, self._status = _STATES[status], status

    def phase(self, name: str, total: int | None, unit: str) -> None:
        """See ``Reporter``."""
        self._step = name
        if self._figures is None or name not in _EPILOGUE:
            self._figures = PhaseFigures(name, unit, total, self._clock.monotonic())
        self._inner.phase(name, total, unit)

    def advance(self, n: int = 1, **counts: int) -> None:
        """See ``Reporter``."""
        if self._figures is not None and self._figures.name == self._step:
            self._figures.advance(self._clock.monotonic(), n, counts)
        self._inner.advance(n, **counts)

    def note(self, text: str) -> None:
        """See ``Reporter``."""
        self._inner.note(text)

    def finish(self) -> None:
        """See ``Reporter``."""
        self._inner.finish()

    def document(self) -> dict[str, Any] | None:
        """What the file says now; None before the first run."""
        if self._run is None:
            return None
        now = self._clock.monotonic()
        figures = self._figures or PhaseFigures("", "", None, now)
        left = figures.seconds_left(now) if self._state == "running" else None
        traffic, time = self._traffic(), self._clock.time()
        failed = figures.counts["failed"]
        return self._run | {
            "state": self._state,
            "status": self._status or "running",
            "phase": self._step,
            "unit": figures.unit,
            "total": figures.total,
            "completed": figures.done - failed,
            "failed": failed,
            "empty": figures.counts["empty"],
            "percent": figures.percent,
            "trades": figures.counts["trades"],
            "rows": figures.counts["rows"],
            "updated_at": _iso(time),
            "eta_seconds": None if left is None else round(left),
            "ends_at": None if left is None else _iso(time + left),
            "requests": traffic.requests,
            "requests_per_second": round(traffic.per_second, 1),
            "limit_per_second": round(traffic.limit_per_second, 1),
            "route": traffic.route,
            "last_wallet": self._last_wallet,
        }

    async def _keep(self) -> None:
        written: tuple[object, ...] = ()
        at = -HEARTBEAT_SECONDS
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), WRITE_SECONDS)
            self._traffic()
            figures = self._figures
            now = self._clock.monotonic()
            seen = (id(self._run), self._step, self._state, None if figures is None else figures.done)
            if seen != written or now - at >= HEARTBEAT_SECONDS:
                await self._write()
                written, at = seen, now
        await self._write()

    async def _write(self) -> None:
        document = self.document()
        if document is None or self._broken:
            return
        try:
            await asyncio.to_thread(self._replace, json.dumps(document, indent=1).encode() + b"\n")
        except OSError as error:
            self._broken = True
            self._inner.note(f"{self._path} cannot be written ({error.strerror}); the run goes on without it.")

    def _replace(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Put a whole file in the place of another: a reader, or a power cut, finds either the old one or the new one.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
