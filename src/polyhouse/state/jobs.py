"""Jobs of the server: asked for, worked on one after another under a lease, and never lost.

A job waits (``queued``) until a server claims it; the claim is a lease that the server renews. A server that stops puts
its job back; one that was killed loses it when the lease ends, or at once when the next owner of the store starts. Of
each action one job runs at a time, over all processes, and at most one more waits: asking again answers with that one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, or_, select, text, update

from polyhouse.errors import BadInputError
from polyhouse.state.database import SCHEMA, Database, storable
from polyhouse.state.schema import job_requests, jobs, schedules

JobStatus = Literal["queued", "running", "done", "partial", "failed", "cancelled"]
OPEN: tuple[JobStatus, ...] = ("queued", "running")
JOB_LEASE_SECONDS = 60
MOST_DEATHS = 5
"""A job that was under way at so many deaths of its server is failed: it may be what kills it."""


class KeyReusedError(BadInputError):
    """An idempotency key came again with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job.

    Attributes:
        id: its number; a later job has a larger one.
        action: what it does.
        origin: who asked: ``key:NAME`` or ``schedule:PLAN``.
        status: ``done`` everything was read; ``partial`` some wallets, partitions or rows failed (named in the
            result); ``failed``; ``cancelled`` on demand.
        created_at, started_at, finished_at: Unix seconds, 0 = not yet.
        worker: who works on it.
        lease_until: until when that holds, Unix seconds.
        deaths: how often its server died in the middle of it.
        cancel_asked: somebody wants it stopped.
        progress: of the step that goes on; None before the first.
        result: what came of it; None before the end.
        error: why it failed, in words; its stable word is ``error_code``.
    """

    id: int
    action: str
    origin: str
    status: JobStatus
    created_at: int
    started_at: int
    finished_at: int
    worker: str
    lease_until: int
    deaths: int
    cancel_asked: bool
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: str
    error_code: str


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request that may be repeated: SHA-256 of client and idempotency key, SHA-256 of what was asked."""

    key: bytes
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """What is known of a plan: its rule, the newest of its times that was seen to (Unix seconds), the job of it."""

    plan: str
    rule: str
    last_slot: int
    last_job: int


