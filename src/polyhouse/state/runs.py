"""Runs and notes: what was done when, and small facts that must survive the process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from polyhouse.state.database import Database, storable
from polyhouse.state.queue import LEASE_SECONDS
from polyhouse.state.schema import notes, runs

_TURN = "turn."

RunStatus = Literal["ok", "partial", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. ``finished_at`` 0 and status ``running``: it goes on, or its process was killed."""

    id: int
    command: str
    args: Mapping[str, Any]
    started_at: int
    finished_at: int
    status: str
    counts: Mapping[str, Any]
    error: str


class RunStore(Database):
    """See the module."""

    def start_run(self, command: str, args: Mapping[str, Any] | None = None) -> int:
        """Record that a run begins and return its id, which no other run ever had."""
        values = {
            "command": command, "args": _dump(args or {}), "started_at": self._time(), "finished_at": 0,
            "status": "running", "counts": "{}", "error": "", "worker": self.worker, "alive_at": self._time(),
        }  # fmt: skip
        with self._writing() as connection:
            return int(connection.execute(insert(runs).values(values).returning(runs.c.id)).scalar_one())

    def finish_run(self, run: int, status: RunStatus, counts: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Record how a run ended."""
        values = {
            "status": status, "finished_at": self._time(), "counts": _dump(counts or {}),
            "error": storable(error, 4000),
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(values))

    def run(self, run: int) -> RunRecord | None:
        """One run, None if there is none of that id."""
        with self._reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run)).mappings().first()
        return _record(row) if row else None

    def last_run(self, command: str | None = None) -> RunRecord | None:
        """The newest run (of one command, if given), None if there is none."""
        found = self.runs(command=command, limit=1)
        return found[0] if found else None

    def runs(self, *, command: str | None = None, limit: int = 20) -> list[RunRecord]:
        """The newest runs, newest first."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if command is not None:
            query = query.where(runs.c.command == command)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def unfinished_runs(self) -> list[RunRecord]:
        """Runs without an end, oldest first: for the store's owner these were killed.

        On PostgreSQL other machines have runs too: those that gave a sign of life lately (``renew_leases``) go on.
        """
        query = select(runs).where(runs.c.status == "running").order_by(runs.c.id)
        if not self._is_sqlite:
            query = query.where(runs.c.worker != self.worker, runs.c.alive_at <= self._time() - LEASE_SECONDS)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def get_note(self, key: str) -> Any:
        """The value stored under ``key``, None if there is none."""
        with self._reading() as connection:
            value = connection.execute(select(notes.c.value).where(notes.c.key == key)).scalar()
        return None if value is None else json.loads(value)

    def set_note(self, key: str, value: Any) -> None:
        """Store a JSON value under ``key``; None deletes it."""
        with self._writing() as connection:
            self._set_note(connection, key, value)

    def change_note(self, key: str, change: Callable[[Any], Any]) -> Any:
        """Replace the value under ``key`` by what ``change`` makes of it, while nobody else can; returns that.

        ``change`` gets None if there is no value; where it returns None, there is none afterwards.
        """
        with self._writing() as connection:
            # Only a row that is there can be locked.
            place = self._insert(notes).on_conflict_do_nothing(index_elements=[notes.c.key])
            connection.execute(place, [{"key": key, "value": "null", "updated_at": self._time()}])
            query = self._locked(select(notes.c.value).where(notes.c.key == key))
            value = change(json.loads(connection.execute(query).scalar_one()))
            self._set_note(connection, key, value)
        return value

    def take_turn(self, name: str, seconds: int) -> bool:
        """Take, or keep, the turn for work that machines must not do at the same time; False while another has it.

        On SQLite it is always ours: the store's owner is alone. Elsewhere it ends by itself after ``seconds``.
        """
        if self._is_sqlite:
            return True
        now = self._time()

        def change(held: Any) -> Any:
            is_foreign = held is not None and held["worker"] != self.worker and held["until"] > now
            return held if is_foreign else {"worker": self.worker, "until": now + seconds}

        return bool(self.change_note(_TURN + name, change)["worker"] == self.worker)

    def end_turn(self, name: str) -> None:
        """Let others have the turn, if it is ours."""
        if not self._is_sqlite:
            self.change_note(_TURN + name, lambda held: None if held is None or held["worker"] == self.worker else held)

    def _set_note(self, connection: Connection, key: str, value: Any) -> None:
        if value is None:
            connection.execute(delete(notes).where(notes.c.key == key))
            return
        statement = self._insert(notes)
        statement = statement.on_conflict_do_update(
            index_elements=[notes.c.key],
            set_={"value": statement.excluded.value, "updated_at": statement.excluded.updated_at},
        )
        connection.execute(statement, [{"key": key, "value": _dump(value), "updated_at": self._time()}])


def _dump(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, separators=(",", ":"), allow_nan=False)


def _record(row: Mapping[Any, Any]) -> RunRecord:
    return RunRecord(
        **{name: row[name] for name in row if name not in {"args", "counts", "worker", "alive_at"}},
        args=json.loads(row["args"]),
        counts=json.loads(row["counts"]),
    )
