"""Who is read next: the one rule of the wallet queue.

Every wallet has a moment at which it wants work (``due_at``) and a rank, also a moment: ``due_at`` minus the bonus of
its class. The queue gives out the smallest rank first.

| class | who | bonus |
|---|---|---|
| ``whale`` | whale score 5.0 or more | 3 hours, and 1 hour for each point above 5 |
| ``new`` | never read to the end | 2 hours |
| ``stale`` | read before, 6 hours or longer ago | none |

Nobody starves: a rank does not move while a wallet waits, so whoever becomes due later than ``due_at`` plus the largest
difference of two bonuses (8 hours) comes behind it, however many come. A wallet that failed is due again when its
waiting time is over; one whose worker died is due at the moment that was noticed: both come behind those who wait
already, so a wallet that kills or fails its worker each time cannot block the head.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Protocol

from sqlalchemy import ColumnElement, case

from polyhouse.state.schema import wallets

STALE_SECONDS = 6 * 3600
"""A wallet that was read completely wants to be read again after this time."""

WHALE_TENTHS = 50
"""Whale score, in tenths, from which a wallet is a whale to the queue."""

WHALE_BONUS_SECONDS = 3 * 3600
BONUS_SECONDS_PER_TENTH = 360
NEW_BONUS_SECONDS = 2 * 3600
LARGEST_BONUS_SECONDS = WHALE_BONUS_SECONDS + (100 - WHALE_TENTHS) * BONUS_SECONDS_PER_TENTH

WalletClass = Literal["whale", "new", "stale"]

CAUSES = {
    "new": "newly found",
    "stale": "last read more than 6 hours ago",
    "again": "tried again after a failure",
    "lost": "its worker was lost",
    "seen": "something new was seen of it",
    "asked": "asked for",
    "retry": "retried by hand",
    "reset": "to be read again from the start",
}
"""Why a wallet is in the queue (``queued_reason``), in words for people. Callers may bring words of their own."""


class Waiting(Protocol):
    """What the rule looks at; ``wallets.WalletRecord`` has it."""

    @property
    def status(self) -> str:
        """Status in the queue."""
        ...

    @property
    def due_at(self) -> int:
        """When it wants work, Unix seconds."""
        ...

    @property
    def whale_score(self) -> int:
        """Tenths."""
        ...

    @property
    def last_synced_at(self) -> int:
        """Unix seconds, 0 = never."""
        ...

    @property
    def attempts(self) -> int:
        """Failures in a row."""
        ...

    @property
    def last_error(self) -> str:
        """Why the last attempt failed."""
        ...

    @property
    def queued_reason(self) -> str:
        """Why it is in the queue."""
        ...


def wallet_class(whale_score: int, last_synced_at: int) -> WalletClass:
    """The class of a wallet: whale score in tenths, time of the last complete reading (0 = never)."""
    if whale_score >= WHALE_TENTHS:
        return "whale"
    return "stale" if last_synced_at else "new"


def bonus(whale_score: int, last_synced_at: int) -> int:
    """Seconds by which the wallet's class comes earlier than its due time. Scores above 10.0 count as 10.0."""
    kind = wallet_class(whale_score, last_synced_at)
    if kind == "whale":
        return WHALE_BONUS_SECONDS + (min(whale_score, 100) - WHALE_TENTHS) * BONUS_SECONDS_PER_TENTH
    return NEW_BONUS_SECONDS if kind == "new" else 0


def rank(due_at: int, whale_score: int, last_synced_at: int) -> int:
    """The wallet's place in the queue, smaller = sooner."""
    return due_at - bonus(whale_score, last_synced_at)


def class_sql() -> ColumnElement[str]:
    """``wallet_class`` of a row of the table, computed by the database."""
    return case(
        (wallets.c.whale_score >= WHALE_TENTHS, "whale"),
        (wallets.c.last_synced_at == 0, "new"),
        else_="stale",
    )


def bonus_sql() -> ColumnElement[int]:
    """``bonus`` of a row of the table, computed by the database."""
    score = case((wallets.c.whale_score > 100, 100), else_=wallets.c.whale_score)
    return case(
        (
            wallets.c.whale_score >= WHALE_TENTHS,
            (score - WHALE_TENTHS) * BONUS_SECONDS_PER_TENTH + WHALE_BONUS_SECONDS,
        ),
        (wallets.c.last_synced_at == 0, NEW_BONUS_SECONDS),
        else_=0,
    )


def reason(wallet: Waiting) -> str:
    """Why the wallet stands where it stands, in one line: ``whale 7.4, waiting since 2026-11-21 14:02:11 UTC``."""
    kind = wallet_class(wallet.whale_score, wallet.last_synced_at)
    name = {"whale": f"whale {wallet.whale_score / 10:.1f}", "new": "never read", "stale": "read before"}[kind]
    failures = f"{wallet.attempts} failure{'' if wallet.attempts == 1 else 's'} in a row: {wallet.last_error}"
    cause = CAUSES.get(wallet.queued_reason, wallet.queued_reason)
    match wallet.status:
        case "pending":
            return f"{name}, waiting since {_moment(wallet.due_at)}" + (f" ({cause})" if cause else "")
        case "syncing":
            return f"{name}, being read" + (f", then once more ({cause})" if cause else "")
        case "completed":
            return f"{name}, due at {_moment(wallet.due_at)}"
        case "failed":
            return f"{name}, tried again at {_moment(wallet.due_at)} after {failures}"
        case "parked":
            return f"{name}, given up after {failures}"
        case _:
            return "nothing there; waits until something is seen of it"


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
