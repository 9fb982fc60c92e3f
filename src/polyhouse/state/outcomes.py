"""What became of a wallet's work, and orders about wallets: read again, try again, forget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, select, update

from polyhouse.state import priority
from polyhouse.state.database import storable
from polyhouse.state.queue import NO_LEASE, PENDING, SYNCING, WalletQueue, forget
from polyhouse.state.schema import wallets
from polyhouse.state.wallets import WalletRecord, chunks, record, require_word

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 6 * 3600
MAX_ATTEMPTS = 8
"""Failures in a row after which a wallet is parked until `polyhouse retry`."""


@dataclass(frozen=True, slots=True)
class Synced:
    """A wallet that was read to its proven end.

    Attributes:
        trades_synced: its fills in the warehouse.
        last_trade_at: time of the newest one, 0 = none.
        rows: rows that this reading brought.
        duration_ms: how long it took.
    """

    address: bytes
    trades_synced: int
    last_trade_at: int = 0
    rows: int = 0
    duration_ms: int = 0


class WalletOutcomes(WalletQueue):
    """See the module."""

    def mark_completed(
        self, address: bytes, *, trades_synced: int, last_trade_at: int = 0, rows: int = 0, duration_ms: int = 0,
        worker: str | None = None,
    ) -> bool:  # fmt: skip
        """``mark_completed_many`` for one wallet; whether it counted."""
        one = Synced(address, trades_synced, last_trade_at, rows, duration_ms)
        return bool(self.mark_completed_many([one], worker=worker))

    def mark_completed_many(self, done: Iterable[Synced], *, worker: str | None = None) -> int:
        """Wallets were read to their proven end, earlier failures are forgotten; all in one transaction.

        They are due again in 6 hours, or at once if something new was seen of them meanwhile.

        Args:
            done: the wallets.
            worker: if given, only wallets that are still leased to this worker count.

        Returns:
            How many counted.
        """
        figures = {one.address: one for one in done}
        now = self._time()

        def outcome(row: Mapping[Any, Any]) -> dict[str, Any]:
            one = figures[bytes(row["address"])]
            return _success(row, "completed", now + priority.STALE_SECONDS, now) | {
                "trades_synced": one.trades_synced, "last_trade_at": one.last_trade_at, "rows_synced": one.rows,
                "sync_duration_ms": one.duration_ms,
            }  # fmt: skip

        return self._settle(figures, outcome, worker)

    def mark_empty(self, addresses: Iterable[bytes], *, duration_ms: int = 0, worker: str | None = None) -> int:
        """Wallets were read to their proven end and nothing was there: they leave the queue until ``sighted``.

        ``worker`` and the answer as in ``mark_completed_many``.
        """
        now = self._time()

        def outcome(row: Mapping[Any, Any]) -> dict[str, Any]:
            return _success(row, "empty", 0, now) | {
                "trades_synced": 0, "last_trade_at": 0, "rows_synced": 0, "sync_duration_ms": duration_ms
            }  # fmt: skip

        return self._settle(addresses, outcome, worker)

    def mark_failed(self, address: bytes, error: str, *, worker: str | None = None) -> WalletRecord | None:
        """The wallet's work failed: try again after 1, 4, 16, … minutes (6 hours at most), parked after 8 failures.

        Returns:
            The wallet as it stands now, None if it is not known.
        """
        now = self._time()

        def outcome(row: Mapping[Any, Any]) -> dict[str, Any]:
            attempts = row["attempts"] + 1
            wait = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 4 ** (min(attempts, 16) - 1))
            is_parked = attempts >= MAX_ATTEMPTS
            due_at = 0 if is_parked else now + wait
            return {
                "status": "parked" if is_parked else "failed", "attempts": attempts, "next_attempt": now + wait,
                "last_error": storable(error, 2000), "due_at": due_at, "queued_reason": "",
                "rank": priority.rank(due_at, row["whale_score"], row["last_synced_at"]),
            }  # fmt: skip

        self._settle([address], outcome, worker)
        with self._reading() as connection:
            row = connection.execute(select(wallets).where(wallets.c.address == address)).first()
        return record(row) if row else None

    def queue(self, addresses: Sequence[bytes] | None = None, reason: str = "asked") -> int:
        """Queue known wallets again (all or these), from where they stand; returns how many wait now.

        All: everything but what is being worked on, parked and empty ones too. These: one that another worker is
        working on is read once more afterwards. Who waits already keeps the place.
        """
        require_word(reason)
        if addresses is None:
            idle = wallets.c.status.not_in(("syncing", "pending"))
            with self._writing(everything=True) as connection:
                waiting = connection.execute(select(func.count()).where(PENDING).select_from(wallets)).scalar_one()
                return int(waiting) + self._enqueue(connection, idle, reason)
        return self._queue_these(addresses, reason)

    def retry(self, addresses: Sequence[bytes] | None = None) -> int:
        """Queue failed and parked wallets (all, or these) at once, with a clean slate; returns how many."""
        # Said by exclusion: by the statuses themselves, SQLite would walk all failed wallets to find a few addresses.
        stuck = wallets.c.status.not_in(("pending", "syncing", "completed", "empty"))
        if addresses is None:
            with self._writing(everything=True) as connection:
                return self._enqueue(connection, stuck, "retry", attempts=0)
        with self._writing() as connection:
            return sum(
                self._enqueue(connection, and_(stuck, wallets.c.address.in_(few)), "retry", attempts=0)
                for few in chunks(sorted(set(addresses)))
            )

    def reset(self, address: bytes) -> bool:
        """Forget a wallet's cursors in every stream and queue it; its rows stay. Whether it was known.

        If a worker is reading it right now, the cursors are forgotten (again) when that reading ends.
        """
        nothing = {
            "attempts": 0, "last_error": "", "last_synced_at": 0, "trades_synced": 0, "last_trade_at": 0,
            "rows_synced": 0, "sync_duration_ms": 0,
        }  # fmt: skip
        mine = wallets.c.address == address
        with self._writing() as connection:
            foreign = self._is_foreign(None, self._time())
            busy = update(wallets).where(mine, foreign).values(queued_reason="reset", updated_at=self._time())
            known = connection.execute(busy).rowcount
            forgotten = forget(connection, [address])
            if not known:
                connection.execute(update(wallets).where(mine).values(last_synced_at=0))
                known = self._enqueue(connection, mine, "reset", **nothing)
        return bool(known or forgotten)

    def _settle(
        self, addresses: Iterable[bytes], outcome: Callable[[Mapping[Any, Any]], dict[str, Any]], worker: str | None
    ) -> int:
        """Change wallets to what ``outcome`` makes of their rows, end their leases, and return how many counted."""
        settled = 0
        now = self._time()
        with self._writing() as connection:
            for few in chunks(sorted(set(addresses))):
                query = select(wallets).where(wallets.c.address.in_(few)).order_by(wallets.c.address)
                if worker is not None:
                    query = query.where(SYNCING, wallets.c.lease_owner == worker)
                rows = list(connection.execute(self._locked(query)).mappings())
                forget(connection, [bytes(row["address"]) for row in rows if _is_reset(row)])
                changes = [{**outcome(row), **NO_LEASE, "updated_at": now, "wallet": row["address"]} for row in rows]
                if changes:
                    names = [name for name in changes[0] if name != "wallet"]
                    statement = update(wallets).where(wallets.c.address == bindparam("wallet"))
                    connection.execute(statement.values({name: bindparam(f"new_{name}") for name in names}), [
                        {"wallet": change["wallet"], **{f"new_{name}": change[name] for name in names}}
                        for change in changes
                    ])  # fmt: skip
                settled += len(changes)
        return settled

    def _queue_these(self, addresses: Sequence[bytes], reason: str) -> int:
        now, waiting = self._time(), 0
        with self._writing() as connection:
            for few in chunks(sorted(set(addresses))):
                mine = wallets.c.address.in_(few)
                query = select(wallets.c.address).where(mine, self._is_foreign(None, now))
                foreign = [bytes(one) for one in connection.execute(self._locked(query)).scalars()]
                if foreign:
                    once_more = update(wallets).where(wallets.c.address.in_(foreign), wallets.c.queued_reason == "")
                    connection.execute(once_more.values(queued_reason=reason, updated_at=now))
                free = and_(mine, wallets.c.address.not_in(foreign))
                self._enqueue(connection, and_(free, wallets.c.status != "pending"), reason)
                waiting += list(connection.execute(select(wallets.c.status).where(mine)).scalars()).count("pending")
        return waiting

    def _enqueue(self, connection: Connection, condition: ColumnElement[bool], reason: str, **more: Any) -> int:
        now = self._time()
        statement = update(wallets).where(condition)
        return connection.execute(
            statement.values(
                status="pending", next_attempt=0, due_at=now, rank=now - priority.bonus_sql(), queued_reason=reason,
                updated_at=now, **NO_LEASE, **more,
            )
        ).rowcount  # fmt: skip


def _success(row: Mapping[Any, Any], status: str, due_at: int, now: int) -> dict[str, Any]:
    """What every complete reading changes. One that was wanted again while it ran is queued at once."""
    once_more = row["status"] == "syncing" and row["queued_reason"] != ""
    due_at = now if once_more else due_at
    return {
        "status": "pending" if once_more else status, "attempts": 0, "next_attempt": 0, "last_error": "",
        "last_synced_at": now, "due_at": due_at, "rank": priority.rank(due_at, row["whale_score"], now),
        "queued_reason": row["queued_reason"] if once_more else "",
    }  # fmt: skip


def _is_reset(row: Mapping[Any, Any]) -> bool:
    return bool(row["status"] == "syncing" and row["queued_reason"] == "reset")
