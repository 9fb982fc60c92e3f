"""The state store: runs, checkpoints, wallets, quarantine. Small, transactional, separate from the warehouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from polyhouse.state.checkpoints import CheckpointStore, QuarantinedRow
from polyhouse.state.lifecycle import open_engine
from polyhouse.state.runs import RunRecord, RunStore
from polyhouse.state.wallets import WalletRecord, WalletStore

__all__ = ["QuarantinedRow", "RunRecord", "StateStore", "WalletRecord", "open_state"]


class StateStore(CheckpointStore, WalletStore, RunStore):
    """``ports.State`` and more, on SQLite or PostgreSQL. Safe for use by several threads. Made by ``open_state``."""

    def __enter__(self) -> StateStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_state(url: str, *, now: Callable[[], float] = time.time) -> StateStore:
    """Open the state store, make it if it is not there, and bring its schema up to date.

    Args:
        url: ``sqlite:////absolute/state.db`` or ``postgresql://user:password@host:5432/database``.
        now: wall clock, Unix seconds.

    Raises:
        ConfigError: malformed URL; a file that is damaged, foreign or of a newer version (never replaced silently).
        RetryableError: the database does not answer.
    """
    return StateStore(open_engine(url), now)
