"""Copies the wallet registry and the record of runs into the warehouse, so that SQL answers questions about them.

The state store is the truth. A push writes what changed since the last one (``StateStore.changed_since``), in pages by
key; a row that is written twice is read once, so that a push may begin a little earlier than the last one ended and may
be cut at any point. When the mark of the last push and the tables do not belong together (one of the stores was
replaced or restored), everything is written again and what the registry does not know any more is removed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from polyhouse.errors import PolyhouseError
from polyhouse.ports import Clock, Warehouse
from polyhouse.tables import Columns

NOTE = "mirror.registry"
"""Note with the mark of the last push: newest ``updated_at`` of a wallet and the first run that may still change."""

PUSH_SECONDS = 60.0
"""A long run pushes this often."""

OVERLAP_SECONDS = 60
"""A push begins so much before the mark: a change may be committed later than it is dated."""

PAGE = 5_000
_LAST_SECOND = 2**32 - 1
_log = logging.getLogger("polyhouse.sync.registry_mirror")


class Registry(Protocol):
    """The part of the state store that is mirrored."""

    def changed_since(self, updated_at: int, address: bytes = b"", *, limit: int = PAGE) -> Sequence[Any]:
        """Wallets after the key (``updated_at``, address), in its order."""
        ...

    def runs(self, *, command: str | None = None, limit: int = 20) -> Sequence[Any]:
        """The newest runs, newest first."""
        ...

    def get_note(self, key: str) -> Any:
        """A small fact."""
        ...

    def set_note(self, key: str, value: Any) -> None:
        """Remember a small fact."""
        ...


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push wrote. ``rebuilt``: it began from nothing."""

    wallets: int
    runs: int
    rebuilt: bool


def push(warehouse: Warehouse, state: Registry) -> Pushed:
    """Bring ``wallet_registry`` and ``sync_runs`` up to date.

    Raises:
        RetryableError: a store does not answer; the next push begins where this one began.
    """
    mark = _mark(warehouse, state)
    before = {} if mark else {table: _newest_version(warehouse, table) for table in ("wallet_registry", "sync_runs")}
    since = max(0, int(mark["updated_at"]) - OVERLAP_SECONDS) if mark else 0
    newest, wallets = _push_wallets(warehouse, state, since)
    first_open, runs = _push_runs(warehouse, state, int(mark["run"]) if mark else 0)
    for table, version in before.items():
        _remove_older(warehouse, table, version)
    newest = max(newest, int(mark["updated_at"]) if mark else 0)
    state.set_note(NOTE, {"updated_at": newest, "run": first_open})
    return Pushed(wallets, runs, rebuilt=mark is None)


def _mark(warehouse: Warehouse, state: Registry) -> dict[str, Any] | None:
    """The mark of the last push if the tables hold what it promises, else None."""
    mark = state.get_note(NOTE)
    if not isinstance(mark, dict):
        return None
    newest = warehouse.query("SELECT toUnixTimestamp(max(updated_at)), count() FROM wallet_registry").rows[0]
    last_run = warehouse.query("SELECT max(run_id) FROM sync_runs").rows[0][0]
    is_behind = int(newest[0]) < int(mark["updated_at"]) or int(last_run) + 1 < int(mark["run"])
    return None if is_behind else mark


def _newest_version(warehouse: Warehouse, table: str) -> int:
    return int(warehouse.query(f"SELECT max(version) FROM {table}").rows[0][0])


def _push_wallets(warehouse: Warehouse, state: Registry, since: int) -> tuple[int, int]:
    key = (since, b"")
    written = 0
    while rows := state.changed_since(*key, limit=PAGE):
        columns = _wallet_columns(rows)
        written += warehouse.write("wallet_registry", columns, run=0, token=_fresh_token())
        key = (int(rows[-1].updated_at), bytes(rows[-1].address))
        if len(rows) < PAGE:
            break
    return key[0] if written else 0, written


def _wallet_columns(rows: Sequence[Any]) -> Columns:
    same = (
        "status", "last_error", "attempts", "first_seen", "last_seen", "next_attempt", "last_attempt_at",
        "last_synced_at", "sync_duration_ms", "trades_synced", "rows_synced", "last_trade_at", "due_at",
        "queued_reason", "updated_at",
    )  # fmt: skip
    columns: Columns = {name: [getattr(row, name) for row in rows] for name in same}
    for name in ("next_attempt", "due_at"):
        columns[name] = [min(max(int(value), 0), _LAST_SECOND) for value in columns[name]]
    columns["wallet"] = [bytes(row.address) for row in rows]
    columns["provenance"] = [list(row.provenance) for row in rows]
    columns["whale_score"] = [int(row.whale_score or 0) for row in rows]
    return columns


def _push_runs(warehouse: Warehouse, state: Registry, first: int) -> tuple[int, int]:
    """Write the runs from number ``first`` on; returns the first one that may still change, and how many."""
    limit = 200
    found = list(state.runs(limit=limit))
    while len(found) == limit and found[-1].id > first:
        limit *= 4
        found = list(state.runs(limit=limit))
    chosen = sorted((one for one in found if one.id >= first), key=lambda one: one.id)
    for start in range(0, len(chosen), PAGE):
        part = chosen[start : start + PAGE]
        columns: Columns = {
            "run_id": [one.id for one in part],
            "command": [one.command for one in part],
            "args": [_json(one.args) for one in part],
            "started_at": [one.started_at for one in part],
            "finished_at": [one.finished_at for one in part],
            "status": [one.status for one in part],
            "counts": [_json(one.counts) for one in part],
            "error": [one.error for one in part],
        }
        warehouse.write("sync_runs", columns, run=0, token=_fresh_token())
    still_open = [one.id for one in chosen if one.status == "running"]
    after_last = chosen[-1].id + 1 if chosen else first
    return (still_open[0] if still_open else after_last), len(chosen)


def _remove_older(warehouse: Warehouse, table: str, version: int) -> None:
    """After a rebuild: drop what was there before, so that nothing stays of a registry that was replaced."""
    if version:
        warehouse.command(f"DELETE FROM {table} WHERE version <= {{version:UInt64}}", {"version": version})


class RegistryMirror:
    """Pushes every minute between ``start`` and ``stop``, and once at the end.

    A push that fails leaves the mark where it is and is said in the log: a mirror must never fail the work it shows.
    """

    def __init__(self, warehouse: Warehouse, state: Registry, clock: Clock, *, seconds: float = PUSH_SECONDS) -> None:
        self._warehouse = warehouse
        self._state = state
        self._clock = clock
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """A run begins."""
        self._task = asyncio.create_task(self._repeat(), name="registry-mirror")

    async def stop(self) -> None:
        """The run is over and recorded."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self.push()

    async def push(self) -> None:
        """Push now."""
        try:
            await asyncio.to_thread(push, self._warehouse, self._state)
        except PolyhouseError as error:
            _log.warning("the wallet registry was not copied into the warehouse: %s", error)

    async def _repeat(self) -> None:
        while True:
            await self._clock.sleep(self._seconds)
            await self.push()


def _fresh_token() -> str:
    """The same rows under the same token would be taken for a repeated insert and left out, also by a rebuild that
    removes the older ones."""
    return uuid.uuid4().hex


def _json(value: Any) -> str:
    return json.dumps(dict(value), separators=(",", ":"), sort_keys=True, allow_nan=False)
