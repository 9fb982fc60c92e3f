"""The state store: runs, checkpoints, wallets, quarantine. Small, transactional, separate from the warehouse."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from types import TracebackType

from polyhouse.state.access import AccessStore, ApiKey, AuditEntry
from polyhouse.state.ahead import LONGEST_SECONDS
from polyhouse.state.checkpoints import CheckpointStore, QuarantinedRow
from polyhouse.state.jobs import JobRecord, JobStore
from polyhouse.state.lifecycle import database_clock, open_engine
from polyhouse.state.outcomes import Synced, WalletOutcomes
from polyhouse.state.patience import patient
from polyhouse.state.queue import LEASE_SECONDS
from polyhouse.state.runs import RunRecord, RunStore
from polyhouse.state.wallets import WalletRecord, WalletStore

__all__ = [
    "LEASE_SECONDS",
    "ApiKey",
    "AuditEntry",
    "JobRecord",
    "QuarantinedRow",
    "RunRecord",
    "StateStore",
    "Synced",
    "WalletRecord",
    "open_state",
]


@patient
class StateStore(CheckpointStore, WalletStore, WalletOutcomes, RunStore, JobStore, AccessStore):
    """``ports.State`` and more, on SQLite or PostgreSQL. Safe for use by several threads. Made by ``open_state``."""

    def __enter__(self) -> StateStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_state(
    url: str,
    *,
    now: Callable[[], float] | None = None,
    worker: str | None = None,
    lease_seconds: int = LEASE_SECONDS,
) -> StateStore:
    """Open the state store, make it if it is not there, and bring its schema up to date.

    Args:
        url: ``sqlite:////absolute/state.db`` or ``postgresql://user:password@host:5432/database``.
        now: wall clock, Unix seconds. By default that of the database: on PostgreSQL the server's, so that the leases
            of several machines are measured by one clock.
        worker: the name under which leases are taken; by default one that no other store has.
        lease_seconds: how long a claim holds without being renewed.

    Raises:
        ConfigError: malformed URL; a file that is damaged, foreign or of a newer version (never replaced silently).
        RetryableError: the database does not answer.
        AuthError: the server refused the user.
    """
    engine = open_engine(url)
    name = worker or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    state = StateStore(engine, now or database_clock(engine), name)
    state.lease_seconds = lease_seconds
    state.ahead.longest_seconds = min(LONGEST_SECONDS, lease_seconds / 4)
    return state
