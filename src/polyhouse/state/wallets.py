"""The registry of wallets: who is known, from where, and what was read of them. The queue over it: ``queue``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)

from polyhouse.errors import BadInputError
from polyhouse.state import priority
from polyhouse.state.database import Database
from polyhouse.state.schema import WALLET_STATUSES, wallets

_BATCH = 10_000
_REGISTER = 25_000
FEW = 500
"""Addresses in one IN (…)."""

_WORD = re.compile(r"^[a-z0-9][a-z0-9.:_-]{0,63}$")


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """What the store knows of one wallet. Times are Unix seconds, 0 = never.

    Attributes:
        attempts: failures in a row; ``next_attempt`` when the next one may be made, ``last_error`` why the last failed.
        due_at: when it wants work, 0 = it does not. ``rank``: its place in the queue (``state.priority``).
        whale_score: tenths.
        last_attempt_at: when a worker took it last. ``last_synced_at``: when it was last read to its proven end.
        trades_synced: its fills in the warehouse. ``rows_synced``: rows of the last complete reading, which took
            ``sync_duration_ms``.
        updated_at: last change of this record, leases aside.
        queued_reason: why it waits; while it is worked on: why it must be read once more.
    """

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
    due_at: int
    rank: int
    lease_until: int
    whale_score: int
    last_attempt_at: int
    sync_duration_ms: int
    rows_synced: int
    updated_at: int
    lease_owner: str
    queued_reason: str


class WalletStore(Database):
    """See the module."""

    def register_wallets(self, addresses: Iterable[bytes], provenance: str) -> int:
        """Make wallets known and queue the new ones; never changes status, progress or place of known ones.

        Any number of addresses may be streamed through: they are stored in groups of 25,000, each committed as it
        comes.

        Args:
            addresses: 20 bytes each; repetitions are fine.
            provenance: one word that says where they come from (``trades``, ``holders``, ``file``, …); added to
                the words a wallet has.

        Returns:
            How many were not known before.

        Raises:
            BadInputError: an address of another length, or not one word; nothing of its group is stored.
        """
        require_word(provenance)
        return sum(self._register(group, provenance) for group in _groups(_checked(addresses), _REGISTER))

    def _register(self, group: Sequence[bytes], provenance: str) -> int:
        now = self._time()
        # In one order everywhere, so that two that register the same wallets never wait for each other crosswise.
        ordered = sorted(set(group))
        words = literal(" ", String) + wallets.c.provenance + literal(" ", String)
        has_word = words.contains(f" {provenance} ", autoescape=True)
        with self._writing() as connection:
            new = self._insert_new(connection, ordered, _new_wallet(provenance, now))
            if new < len(ordered):
                for few in chunks(ordered):
                    statement = update(wallets).where(
                        wallets.c.address.in_(few), or_(wallets.c.last_seen < now, not_(has_word))
                    )
                    added = case((has_word, wallets.c.provenance), else_=wallets.c.provenance + f" {provenance}")
                    connection.execute(statement.values(last_seen=now, updated_at=now, provenance=added))
        return new

    def _insert_new(self, connection: Connection, addresses: Sequence[bytes], values: Mapping[str, Any]) -> int:
        statement = self._insert(wallets).execution_options(preserve_rowcount=True)
        if self._is_sqlite:
            rows = [{"address": address, **values} for address in addresses]
            return connection.execute(statement.on_conflict_do_nothing(), rows).rowcount
        # One statement for all: a statement for each would cost the server ten times as much.
        from sqlalchemy.dialects.postgresql import ARRAY

        source = select(func.unnest(literal(addresses, ARRAY(LargeBinary))), *map(literal, values.values()))
        statement = statement.from_select(["address", *values], source).on_conflict_do_nothing()
        return connection.execute(statement).rowcount

    @property
    def file(self) -> str:
        """The file of a store on SQLite, "" on a server."""
        return (self._engine.url.database or "") if self._is_sqlite else ""

    def wallet(self, address: bytes) -> WalletRecord | None:
        """One wallet, None if it is not known."""
        with self._reading() as connection:
            row = connection.execute(select(wallets).where(wallets.c.address == address)).first()
        return record(row) if row else None

    def known_wallets(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the addresses that are registered."""
        return self._those(addresses, true())

    def read_since(self, addresses: Iterable[bytes], since: int) -> set[bytes]:
        """Those of the addresses that were read to their proven end at or after this moment (Unix seconds)."""
        return self._those(addresses, wallets.c.last_synced_at >= since)

    def _those(self, addresses: Iterable[bytes], condition: ColumnElement[bool]) -> set[bytes]:
        found: set[bytes] = set()
        with self._reading() as connection:
            for few in chunks(list(addresses)):
                query = select(wallets.c.address).where(wallets.c.address.in_(few), condition)
                found.update(bytes(address) for address in connection.execute(query).scalars())
        return found

    def wallet_addresses(
        self, status: str | None = None, limit: int | None = None, *, after: bytes = b""
    ) -> list[bytes]:
        """Addresses in order, of one status if given, from the one behind ``after`` on: page by page with ``limit``."""
        query = select(wallets.c.address).order_by(wallets.c.address).limit(limit)
        if after:
            query = query.where(wallets.c.address > after)
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

    def changed_since(self, updated_at: int, address: bytes = b"", *, limit: int = _BATCH) -> list[WalletRecord]:
        """Records behind the key (``updated_at``, ``address``), in its order: the next page of changes.

        A change may be committed a little later than it is dated, and several in one second: who follows the changes
        begins each round a minute before the newest ``updated_at`` of the last one. From ``(0, b"")`` it is everything.
        """
        key = tuple_(wallets.c.updated_at, wallets.c.address)
        query = (
            select(wallets)
            .where(key > tuple_(literal(updated_at), literal(address)))
            .order_by(wallets.c.updated_at, wallets.c.address)
            .limit(limit)
        )
        with self._reading() as connection:
            return [record(row) for row in connection.execute(query)]

    def set_whale_scores(self, scores: Mapping[bytes, int]) -> int:
        """Set whale scores (tenths) and move the wallets in the queue accordingly; returns how many changed."""
        changed = 0
        for group in _groups(sorted(scores), FEW):
            with self._writing() as connection:
                query = select(wallets.c.address, wallets.c.whale_score, wallets.c.due_at, wallets.c.last_synced_at)
                rows = connection.execute(self._locked(query.where(wallets.c.address.in_(group)))).all()
                moved = [
                    {"wallet": address, "score": score, "place": priority.rank(due_at, score, synced)}
                    for address, old, due_at, synced in rows
                    if (score := scores[bytes(address)]) != old
                ]
                if moved:
                    statement = update(wallets).where(wallets.c.address == bindparam("wallet"))
                    values = {"whale_score": bindparam("score"), "rank": bindparam("place"), "updated_at": self._time()}
                    connection.execute(statement.values(values), moved)
                changed += len(moved)
        return changed

    def sighted(self, addresses: Iterable[bytes], at: int) -> int:
        """Something new was seen of these wallets at ``at`` (Unix seconds): who was read before that is read again.

        Empty and completed wallets are queued, due since ``at``; one that is being worked on is read once more
        afterwards. Failed and parked ones keep their waiting time. Unknown addresses are passed over.

        Returns:
            How many wallets this queued.
        """
        queued = 0
        for group in _groups(_checked(addresses), _BATCH):
            with self._writing() as connection:
                for few in chunks(sorted(set(group))):
                    mine = update(wallets).where(wallets.c.address.in_(few))
                    seen = case((wallets.c.last_seen < at, at), else_=wallets.c.last_seen)
                    stamp = {"last_seen": seen, "updated_at": self._time()}
                    # Said by exclusion: SQLite would walk all completed wallets to find a few addresses.
                    at_work = ("pending", "syncing", "failed", "parked")
                    idle = and_(wallets.c.status.not_in(at_work), wallets.c.last_synced_at <= at)
                    queued += connection.execute(
                        mine.where(idle).values(
                            status="pending", due_at=at, rank=at - priority.bonus_sql(), queued_reason="seen", **stamp
                        )
                    ).rowcount
                    busy = and_(wallets.c.status == "syncing", wallets.c.queued_reason == "")
                    connection.execute(mine.where(busy).values(queued_reason="seen", **stamp))
        return queued


