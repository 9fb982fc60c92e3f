"""A state store of dictionaries with the manners of the real one: a fifth of its cost, for the many schedules.

Every eighth schedule runs on the real one (``stores.FaultyState``), whose rules of the queue these are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from faultlab.schedule import PROCESS, Faults
from faultlab.vtime import Life
from polyhouse.errors import RetryableError
from polyhouse.ports import Checkpoint, PageCommit, PartitionStatus
from polyhouse.state import QuarantinedRow, RunRecord, Synced
from polyhouse.state.ahead import AheadOfTime, ReadAhead
from polyhouse.state.outcomes import FIRST_RETRY_SECONDS, MAX_ATTEMPTS

_STALE_SECONDS = 6 * 3600


@dataclass
class Wallet:
    """One wallet of the queue."""

    address: bytes
    status: str = "pending"
    due_at: int = 0
    attempts: int = 0
    owner: str = ""
    until: int = 0
    last_synced_at: int = 0
    is_wanted_again: bool = False


@dataclass
class StateData:
    """What survives a process."""

    checkpoints: dict[tuple[str, str], Checkpoint] = field(default_factory=dict)
    wallets: dict[bytes, Wallet] = field(default_factory=dict)
    runs: dict[int, RunRecord] = field(default_factory=dict)
    workers: dict[int, tuple[str, int]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    quarantine: list[QuarantinedRow] = field(default_factory=list)


class MemoryState:
    """One process's way to it; transactions fail as those of ``FaultyState`` do."""

    lease_seconds = 300

    def __init__(self, data: StateData, faults: Faults, life: Life, *, is_elsewhere: bool) -> None:
        self._data = data
        self._faults = faults
        self._life = life
        self.worker = life.name
        self.is_shared = is_elsewhere
        self.committed: Callable[[Sequence[PageCommit]], None] = lambda _: None
        self._ahead = AheadOfTime(lambda: life.wall)

    @contextmanager
    def _writing(self) -> Iterator[StateData]:
        fault = self._faults.draw(self._life, "state_busy", "state_answer_lost", "lease_expired", *PROCESS)
        if fault == "state_busy":
            raise RetryableError("The state store is unavailable: database is locked.")
        self._faults.draw(self._life, "crash")
        if fault == "lease_expired":
            for wallet in self._mine():
                wallet.until = 1
        yield self._data
        if fault == "state_answer_lost":
            raise RetryableError("The state store is unavailable: the connection broke.")
        self._faults.draw(self._life, "crash")

    def _read(self) -> StateData:
        if self._faults.draw(self._life, "state_busy", *PROCESS):
            raise RetryableError("The state store is unavailable: database is locked.")
        return self._data

    def _now(self) -> int:
        return int(self._life.wall)

    def _mine(self) -> list[Wallet]:
        return [one for one in self._data.wallets.values() if one.status == "syncing" and one.owner == self.worker]

    def _is_foreign(self, one: Wallet) -> bool:
        return one.status == "syncing" and one.owner not in {"", self.worker} and one.until > self._now()

    # ---- checkpoints

    def checkpoint(self, stream: str, partition: str) -> Checkpoint | None:
        return self._read().checkpoints.get((stream, partition))

    def read_ahead(self, streams: Collection[str], partitions: Sequence[str]) -> None:
        moves, data = self._ahead.moves(), self._read()
        keys = [(stream, one) for stream in streams for one in partitions]
        found = {key: data.checkpoints[key] for key in keys if key in data.checkpoints}
        self._ahead.keep(keys, found, moves)

    def take_ahead(self, stream: str, partition: str) -> ReadAhead | None:
        return self._ahead.take((stream, partition))

    @contextmanager
    def _moving(self, keys: Collection[tuple[str, str]] | None) -> Iterator[StateData]:
        try:
            with self._writing() as data:
                yield data
        finally:
            self._ahead.moved(keys)

    def commit_pages(self, run: int, commits: Sequence[PageCommit]) -> None:
        if not commits:
            return
        with self._moving([(one.stream, one.partition) for one in commits]) as data:
            for commit in commits:
                key = commit.stream, commit.partition
                old = data.checkpoints.get(key) or Checkpoint(*key, {}, "new")
                rows, rejected = old.rows + commit.rows, old.rejected + len(commit.rejected)
                status: PartitionStatus = "partial"
                if commit.is_last:
                    status = "ok" if rows + rejected else "empty"
                data.checkpoints[key] = Checkpoint(
                    *key, commit.position, status, pages=old.pages + 1, rows=rows, rejected=rejected,
                    updated_at=self._now(),
                )  # fmt: skip
                data.quarantine += [
                    QuarantinedRow(*key, one.reason, one.where, one.raw, run, 1, 0, 0) for one in commit.rejected
                ]
            self.committed(commits)

    def doubt(self, partitions: Collection[tuple[str, str]]) -> None:
        with self._moving(partitions) as data:
            for key in sorted(partitions):
                if key in data.checkpoints:
                    data.checkpoints[key] = replace(data.checkpoints[key], is_doubtful=True)

    def fail_partition(self, run: int, stream: str, partition: str, error: str) -> None:
        with self._moving([(stream, partition)]) as data:
            old = data.checkpoints.get((stream, partition)) or Checkpoint(stream, partition, {}, "new")
            data.checkpoints[stream, partition] = replace(old, status="failed", error=error)

    def checkpoints(self, stream: str | None = None, status: PartitionStatus | None = None) -> list[Checkpoint]:
        return [
            one for one in self._read().checkpoints.values()
            if stream in {None, one.stream} and status in {None, one.status}
        ]  # fmt: skip

    def checkpoints_after(self, stream: str, partition: str, limit: int) -> list[Checkpoint]:
        found = [one for one in self._read().checkpoints.values() if one.stream == stream and one.partition > partition]
        return sorted(found, key=lambda one: one.partition)[:limit]

    def restore_checkpoints(self, restored: Iterable[Checkpoint]) -> int:
        with self._moving(None) as data:
            given = list(restored)
            data.checkpoints |= {(one.stream, one.partition): one for one in given}
        return len(given)

    def checkpoint_counts(self) -> dict[str, Counter[str]]:
        counts: dict[str, Counter[str]] = {}
        for one in self._read().checkpoints.values():
            counts.setdefault(one.stream, Counter())[one.status] += 1
        return counts

    def quarantined(self, *, limit: int = 100) -> list[QuarantinedRow]:
        return self._read().quarantine[:limit]

    # ---- runs and notes

    def start_run(self, command: str, args: Mapping[str, Any] | None = None) -> int:
        with self._writing() as data:
            number = len(data.runs) + 1
            data.runs[number] = RunRecord(number, command, dict(args or {}), self._now(), 0, "running", {}, "")
            data.workers[number] = self.worker, self._now()
        return number

    def finish_run(self, run: int, status: str, counts: Mapping[str, Any] | None = None, error: str = "") -> None:
        with self._writing() as data:
            data.runs[run] = replace(
                data.runs[run], status=status, finished_at=self._now(), counts=dict(counts or {}), error=error
            )

    def runs(self, *, command: str | None = None, limit: int = 20) -> list[RunRecord]:
        found = [one for one in self._read().runs.values() if command in {None, one.command}]
        return found[::-1][:limit]

    def unfinished_runs(self) -> list[RunRecord]:
        data = self._read()
        found = [one for one in data.runs.values() if one.status == "running"]
        if not self.is_shared:
            return found
        dead = self._now() - self.lease_seconds
        return [one for one in found if data.workers[one.id][0] != self.worker and data.workers[one.id][1] <= dead]

    def get_note(self, key: str) -> Any:
        return self._read().notes.get(key)

    def set_note(self, key: str, value: Any) -> None:
        with self._writing() as data:
            data.notes[key] = value

    def change_note(self, key: str, change: Callable[[Any], Any]) -> Any:
        with self._writing() as data:
            data.notes[key] = change(data.notes.get(key))
            return data.notes[key]

    # ---- the queue

    def register_wallets(self, addresses: Iterable[bytes], provenance: str) -> int:
        with self._writing() as data:
            new = [one for one in addresses if one not in data.wallets]
            data.wallets |= {one: Wallet(one, due_at=self._now()) for one in new}
        return len(new)

    def wallet(self, address: bytes) -> Wallet | None:
        return self._read().wallets.get(address)

    def wallet_counts(self) -> Counter[str]:
        return Counter(one.status for one in self._read().wallets.values())

    def promote_due(self, limit: int = 1_000, *, stale: bool = True) -> int:
        with self._writing() as data:
            return self._promote(data, stale=stale)

    def _promote(self, data: StateData, *, stale: bool) -> int:
        promoted, now = 0, self._now()
        waiting = {"failed", "completed"} if stale else {"failed"}
        for one in data.wallets.values():
            is_due = one.status in waiting and one.due_at <= now
            if is_due or (one.status == "syncing" and one.until <= now):
                one.status, one.owner = "pending", ""
                promoted += 1
        return promoted

    def claim_wallets(self, limit: int) -> list[bytes]:
        with self._writing() as data:
            self._promote(data, stale=False)
            picked = sorted(
                (one for one in data.wallets.values() if one.status == "pending"), key=lambda one: one.due_at
            )
            return self._lease([one.address for one in picked[:limit]])

    def lease_wallets(self, addresses: Sequence[bytes]) -> list[bytes]:
        with self._writing() as data:
            free = [one for one in addresses if one not in data.wallets or not self._is_foreign(data.wallets[one])]
            return self._lease(free)

    def _lease(self, addresses: Sequence[bytes]) -> list[bytes]:
        for one in addresses:
            if one in self._data.wallets:
                wallet = self._data.wallets[one]
                wallet.status, wallet.owner = "syncing", self.worker
                wallet.until, wallet.is_wanted_again = self._now() + self.lease_seconds, False
        return list(addresses)

    def renew_leases(self) -> int:
        with self._writing() as data:
            for number, (worker, _) in data.workers.items():
                if worker == self.worker:
                    data.workers[number] = worker, self._now()
            for one in self._mine():
                one.until = self._now() + self.lease_seconds
        return len(self._mine())

    def release_worker(self) -> int:
        with self._writing():
            return self._release(self._mine())

    def release_syncing(self) -> int:
        with self._writing() as data:
            busy = [one for one in data.wallets.values() if one.status == "syncing"]
            return self._release([one for one in busy if not self.is_shared or not self._is_foreign(one)])

    def _release(self, wallets: Sequence[Wallet]) -> int:
        for one in wallets:
            one.status, one.owner = "pending", ""
        return len(wallets)

    def leased_to_others(self) -> int:
        found = self._read().wallets.values()
        return sum(one.status == "syncing" and one.owner != self.worker for one in found)

    def read_since(self, addresses: Iterable[bytes], since: int) -> set[bytes]:
        known = self._read().wallets
        return {one for one in addresses if one in known and known[one].last_synced_at >= since}

    def mark_completed_many(self, done: Iterable[Synced]) -> int:
        with self._writing():
            return self._succeed([one.address for one in done], "completed")

    def mark_empty(self, addresses: Iterable[bytes]) -> int:
        with self._writing():
            return self._succeed(list(addresses), "empty")

    def _succeed(self, addresses: Sequence[bytes], status: str) -> int:
        for address in addresses:
            one = self._data.wallets[address]
            is_again = one.status == "syncing" and one.is_wanted_again
            one.status, one.owner, one.attempts = ("pending" if is_again else status), "", 0
            one.last_synced_at, one.due_at = self._now(), self._now() + (0 if is_again else _STALE_SECONDS)
        return len(addresses)

    def mark_failed(self, address: bytes, error: str) -> Wallet | None:
        with self._writing() as data:
            one = data.wallets[address]
            one.attempts += 1
            one.status = "parked" if one.attempts >= MAX_ATTEMPTS else "failed"
            one.owner, one.due_at = "", self._now() + FIRST_RETRY_SECONDS * 4 ** (one.attempts - 1)
            return one

    def queue(self, addresses: Sequence[bytes] | None = None) -> int:
        with self._writing() as data:
            for one in data.wallets.values():
                if addresses is not None and one.address not in addresses:
                    continue
                if self._is_foreign(one):
                    one.is_wanted_again = True
                elif one.status != "pending" and (addresses is not None or one.status != "syncing"):
                    one.status, one.owner, one.due_at = "pending", "", self._now()
        return self.wallet_counts()["pending"]

    def retry(self) -> int:
        with self._writing() as data:
            stuck = [one for one in data.wallets.values() if one.status in {"failed", "parked"}]
            for one in stuck:
                one.status, one.attempts, one.due_at = "pending", 0, self._now()
        return len(stuck)

    def changed_since(self, *_: Any, **__: Any) -> list[Any]:
        """The copy of the registry in the warehouse is made from the real store only."""
        return []

    def next_due_at(self, *, stale: bool = True) -> int | None:
        return min((one.due_at for one in self._read().wallets.values()), default=None)
