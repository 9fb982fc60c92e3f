"""Choosing from the queue of wallets: promotion of what is due, claims, leases.

The rule of the order is in ``priority``, what becomes of the work in ``outcomes``. A claim is a lease: its owner renews
it while it works; when it does not, somebody else's promotion puts the wallet back. Choosing walks indexes only,
whatever the number of wallets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, func, or_, select, true, update

from polyhouse.failpoints import reach
from polyhouse.state import priority
from polyhouse.state.database import FORGOT, Database
from polyhouse.state.schema import LEASED, WALLET_STATUSES, checkpoints, runs, wallets
from polyhouse.state.wallets import WalletRecord, chunks, record

LEASE_SECONDS = 300
"""How long a claim holds without being renewed. Renew every third of it."""

PENDING = wallets.c.status == "pending"
SYNCING = wallets.c.status == "syncing"
NO_LEASE = {"lease_owner": "", "lease_until": 0}
_PROMOTE = 1_000


class WalletQueue(Database):
    """See the module.

    Attributes:
        lease_seconds: how long claims hold that say nothing else.
    """

    lease_seconds = LEASE_SECONDS

    def promote_due(self, limit: int = _PROMOTE, *, stale: bool = True) -> int:
        """Queue what is due: failed wallets whose waiting time is over, wallets whose lease ran out, and completed ones
        that are stale.

        Args:
            limit: at most so many of each kind, the longest due first.
            stale: also completed wallets, 6 hours after they were read.

        Returns:
            How many were queued; call again while it is not 0.
        """
        with self._writing() as connection:
            return self._promote(connection, limit, stale=stale)

    def claim_wallets(self, limit: int, *, worker: str | None = None, lease_seconds: int | None = None) -> list[bytes]:
        """Lease the first ``limit`` wallets of the queue to a worker; they become ``syncing``. Each is given out once.

        Failed wallets whose waiting time is over and those of dead workers are promoted first.

        Args:
            limit: how many at most.
            worker: who works on them; this store's own name by default.
            lease_seconds: when the claim ends unless it is renewed; by default as the store says.

        Returns:
            The wallets, first rank first; [] if nothing is due now.
        """
        now = self._time()
        # One statement: each one more is a round trip while the rows are locked.
        query = select(wallets.c.address).where(PENDING).order_by(wallets.c.rank).limit(limit)
        picked = self._locked(query, skip=True).cte("picked")
        claim = update(wallets).where(wallets.c.address.in_(select(picked.c.address)))
        claim = claim.values(self._lease_values(worker, now + self._seconds(lease_seconds)))
        with self._writing() as connection:
            moments = connection.execute(_moments("failed", "leases")).one()
            if any(moment is not None and moment <= now for moment in moments):
                self._promote(connection, max(limit, _PROMOTE), stale=False)
            rows = connection.execute(claim.returning(wallets.c.rank, wallets.c.address)).all()
            reach("K1")
        return [bytes(address) for _, address in sorted(tuple(row) for row in rows)]

    def lease_wallets(
        self, addresses: Sequence[bytes], *, worker: str | None = None, lease_seconds: int | None = None
    ) -> list[bytes]:
        """Lease these wallets, whatever their status; returns those on which the worker may work, in the given order.

        Left out are only wallets that another worker is working on. Unknown wallets are returned too: nobody else has
        them.
        """
        now, taken = self._time(), set[bytes]()
        with self._writing() as connection:
            for few in chunks(sorted(set(addresses))):
                query = select(wallets.c.address).where(wallets.c.address.in_(few), self._is_foreign(worker, now))
                taken.update(bytes(one) for one in connection.execute(self._locked(query)).scalars())
            free = [address for address in addresses if address not in taken]
            self._forget_resets(connection, free)
            self._lease(connection, sorted(set(free)), worker, now + self._seconds(lease_seconds))
            reach("K1")
        return free

    def mark_syncing(self, addresses: Sequence[bytes], *, worker: str | None = None) -> int:
        """Say that these wallets are being worked on, whatever their status and worker; returns how many are known."""
        with self._writing() as connection:
            return self._lease(connection, sorted(set(addresses)), worker, self._time() + self.lease_seconds)

    def renew_leases(self, worker: str | None = None, lease_seconds: int | None = None) -> int:
        """The worker is alive: its leases (and runs) hold on; returns how many wallets it has."""
        now, name, seconds = self._time(), self._name(worker), self._seconds(lease_seconds)
        with self._writing() as connection:
            alive = update(runs).where(runs.c.status == "running", runs.c.worker == name)
            # Who reads it adds LEASE_SECONDS: a run is believed alive for as long as its leases hold.
            connection.execute(alive.values(alive_at=now + seconds - LEASE_SECONDS))
            mine = update(wallets).where(SYNCING, wallets.c.lease_owner == name)
            return connection.execute(mine.values(lease_until=now + seconds)).rowcount

    def release_worker(self, worker: str | None = None, *, lost: bool = False) -> int:
        """Put a worker's wallets back into the queue; returns how many.

        Args:
            worker: whose; this store's own by default.
            lost: the worker died: its wallets come behind those that wait already, so that one which kills its worker
                cannot do so for ever. Else they keep their places.
        """
        with self._writing() as connection:
            return self._release(connection, wallets.c.lease_owner == self._name(worker), lost=lost)

    def release_syncing(self) -> int:
        """Put back what processes that are gone were working on, behind those that wait already; returns how many.

        On SQLite that is every wallet that is being worked on: only the store's owner may call this. On PostgreSQL
        other machines have workers too: it is what this process holds, and what nobody renewed.
        """
        condition: ColumnElement[bool] = true()
        if not self._is_sqlite:
            condition = or_(wallets.c.lease_owner == self.worker, wallets.c.lease_until <= self._time())
        with self._writing() as connection:
            return self._release(connection, condition, lost=True)

    def wallets_due(self, limit: int | None = None) -> list[bytes]:
        """Wallets that a claim would give out now, in its order; nothing is claimed."""
        waited = and_(wallets.c.status == "failed", wallets.c.due_at <= self._time())
        query = select(wallets.c.address).where(or_(PENDING, waited)).order_by(wallets.c.rank)
        with self._reading() as connection:
            return [bytes(address) for address in connection.execute(query.limit(limit)).scalars()]

    def queue_head(self, limit: int = 20) -> list[WalletRecord]:
        """The first wallets of the queue; ``priority.reason`` says of each why."""
        query = select(wallets).where(PENDING).order_by(wallets.c.rank).limit(limit)
        with self._reading() as connection:
            return [record(row) for row in connection.execute(query)]

    def queue_depth(self) -> dict[str, int]:
        """Class (``whale``, ``new``, ``stale``) → how many wallets of it wait in the queue."""
        kind = priority.class_sql()
        query = select(kind, func.count()).where(PENDING).group_by(kind)
        with self._reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).tuples().all())
        return {"whale": 0, "new": 0, "stale": 0} | found

    def leased_to_others(self) -> int:
        """How many wallets other workers hold; those of dead ones count until somebody takes them over."""
        query = select(func.count()).where(LEASED, wallets.c.lease_owner != self.worker)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def lease_holders(self) -> dict[str, int]:
        """Worker → how many wallets it holds; those of dead ones count until somebody takes them over."""
        query = select(wallets.c.lease_owner, func.count()).where(LEASED).group_by(wallets.c.lease_owner)
        with self._reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).tuples().all())
        return found

    def lost_leases(self) -> int:
        """How many wallets are held by workers that let their lease end; the next claim takes them over."""
        query = select(func.count()).where(LEASED, wallets.c.lease_until <= self._time())
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def next_due_at(self, *, stale: bool = True) -> int | None:
        """When the next wallet can be claimed, Unix seconds: in the past if one waits, None if none ever will.

        Args:
            stale: also count completed wallets, which only ``promote_due`` queues.
        """
        kinds = ("pending", "failed", "leases", "completed") if stale else ("pending", "failed", "leases")
        with self._reading() as connection:
            found = connection.execute(_moments(*kinds)).one()
        return min((int(moment) for moment in found if moment is not None), default=None)

    def _promote(self, connection: Connection, limit: int, *, stale: bool) -> int:
        now = self._time()
        promoted = 0
        for status, cause in (("failed", "again"), ("completed", "stale")) if stale else (("failed", "again"),):
            query = (
                select(wallets.c.address)
                .where(wallets.c.status == status, wallets.c.due_at <= now)
                .order_by(wallets.c.due_at)
                .limit(limit)
            )
            due = [bytes(one) for one in connection.execute(self._locked(query, skip=True)).scalars()]
            promoted += len(due)
            for few in chunks(due):
                mine = update(wallets).where(wallets.c.address.in_(few))
                connection.execute(mine.values(status="pending", queued_reason=cause, updated_at=now))
        expired = (
            select(wallets.c.address)
            .where(LEASED, wallets.c.lease_until <= now)
            .order_by(wallets.c.lease_until)
            .limit(limit)
        )
        gone = [bytes(one) for one in connection.execute(self._locked(expired, skip=True)).scalars()]
        for few in chunks(gone):
            promoted += self._release(connection, wallets.c.address.in_(few), lost=True)
        return promoted

    def _lease(self, connection: Connection, addresses: Sequence[bytes], worker: str | None, until: int) -> int:
        values = self._lease_values(worker, until)
        return sum(
            connection.execute(update(wallets).where(wallets.c.address.in_(few)).values(values)).rowcount
            for few in chunks(addresses)
        )

    def _lease_values(self, worker: str | None, until: int) -> dict[str, Any]:
        now = self._time()
        return {
            "status": "syncing", "lease_owner": self._name(worker), "lease_until": until, "last_attempt_at": now,
            "updated_at": now, "queued_reason": "",
        }  # fmt: skip

    def _release(self, connection: Connection, condition: ColumnElement[bool], *, lost: bool) -> int:
        now = self._time()
        self._forget_resets(connection, condition)
        values: dict[str, Any] = {"status": "pending", "updated_at": now, **NO_LEASE}
        if lost:
            values |= {"due_at": now, "rank": now - priority.bonus_sql()}
        cause = case((wallets.c.queued_reason != "", wallets.c.queued_reason), else_="lost" if lost else "asked")
        statement = update(wallets).where(SYNCING, condition).values(queued_reason=cause, **values)
        return connection.execute(statement).rowcount

    def _forget_resets(self, connection: Connection, which: ColumnElement[bool] | Sequence[bytes]) -> None:
        """A wallet that was reset while somebody read it would go on from where that one was: forget it once more."""
        conditions = (
            [which] if isinstance(which, ColumnElement) else [wallets.c.address.in_(few) for few in chunks(which)]
        )
        for condition in conditions:
            query = select(wallets.c.address).where(SYNCING, wallets.c.queued_reason == "reset", condition)
            forget(connection, [bytes(one) for one in connection.execute(query).scalars()])

    def _is_foreign(self, worker: str | None, now: int) -> ColumnElement[bool]:
        """Another worker is working on it, and alive."""
        nobody = ("", self._name(worker))
        return and_(SYNCING, wallets.c.lease_owner.not_in(nobody), wallets.c.lease_until > now)

    def _seconds(self, lease_seconds: int | None) -> int:
        return self.lease_seconds if lease_seconds is None else lease_seconds

    def _name(self, worker: str | None) -> str:
        return self.worker if worker is None else worker


def _moments(*kinds: str) -> Select[Any]:
    """The earliest due time of wallets of a status, or end of a lease, each None if there is none; in one question."""
    questions = {"leases": select(func.min(wallets.c.lease_until)).where(LEASED)}
    for status in WALLET_STATUSES:
        questions[status] = select(func.min(wallets.c.due_at)).where(wallets.c.status == status)
    return select(*(questions[kind].scalar_subquery() for kind in kinds))


def forget(connection: Connection, addresses: Sequence[bytes]) -> int:
    """Delete the checkpoints of wallets in every stream."""
    forgotten = 0
    for few in chunks(addresses):
        keys = ["0x" + address.hex() for address in few]
        forgotten += connection.execute(delete(checkpoints).where(checkpoints.c.partition.in_(keys))).rowcount
    if forgotten:
        connection.info[FORGOT] = True
    return forgotten