def require_word(word: str) -> None:
    """Refuse what is not one word of the registry.

    Raises:
        BadInputError: it is not.
    """
    if not _WORD.match(word):
        raise BadInputError(f"{word!r} is not one word (a-z, 0-9, '.', ':', '_', '-').")


def chunks(addresses: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Pieces of a size that every database takes in one IN (…)."""
    return (addresses[start : start + FEW] for start in range(0, len(addresses), FEW))


def record(row: Sequence[Any]) -> WalletRecord:
    """The record of a whole row of the table, whose columns are in the order of the record's fields."""
    address, status, provenance, *rest = row
    return WalletRecord(bytes(address), status, tuple(provenance.split()), *rest)


def _checked(addresses: Iterable[bytes]) -> Iterator[bytes]:
    for address in addresses:
        if type(address) is not bytes or len(address) != 20:
            raise BadInputError(f"{address!r} is not a wallet address of 20 bytes.")
        yield address


def _groups(addresses: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(addresses)
    while group := list(islice(rest, size)):
        yield group


def _new_wallet(provenance: str, now: int) -> dict[str, Any]:
    return {
        "status": "pending", "provenance": provenance, "first_seen": now, "last_seen": now, "attempts": 0,
        "next_attempt": 0, "last_error": "", "last_synced_at": 0, "trades_synced": 0, "last_trade_at": 0,
        "due_at": now, "rank": priority.rank(now, 0, 0), "updated_at": now, "queued_reason": "new",
    }  # fmt: skip
