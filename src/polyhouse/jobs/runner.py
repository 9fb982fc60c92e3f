"""The thread of a server that works on jobs, one after another, with an event loop of its own; and, beside them, on
what the live socket hints at.

A job is stopped at the next page boundary, never in the middle of a batch: when somebody cancels it, and when the
server stops (then it waits again and goes on where it was). What is fetched and not committed is fetched once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from polyhouse import telemetry
from polyhouse.collecting import pass_over_what_is_loaded
from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.jobs.actions import ACTIONS, Session
from polyhouse.jobs.live import Beside, following
from polyhouse.jobs.progress import JobProgress
from polyhouse.reads.queue import remember_figures
from polyhouse.settings import Settings
from polyhouse.sources.http.budget import shared_lanes
from polyhouse.sync.progress import NullReporter, Reporter
from polyhouse.sync.reorg import wallets_to_rebuild
from polyhouse.sync.touched import rebuild_touched
from polyhouse.wiring import Stores, engine_session, publish_rows

if TYPE_CHECKING:
    from polyhouse.state import JobRecord
    from polyhouse.sync.engine import SyncEngine

LOOK_SECONDS = 2.0
"""Time between two looks for jobs that another process may have queued."""
BEAT_SECONDS = 1.0
"""Time between two notes of the progress of a job."""
_OUTAGE_SECONDS = 5.0
_log = logging.getLogger("polyhouse.jobs")


class JobRunner:
    """Works on the jobs of the state store.

    Args:
        settings: resolved settings.
        stores: open stores; they stay open until ``stop`` has returned.
        is_live: beside jobs, read the wallets that the live socket hints at.
    """

    def __init__(self, settings: Settings, stores: Stores, *, is_live: bool = False) -> None:
        self._settings = settings
        self._stores = stores
        self._is_live = is_live
        self._is_owner = stores.warehouse.is_embedded and not stores.state.is_shared
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="jobs", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_job = asyncio.Event()
        self._is_verified = False
        self._lanes = shared_lanes(settings.rate_scale)
        self._current = 0

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()
        self._ready.wait()

    def ask_to_stop(self) -> None:
        """Stop at the next page boundary and put the job back."""
        self._in_loop(self._end)

    def stop(self) -> None:
        """The same, and wait until it is done. Blocks."""
        self.ask_to_stop()
        self._thread.join()

    def wake(self) -> None:
        """There may be a new job."""
        self._in_loop(self._wake.set)

    def cancel(self, number: int) -> None:
        """The job was asked to stop; tell it now instead of at its next beat."""
        self._in_loop(lambda: self._stop_job.set() if number == self._current else None)

    def _in_loop(self, call: Any) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the thread has ended
                self._loop.call_soon_threadsafe(call)

    def _end(self) -> None:
        self._stopping.set()
        self._stop_job.set()
        self._wake.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._take_over()
        live = asyncio.create_task(self._follow(), name="live") if self._is_live else None
        has_worked = False
        while not self._stopping.is_set():
            job = await self._claim()
            if job is not None:
                await self._execute(job)
                if not has_worked:  # a first job loads what no request needs
                    pass_over_what_is_loaded()
                    has_worked = True
        if live is not None:
            await asyncio.wait({live})
            if live.exception() is not None:
                _log.error("live reading ended", exc_info=live.exception())

    async def _take_over(self) -> None:
        """On a store that only this process uses: end the runs of a killed one, and build what it had not built."""
        if not self._is_owner:
            return
        stores = self._stores
        try:
            async with self._session(NullReporter(), keeps_file=False) as engine:
                await engine.verify()
            self._is_verified = True
            left = await asyncio.to_thread(wallets_to_rebuild, stores.state)
            if left:  # all of them are left to the job that goes on, or to the next one
                await asyncio.to_thread(rebuild_touched, stores.warehouse, stores.state, left, NullReporter())
        except PolyhouseError as error:
            _log.warning("what the last server left waits for the next job: %s", error)

    async def _follow(self) -> None:
        """Follow up what the live socket hints at, until the server stops."""
        beside = Beside(self._lanes, self._stopping, self._is_verified, lambda: self._current != 0)
        async with following(self._settings, self._stores, beside) as look:
            while not self._stopping.is_set():
                try:
                    await look()
                except Exception:  # noqa: BLE001 - our bug costs one round, named in the log, not all that follow
                    _log.exception("a round of live reading failed")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), LOOK_SECONDS)

    def _session(
        self, reporter: Reporter, *, keeps_file: bool = True
    ) -> contextlib.AbstractAsyncContextManager[SyncEngine]:
        return engine_session(
            self._settings, self._stores, reporter, stop=self._stop_job, lanes=self._lanes,
            is_verified=self._is_verified, keeps_file=keeps_file,
        )  # fmt: skip

    async def _claim(self) -> JobRecord | None:
        """The next job; None after a while without one."""
        self._wake.clear()
        pause = LOOK_SECONDS
        try:
            job: JobRecord | None = await asyncio.to_thread(self._stores.state.claim_job, is_owner=self._is_owner)
            if job is not None:
                return job
        except RetryableError as error:
            _log.warning("the queue of jobs cannot be read: %s", error)
            pause = _OUTAGE_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause)
        return None

    async def _execute(self, job: JobRecord) -> None:
        """Do one job and note how it ended, whatever happens."""
        _log.info("job %d: %s, asked by %s", job.id, job.action, job.origin)
        progress, runs = JobProgress(), list[dict[str, Any]]()
        self._current, self._stop_job = job.id, asyncio.Event()
        if self._stopping.is_set():
            self._stop_job.set()
        outcome: dict[str, Any]
        try:
            with telemetry.bound(job=job.id, action=job.action), telemetry.span("job"):
                async with self._beating(job, progress):
                    outcome = await self._work(job, progress, runs)
        except PolyhouseError as error:
            outcome = {"status": "failed", "error": str(error), "error_code": error.code}
        except Exception:  # noqa: BLE001 - our bug fails one job, named in the log, not the server
            _log.exception("job %d failed", job.id)
            outcome = {"status": "failed", "error": "an internal error; the log has it", "error_code": "BUG"}
        self._current = 0
        await self._note_end(job, outcome, {"runs": runs} if runs else None)

    async def _work(self, job: JobRecord, progress: JobProgress, runs: list[dict[str, Any]]) -> dict[str, Any]:
        action = ACTIONS.get(job.action)
        if action is None:
            return {"status": "failed", "error": f"unknown action {job.action[:40]!r}", "error_code": "BAD_INPUT"}
        async with self._session(progress) as engine:
            session = Session(self._settings, self._stores, engine, progress, runs)
            await action.work(session)
        await asyncio.to_thread(remember_figures, self._stores.warehouse, self._stores.state)
        await asyncio.to_thread(publish_rows, self._stores)
        if session.is_cut:
            return {"status": "stopped"}
        report = session.report
        if report is not None and report.status == "failed":
            return {
                "status": "failed", "error": "; ".join(report.errors[:3]), "error_code": report.error_code or "FAILED",
            }  # fmt: skip
        return {"status": "partial" if any(run["status"] == "partial" for run in runs) else "done"}

    @contextlib.asynccontextmanager
    async def _beating(self, job: JobRecord, progress: JobProgress) -> AsyncIterator[None]:
        """Meanwhile renew the job's lease, note its progress, and hear whether it was cancelled."""

        async def beat() -> None:
            noted = -1
            while True:
                changes = progress.changes
                document = progress.document() if changes != noted else None
                with contextlib.suppress(RetryableError):  # more beats come before the lease is over
                    kept = await asyncio.to_thread(self._stores.state.keep_job, job.id, document)
                    noted = changes
                    if kept is None or kept.cancel_asked:
                        self._stop_job.set()
                await asyncio.sleep(BEAT_SECONDS)

        beating = asyncio.create_task(beat(), name="job-beat")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait({beating})
            with contextlib.suppress(RetryableError):
                await asyncio.to_thread(self._stores.state.keep_job, job.id, progress.document())

    async def _note_end(self, job: JobRecord, outcome: dict[str, Any], result: dict[str, Any] | None) -> None:
        """Without the state store nothing can be noted: then the lease ends and the job is done again."""
        state = self._stores.state
        try:
            if outcome["status"] == "stopped":
                # Cancelled, or put back for the next server, as the store knows.
                await asyncio.to_thread(state.put_back_job, job.id)
            else:
                await asyncio.to_thread(lambda: state.finish_job(job.id, result=result, **outcome))
        except RetryableError as error:
            _log.warning("the end of job %d cannot be noted: %s", job.id, error)
        _log.info("job %d: %s", job.id, outcome["status"])