class JobStore(Database):
    """See the module."""

    def add_job(self, action: str, origin: str, request: JobRequest | None = None) -> tuple[JobRecord, bool]:
        """A job for this action: a new one, the one that waits already, or the one that this request made before.

        Returns:
            The job, and whether it is new.

        Raises:
            KeyReusedError: the request's key came before with another request.
        """
        with self._writing() as connection:
            self._alone(connection)
            if request is not None:
                row = connection.execute(select(job_requests).where(job_requests.c.key == request.key)).first()
                if row is not None:
                    if bytes(row.fingerprint) != request.fingerprint:
                        raise KeyReusedError("this Idempotency-Key came before with another request")
                    return self._one(connection, row.job), False
            job, is_new = self._waiting_or_new(connection, action, origin)
            if request is not None:
                connection.execute(
                    insert(job_requests).values(
                        key=request.key, fingerprint=request.fingerprint, job=job, created_at=self._time()
                    )
                )
            return self._one(connection, job), is_new

    def job(self, number: int) -> JobRecord | None:
        """One job, None if there is none of that number."""
        with self._reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == number)).first()
        return _record(row) if row else None

    def jobs(self, *, status: str | None = None, before: int | None = None, limit: int = 50) -> list[JobRecord]:
        """Jobs, newest first; of one status, and older than the job ``before``, if these are given."""
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            query = query.where(jobs.c.id < before)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def claim_job(self, *, is_owner: bool = False, lease_seconds: int = JOB_LEASE_SECONDS) -> JobRecord | None:
        """Take the oldest waiting job whose action nobody works on; None if there is none.

        Jobs whose server died are waiting again: where the lease is over, and, for the only owner of a store
        (``is_owner``), every one that is not this worker's.
        """
        now = self._time()
        with self._writing() as connection:
            self._alone(connection)
            is_lost = jobs.c.lease_until <= now
            if is_owner:
                is_lost = or_(is_lost, jobs.c.worker != self.worker)
            for row in connection.execute(select(jobs).where(jobs.c.status == "running", is_lost)).all():
                self._put_back(connection, row, deaths=row.deaths + 1)
            busy = select(jobs.c.action).where(jobs.c.status == "running")
            waiting = select(jobs.c.id).where(jobs.c.status == "queued", jobs.c.action.not_in(busy))
            number = connection.execute(waiting.order_by(jobs.c.id).limit(1)).scalar()
            if number is None:
                return None
            values = {
                "status": "running", "worker": self.worker, "lease_until": now + lease_seconds, "started_at": now,
            }  # fmt: skip
            connection.execute(update(jobs).where(jobs.c.id == number).values(values))
            return self._one(connection, number)

    def keep_job(
        self, number: int, progress: Mapping[str, Any] | None, *, lease_seconds: int = JOB_LEASE_SECONDS
    ) -> JobRecord | None:
        """Renew the lease of our running job and note its progress; None if it is not ours any more."""
        values: dict[str, Any] = {"lease_until": self._time() + lease_seconds}
        if progress is not None:
            values["progress"] = _dump(progress)
        with self._writing() as connection:
            found = connection.execute(update(jobs).where(*self._ours(number)).values(values)).rowcount
            return self._one(connection, number) if found else None

    def finish_job(
        self,
        number: int,
        status: JobStatus,
        *,
        result: Mapping[str, Any] | None = None,
        error: str = "",
        error_code: str = "",
    ) -> None:
        """Note how our running job ended."""
        values = {
            "status": status, "finished_at": self._time(), "lease_until": 0, "error": storable(error, 4000),
            "error_code": error_code, "result": "" if result is None else _dump(result),
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(update(jobs).where(*self._ours(number)).values(values))

    def put_back_job(self, number: int) -> None:
        """Our server stops: the job waits again and goes on where it was, or is cancelled if that was asked."""
        with self._writing() as connection:
            row = connection.execute(select(jobs).where(*self._ours(number))).first()
            if row is not None:
                self._put_back(connection, row, deaths=row.deaths)

    def cancel_job(self, number: int) -> JobRecord | None:
        """Cancel a waiting job at once, ask a running one to stop; one that is over stays. None if there is none."""
        now = self._time()
        with self._writing() as connection:
            self._alone(connection)
            row = connection.execute(select(jobs).where(jobs.c.id == number)).first()
            if row is None:
                return None
            if row.status in OPEN:
                ended = {"status": "cancelled", "finished_at": now} if row.status == "queued" else {}
                connection.execute(update(jobs).where(jobs.c.id == number).values(cancel_asked=1, **ended))
            return self._one(connection, number)

    def schedule(self, plan: str) -> ScheduleRecord | None:
        """What is known of a plan, None if it was never scheduled."""
        with self._reading() as connection:
            row = connection.execute(select(schedules).where(schedules.c.plan == plan)).first()
        return ScheduleRecord(row.plan, row.rule, row.last_slot, row.last_job) if row else None

    def keep_schedule(self, plan: str, rule: str) -> ScheduleRecord:
        """The plan's record; a plan that is new, or has a new rule, begins now: nothing was missed."""
        with self._writing() as connection:
            self._alone(connection)
            row = connection.execute(select(schedules).where(schedules.c.plan == plan)).first()
            if row is not None and row.rule == rule:
                return ScheduleRecord(plan, rule, row.last_slot, row.last_job)
            statement = self._insert(schedules)
            statement = statement.on_conflict_do_update(
                index_elements=[schedules.c.plan],
                set_={"rule": statement.excluded.rule, "last_slot": statement.excluded.last_slot},
            )
            begun = ScheduleRecord(plan, rule, self._time(), row.last_job if row else 0)
            values = {"plan": plan, "rule": rule, "last_slot": begun.last_slot, "last_job": begun.last_job}
            connection.execute(statement, [values])
            return begun

    def take_slot(self, plan: str, slot: int, action: str) -> JobRecord | None:
        """A job for one time of a plan, once over all processes; None if another one saw to it before."""
        with self._writing() as connection:
            self._alone(connection)
            earlier = schedules.c.plan == plan, schedules.c.last_slot < slot
            if not connection.execute(update(schedules).where(*earlier).values(last_slot=slot)).rowcount:
                return None
            job, _ = self._waiting_or_new(connection, action, f"schedule:{plan}")
            connection.execute(update(schedules).where(schedules.c.plan == plan).values(last_job=job))
            return self._one(connection, job)

    def _alone(self, connection: Connection) -> None:
        """One decision about jobs at a time; on SQLite every writer is alone anyway."""
        if not self._is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA}.jobs'))"))

    def _waiting_or_new(self, connection: Connection, action: str, origin: str) -> tuple[int, bool]:
        waiting = select(jobs.c.id).where(jobs.c.status == "queued", jobs.c.action == action)
        number = connection.execute(waiting.order_by(jobs.c.id).limit(1)).scalar()
        if number is not None:
            return int(number), False
        values = {
            "action": action, "origin": storable(origin, 200), "status": "queued", "created_at": self._time(),
            "started_at": 0, "finished_at": 0, "worker": "", "lease_until": 0, "deaths": 0, "cancel_asked": 0,
            "progress": "", "result": "", "error": "", "error_code": "",
        }  # fmt: skip
        return int(connection.execute(insert(jobs).values(values).returning(jobs.c.id)).scalar_one()), True

    def _put_back(self, connection: Connection, row: Row[Any], *, deaths: int) -> None:
        values: dict[str, Any] = {"status": "queued", "worker": "", "lease_until": 0, "deaths": deaths}
        if row.cancel_asked:
            values |= {"status": "cancelled", "finished_at": self._time()}
        elif deaths >= MOST_DEATHS:
            values |= {
                "status": "failed", "finished_at": self._time(), "error_code": "INTERRUPTED",
                "error": f"its server died {deaths} times in the middle of it",
            }  # fmt: skip
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(values))

    def _ours(self, number: int) -> tuple[Any, ...]:
        return jobs.c.id == number, jobs.c.status == "running", jobs.c.worker == self.worker

    def _one(self, connection: Connection, number: int) -> JobRecord:
        return _record(connection.execute(select(jobs).where(jobs.c.id == number)).one())


def _dump(document: Mapping[str, Any]) -> str:
    """Its decimals come back digit by digit, if they have at most 15."""
    return json.dumps(document, allow_nan=False, default=float)


def _record(row: Row[Any]) -> JobRecord:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented accessor
    values["cancel_asked"] = bool(values["cancel_asked"])
    for name in ("progress", "result"):
        values[name] = json.loads(values[name], parse_float=Decimal) if values[name] else None
    return JobRecord(**values)
