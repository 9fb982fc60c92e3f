"""Checkpoints and quarantine: how far each partition was read, and what could not be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, select, update

from polyhouse.ports import Checkpoint, PageCommit, PartitionStatus
from polyhouse.state.ahead import ReadAhead
from polyhouse.state.database import Database, storable
from polyhouse.state.schema import checkpoints, quarantine

_BATCH = 5_000
_ONE = select(checkpoints).where(checkpoints.c.stream == bindparam("of"), checkpoints.c.partition == bindparam("key"))
"""Made once: it is asked for every wallet that is read."""
_SOME = select(checkpoints).where(
    checkpoints.c.stream == bindparam("of"), checkpoints.c.partition.in_(bindparam("keys", expanding=True))
)
_KEYS = 1_000
"""Partitions of one such statement."""


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that could not be read; ``count`` times seen, the last time by ``run``."""

    stream: str
    partition: str
    reason: str
    where: str
    raw: str
    run: int
    count: int
    first_seen: int
    last_seen: int


class CheckpointStore(Database):
    """See the module."""

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        """The checkpoint of one partition, None if it was never read."""
        with self._reading() as connection:
            row = connection.execute(_ONE, {"of": stream, "key": partition}).mappings().first()
        return _checkpoint(row) if row else None

    def read_ahead(self, streams: Collection[str], partitions: Sequence[str]) -> None:
        """Read the checkpoints of these partitions in each of the streams; ``take_ahead`` will be asked for them soon.

        The caller holds the leases of the wallets that they belong to.
        """
        moves = self.ahead.moves()
        found: dict[tuple[str, str], Checkpoint] = {}
        with self._reading() as connection:
            for stream in streams:
                for start in range(0, len(partitions), _KEYS):
                    some = {"of": stream, "keys": list(partitions[start : start + _KEYS])}
                    for row in connection.execute(_SOME, some).mappings():
                        found[stream, row["partition"]] = _checkpoint(row)
        self.ahead.keep([(stream, one) for stream in streams for one in partitions], found, moves)

    def take_ahead(self, stream: str, partition: str) -> ReadAhead | None:
        """What ``read_ahead`` read of a partition, once; None if it has to be asked for. Asks no database."""
        return self.ahead.take((stream, partition))

    def checkpoints(self, stream: str | None = None, status: PartitionStatus | None = None) -> list[Checkpoint]:
        """All checkpoints, or those of one stream and/or one status, by stream and partition."""
        query = select(checkpoints).order_by(checkpoints.c.stream, checkpoints.c.partition)
        if stream is not None:
            query = query.where(checkpoints.c.stream == stream)
        if status is not None:
            query = query.where(checkpoints.c.status == status)
        with self._reading() as connection:
            return [_checkpoint(row) for row in connection.execute(query).mappings()]

    def checkpoints_after(self, stream: str, partition: str, limit: int) -> list[Checkpoint]:
        """The next ``limit`` checkpoints of one stream behind this partition, in order: page by page from ``""`` on."""
        key = checkpoints.c.partition
        query = select(checkpoints).where(checkpoints.c.stream == stream, key > partition).order_by(key).limit(limit)
        with self._reading() as connection:
            return [_checkpoint(row) for row in connection.execute(query).mappings()]

    def checkpoint_counts(self) -> dict[str, dict[str, int]]:
        """Stream → status → how many partitions."""
        query = select(checkpoints.c.stream, checkpoints.c.status, func.count()).group_by(
            checkpoints.c.stream, checkpoints.c.status
        )
        counts: dict[str, dict[str, int]] = {}
        with self._reading() as connection:
            for stream, status, number in connection.execute(query):
                counts.setdefault(stream, {})[status] = number
        return counts

    def doubt(self, partitions: Collection[tuple[str, str]]) -> None:
        """Say that rows of these partitions (stream, key) are about to be written over; one that has no checkpoint
        is passed over. The commit of a page takes it back.

        Raises:
            RetryableError: the store is unavailable; nothing was said.
        """
        if not partitions:
            return
        here = and_(
            checkpoints.c.stream == bindparam("of"), checkpoints.c.partition == bindparam("key"),
            checkpoints.c.doubtful == 0,
        )  # fmt: skip
        with self._moving(partitions) as connection:
            connection.execute(
                update(checkpoints).where(here).values(doubtful=1),
                [{"of": name, "key": partition} for name, partition in sorted(partitions)],
            )

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        """Move the checkpoints of all given pages and store their rejects, in one transaction.

        Several pages of one partition are applied in their order. ``is_last`` makes a partition ``ok``, or ``empty``
        if no row was ever accepted or rejected; otherwise it is ``partial``. A success clears an earlier error.

        Raises:
            RetryableError: the store is unavailable; no checkpoint moved.
        """
        if not commits:
            return
        now = self._time()
        moved: dict[tuple[str, str], dict[str, Any]] = {}
        for commit in commits:
            row = moved.setdefault(
                (commit.stream, commit.partition),
                {"stream": commit.stream, "partition": commit.partition, "pages": 0, "rows": 0, "rejected": 0},
            )
            row["position"] = _to_json(commit.position)
            row["status"] = "ok" if commit.is_last else "partial"
            row["pages"] += 1
            row["rows"] += commit.rows
            row["rejected"] += len(commit.rejected)
            row["updated_at"], row["error"], row["run"] = now, "", run
        for row in moved.values():
            if row["status"] == "ok" and not row["rows"] and not row["rejected"]:
                row["status"] = "empty"
        rejects = _rejects(run, commits, now)
        with self._moving(moved) as connection:
            connection.execute(self._move_statement(), list(moved.values()))
            if rejects:
                self._quarantine(connection, rejects)

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        """Mark a partition failed; its position stays where it is."""
        statement = self._insert(checkpoints)
        statement = statement.on_conflict_do_update(
            index_elements=[checkpoints.c.stream, checkpoints.c.partition],
            set_={name: statement.excluded[name] for name in ("status", "error", "updated_at", "run")},
        )
        row = {
            "stream": stream, "partition": partition, "position": "{}", "status": "failed", "pages": 0, "rows": 0,
            "rejected": 0, "updated_at": self._time(), "error": storable(error, 2000), "run": run,
        }  # fmt: skip
        with self._moving([(stream, partition)]) as connection:
            connection.execute(statement, [row])

    def restore_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Set one checkpoint to exactly this (state rebuild, rewind)."""
        self.restore_checkpoints([checkpoint])

    def restore_checkpoints(self, restored: Iterable[Checkpoint]) -> int:
        """Set many checkpoints in one transaction and return how many.

        ``updated_at`` 0 becomes now; the run is kept if there is one.
        """
        now = self._time()
        rows = [
            {
                "stream": one.stream, "partition": one.partition, "position": _to_json(one.position),
                "status": one.status, "pages": one.pages, "rows": one.rows, "rejected": one.rejected,
                "updated_at": one.updated_at or now, "error": one.error, "run": 0, "doubtful": int(one.is_doubtful),
            }
            for one in restored
        ]  # fmt: skip
        statement = self._insert(checkpoints)
        names = ("position", "status", "pages", "rows", "rejected", "updated_at", "error", "doubtful")
        statement = statement.on_conflict_do_update(
            index_elements=[checkpoints.c.stream, checkpoints.c.partition],
            set_={name: statement.excluded[name] for name in names},
        )
        with self._moving(None) as connection:
            for start in range(0, len(rows), _BATCH):
                connection.execute(statement, rows[start : start + _BATCH])
        return len(rows)

    def forget_checkpoints(self, stream: str, partition: str | None = None) -> int:
        """Delete the checkpoint of one partition, or of a whole stream, and return how many there were."""
        condition = checkpoints.c.stream == stream
        if partition is not None:
            condition = and_(condition, checkpoints.c.partition == partition)
        with self._moving(None) as connection:
            return connection.execute(delete(checkpoints).where(condition)).rowcount

    def quarantine_counts(self) -> dict[str, int]:
        """Reason → number of different rows in quarantine (a row that is met again is counted once)."""
        query = select(quarantine.c.reason, func.count()).group_by(quarantine.c.reason).order_by(quarantine.c.reason)
        with self._reading() as connection:
            return dict(connection.execute(query).tuples().all())

    def quarantined(self, *, reason: str | None = None, limit: int = 100) -> list[QuarantinedRow]:
        """Rows in quarantine, newest first."""
        query = select(quarantine).order_by(quarantine.c.last_seen.desc(), quarantine.c.id.desc()).limit(limit)
        if reason is not None:
            query = query.where(quarantine.c.reason == reason)
        with self._reading() as connection:
            return [
                QuarantinedRow(
                    row["stream"], row["partition"], row["reason"], row["location"], row["raw"], row["run"],
                    row["count"], row["first_seen"], row["last_seen"],
                )
                for row in connection.execute(query).mappings()
            ]  # fmt: skip

    @contextmanager
    def _moving(self, keys: Collection[tuple[str, str]] | None) -> Iterator[Connection]:
        """A transaction that moves the checkpoints of these partitions; None: of any."""
        try:
            with self._writing() as connection:
                yield connection
        finally:
            # After an error too: it may be that only the answer to the commit was lost.
            self.ahead.moved(keys)

    def _move_statement(self) -> Any:
        statement = self._insert(checkpoints)
        new = statement.excluded
        had_rows = checkpoints.c.rows + checkpoints.c.rejected > 0
        return statement.on_conflict_do_update(
            index_elements=[checkpoints.c.stream, checkpoints.c.partition],
            set_={
                "position": new.position,
                "status": case((and_(new.status == "empty", had_rows), "ok"), else_=new.status),
                "pages": checkpoints.c.pages + new.pages,
                "rows": checkpoints.c.rows + new.rows,
                "rejected": checkpoints.c.rejected + new.rejected,
                "updated_at": new.updated_at,
                "error": new.error,
                "run": new.run,
                "doubtful": 0,
            },
        )

    def _quarantine(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        statement = self._insert(quarantine)
        statement = statement.on_conflict_do_update(
            index_elements=[quarantine.c.fingerprint],
            set_={
                "count": quarantine.c.count + statement.excluded.count,
                "last_seen": statement.excluded.last_seen,
                "run": statement.excluded.run,
            },
        )
        connection.execute(statement, rows)


def _rejects(run: int, commits: Sequence[PageCommit], now: int) -> list[dict[str, Any]]:
    rows: dict[bytes, dict[str, Any]] = {}
    for commit in commits:
        for reject in commit.rejected:
            parts = (commit.stream, commit.partition, reject.reason, reject.where, reject.raw)
            clean = [storable(part) for part in parts]
            fingerprint = hashlib.sha256("\0".join(clean).encode()).digest()
            row = rows.setdefault(
                fingerprint,
                {
                    "fingerprint": fingerprint, "stream": clean[0], "partition": clean[1], "reason": clean[2],
                    "location": clean[3], "raw": clean[4], "run": run, "count": 0, "first_seen": now, "last_seen": now,
                },
            )  # fmt: skip
            row["count"] += 1
    return list(rows.values())


def _to_json(position: Mapping[str, Any]) -> str:
    return json.dumps(dict(position), separators=(",", ":"), sort_keys=True, allow_nan=False)


def _checkpoint(row: Mapping[Any, Any]) -> Checkpoint:
    return Checkpoint(
        stream=row["stream"], partition=row["partition"], position=json.loads(row["position"]), status=row["status"],
        pages=row["pages"], rows=row["rows"], rejected=row["rejected"], updated_at=row["updated_at"],
        error=row["error"], is_doubtful=bool(row["doubtful"]),
    )  # fmt: skip
