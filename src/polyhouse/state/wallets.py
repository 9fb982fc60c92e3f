"""The wallet queue: who is known, who is due, who failed and when to try again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, String, and_, case, delete, func, literal, or_, select, update

from polyhouse.errors import BadInputError
from polyhouse.state.database import Database, storable
from polyhouse.state.schema import WALLET_STATUSES, checkpoints, wallets

FIRST_RETRY_SECONDS = 60
LONGEST_RETRY_SECONDS = 6 * 3600
MAX_ATTEMPTS = 8
"""Failures in a row after which a wallet is parked until `polyhouse retry`."""

_BATCH = 10_000
_FEW = 500
_WORD = re.compile(r"^[a-z0-9][a-z0-9.:_-]{0,63}$")


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """What the store knows of one wallet. Times are Unix seconds, 0 = never."""

    address: bytes
    status: str
    provenance: tuple[str, ...]
    first_seen: int
    last_seen: int
    attempts: int
    next_attempt: int
    last_error: str
    last_synced_at: int
    trades_synced: int
    last_trade_at: int


class WalletStore(Database):
    """See the module."""

    def register_wallets(self, addresses: Iterable[bytes], provenance: str) -> int:
        """Make wallets known and queue the new ones; never changes status or progress of known ones.

        Args:
            addresses: 20 bytes each; repetitions are fine.
            provenance: one word that says where they come from (``trades``, ``holders``, ``file``, …); added to
                the words a wallet has.

        Returns:
            How many were not known before.

        Raises:
            BadInputError: an address of another length, or not one word.
        """
        if not _WORD.match(provenance):
            raise BadInputError(f"{provenance!r} is not a provenance word (a-z, 0-9, '.', ':', '_', '-').")
        statement = self._register_statement(provenance)
        now, unique = self._time(), dict.fromkeys(addresses)
        for address in unique:
            if type(address) is not bytes or len(address) != 20:
                raise BadInputError(f"{address!r} is not a wallet address of 20 bytes.")
        rest = iter(unique)
        with self._writing() as connection:
            before = connection.execute(select(func.count()).select_from(wallets)).scalar_one()
            while batch := list(islice(rest, _BATCH)):
                connection.execute(
                    statement, [{"address": address, **_new_wallet(provenance, now)} for address in batch]
                )
            after = connection.execute(select(func.count()).select_from(wallets)).scalar_one()
        return int(after) - int(before)

    def wallet(self, address: bytes) -> WalletRecord | None:
        """One wallet, None if it is not known."""
        with self._reading() as connection:
            row = connection.execute(select(wallets).where(wallets.c.address == address)).mappings().first()
        return _record(row) if row else None

    def known_wallets(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the addresses that are registered."""
        found: set[bytes] = set()
        with self._reading() as connection:
            for few in _chunks(list(addresses)):
                query = select(wallets.c.address).where(wallets.c.address.in_(few))
                found.update(bytes(address) for address in connection.execute(query).scalars())
        return found

    def wallet_addresses(self, status: str | None = None, limit: int | None = None) -> list[bytes]:
        """Addresses in order, of one status if given."""
        query = select(wallets.c.address).order_by(wallets.c.address).limit(limit)
        if status is not None:
            query = query.where(wallets.c.status == status)
        with self._reading() as connection:
            return [bytes(address) for address in connection.execute(query).scalars()]

    def wallet_counts(self) -> dict[str, int]:
        """Status → number of wallets; every status is there."""
        query = select(wallets.c.status, func.count()).group_by(wallets.c.status)
        with self._reading() as connection:
            found: dict[str, int] = dict(connection.execute(query).tuples().all())
        return dict.fromkeys(WALLET_STATUSES, 0) | found

    def wallets_due(self, limit: int | None = None) -> list[bytes]:
        """Wallets to work on now: pending ones and failed ones whose waiting time is over, longest known first."""
        with self._reading() as connection:
            query = select(wallets.c.address).where(self._is_due()).order_by(*_QUEUE_ORDER).limit(limit)
            return [bytes(address) for address in connection.execute(query).scalars()]

    def claim_wallets(self, limit: int) -> list[bytes]:
        """Take up to ``limit`` due wallets for this process: they become ``syncing``. Each is given out once."""
        with self._writing() as connection:
            query = select(wallets.c.address).where(self._is_due()).order_by(*_QUEUE_ORDER).limit(limit)
            if self._engine.dialect.name != "sqlite":
                query = query.with_for_update(skip_locked=True)
            claimed = [bytes(address) for address in connection.execute(query).scalars()]
            for few in _chunks(claimed):
                connection.execute(update(wallets).where(wallets.c.address.in_(few)).values(status="syncing"))
        return claimed

    def mark_syncing(self, addresses: Sequence[bytes]) -> int:
        """Say that these wallets are being worked on, whatever their status; returns how many are known."""
        return self._change(addresses, {"status": "syncing"})

    def mark_completed(self, address: bytes, *, trades_synced: int, last_trade_at: int = 0) -> None:
        """The wallet was read to its proven end; earlier failures are forgotten.

        Args:
            address: the wallet.
            trades_synced: its fills in the warehouse.
            last_trade_at: time of the newest one, 0 = none.
        """
        self._change(
            [address],
            {
                "status": "completed", "attempts": 0, "next_attempt": 0, "last_error": "",
                "last_synced_at": self._time(), "trades_synced": trades_synced, "last_trade_at": last_trade_at,
            },
        )  # fmt: skip

    def mark_failed(self, address: bytes, error: str) -> WalletRecord | None:
        """The wallet's work failed: try again after 1, 4, 16, … minutes (6 hours at most), parked after 8 failures.

        Returns:
            The wallet as it stands now, None if it is not known.
        """
        with self._writing() as connection:
            query = select(wallets.c.attempts).where(wallets.c.address == address)
            attempts = connection.execute(query).scalar()
            if attempts is None:
                return None
            attempts += 1
            wait = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 4 ** (min(attempts, 16) - 1))
            status = "parked" if attempts >= MAX_ATTEMPTS else "failed"
            connection.execute(
                update(wallets)
                .where(wallets.c.address == address)
                .values(
                    status=status, attempts=attempts, next_attempt=self._time() + wait, last_error=storable(error, 2000)
                )
            )
        return self.wallet(address)

    def release_syncing(self) -> int:
        """Queue the wallets that a process which is gone was working on; only the store's owner may say so."""
        with self._writing() as connection:
            statement = update(wallets).where(wallets.c.status == "syncing").values(status="pending")
            return connection.execute(statement).rowcount

    def queue(self, addresses: Sequence[bytes] | None = None) -> int:
        """Queue known wallets again (all or these), from where they stand; returns how many."""
        values = {"status": "pending", "next_attempt": 0}
        if addresses is not None:
            return self._change(addresses, values)
        with self._writing() as connection:
            return connection.execute(update(wallets).where(wallets.c.status != "syncing").values(values)).rowcount

    def retry(self, addresses: Sequence[bytes] | None = None) -> int:
        """Queue failed and parked wallets (all, or these) at once, with a clean slate; returns how many."""
        stuck = wallets.c.status.in_(("failed", "parked"))
        values = {"status": "pending", "attempts": 0, "next_attempt": 0}
        if addresses is not None:
            return self._change(addresses, values, stuck)
        with self._writing() as connection:
            return connection.execute(update(wallets).where(stuck).values(values)).rowcount

    def reset(self, address: bytes) -> bool:
        """Forget a wallet's cursors in every stream and queue it; its rows stay. Whether it was known."""
        partition = "0x" + address.hex()
        with self._writing() as connection:
            forgotten = connection.execute(delete(checkpoints).where(checkpoints.c.partition == partition)).rowcount
            statement = update(wallets).where(wallets.c.address == address)
            known = connection.execute(
                statement.values(
                    status="pending",
                    attempts=0,
                    next_attempt=0,
                    last_error="",
                    last_synced_at=0,
                    trades_synced=0,
                    last_trade_at=0,
                )
            ).rowcount
        return bool(known or forgotten)

    def _is_due(self) -> ColumnElement[bool]:
        waited = and_(wallets.c.status == "failed", wallets.c.next_attempt <= self._time())
        return or_(wallets.c.status == "pending", waited)

    def _change(
        self, addresses: Sequence[bytes], values: Mapping[str, Any], condition: ColumnElement[bool] | None = None
    ) -> int:
        changed = 0
        with self._writing() as connection:
            for few in _chunks(addresses):
                statement = update(wallets).where(wallets.c.address.in_(few)).values(dict(values))
                if condition is not None:
                    statement = statement.where(condition)
                changed += connection.execute(statement).rowcount
        return changed

    def _register_statement(self, provenance: str) -> Any:
        statement = self._insert(wallets)
        words = literal(" ", String) + wallets.c.provenance + literal(" ", String)
        return statement.on_conflict_do_update(
            index_elements=[wallets.c.address],
            set_={
                "last_seen": statement.excluded.last_seen,
                "provenance": case(
                    (words.contains(f" {provenance} ", autoescape=True), wallets.c.provenance),
                    else_=wallets.c.provenance + literal(f" {provenance}", String),
                ),
            },
        )


_QUEUE_ORDER = (wallets.c.next_attempt, wallets.c.first_seen, wallets.c.address)


def _chunks(addresses: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (addresses[start : start + _FEW] for start in range(0, len(addresses), _FEW))


def _new_wallet(provenance: str, now: int) -> dict[str, Any]:
    return {
        "status": "pending", "provenance": provenance, "first_seen": now, "last_seen": now, "attempts": 0,
        "next_attempt": 0, "last_error": "", "last_synced_at": 0, "trades_synced": 0, "last_trade_at": 0,
    }  # fmt: skip


def _record(row: Mapping[Any, Any]) -> WalletRecord:
    return WalletRecord(
        **{name: row[name] for name in row if name not in {"address", "provenance"}},
        address=bytes(row["address"]),
        provenance=tuple(row["provenance"].split()),
    )
