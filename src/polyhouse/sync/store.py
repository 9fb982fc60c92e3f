"""What the runs need of the state store beyond ``ports.State``. ``state.StateStore`` provides it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from polyhouse.ports import Checkpoint, PartitionStatus, State
from polyhouse.sync.walk import Known

if TYPE_CHECKING:
    from polyhouse.state import Synced, WalletRecord


class RunRecord(Protocol):
    """One run as the store remembers it."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def command(self) -> str:
        """Its name."""
        ...

    @property
    def args(self) -> Mapping[str, Any]:
        """What it was asked to do."""
        ...

    @property
    def started_at(self) -> int:
        """Unix seconds."""
        ...

    @property
    def counts(self) -> Mapping[str, Any]:
        """What it did, by name."""
        ...

    @property
    def status(self) -> str:
        """``running`` for a run whose process was killed."""
        ...


class RunState(State, Protocol):
    """Runs, wallets, notes and bulk access to checkpoints."""

    lease_seconds: int
    """How long a claim holds without being renewed."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines use it."""
        ...

    def change_note(self, key: str, change: Callable[[Any], Any]) -> Any:
        """Replace a small fact by what ``change`` makes of it, while nobody else can; returns that."""
        ...

    def take_turn(self, name: str, seconds: int) -> bool:
        """Take or keep the turn for work that only one machine does at a time; False while another has it."""
        ...

    def end_turn(self, name: str) -> None:
        """Let others have it."""
        ...

    def start_run(self, command: str, args: Mapping[str, Any] | None = None) -> int:
        """Record that a run begins; returns its number."""
        ...

    def finish_run(
        self,
        run: int,
        status: Literal["ok", "partial", "failed", "interrupted"],
        counts: Mapping[str, Any] | None = None,
        error: str = "",
    ) -> None:
        """Record how a run ended."""
        ...

    def runs(self, *, command: str | None = None, limit: int = 20) -> Sequence[RunRecord]:
        """The newest runs, newest first."""
        ...

    def unfinished_runs(self) -> Sequence[RunRecord]:
        """Runs without an end, oldest first."""
        ...

    def get_note(self, key: str) -> Any:
        """A small fact, None if there is none."""
        ...

    def set_note(self, key: str, value: Any) -> None:
        """Remember a small fact."""
        ...

    def read_ahead(self, streams: Collection[str], partitions: Sequence[str]) -> None:
        """Read the checkpoints of these partitions, whose leases the caller has, in each of the streams."""
        ...

    def take_ahead(self, stream: str, partition: str) -> Known | None:
        """What was read ahead of a partition, once; None if its checkpoint has to be asked for."""
        ...

    def checkpoints(self, stream: str | None = None, status: PartitionStatus | None = None) -> Sequence[Checkpoint]:
        """Checkpoints by stream and status."""
        ...

    def checkpoints_after(self, stream: str, partition: str, limit: int) -> Sequence[Checkpoint]:
        """The next checkpoints of a stream behind this partition, in order."""
        ...

    def restore_checkpoints(self, restored: Iterable[Checkpoint]) -> int:
        """Set checkpoints to exactly this."""
        ...

    def checkpoint_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Stream → status → number."""
        ...

    def register_wallets(self, addresses: Iterable[bytes], provenance: str) -> int:
        """Make wallets known and queue the new ones."""
        ...

    def known_wallets(self, addresses: Iterable[bytes]) -> set[bytes]:
        """Those of the addresses that are registered."""
        ...

    def wallet_addresses(
        self, status: str | None = None, limit: int | None = None, *, after: bytes = b""
    ) -> Sequence[bytes]:
        """Known wallets, from the one behind ``after`` on."""
        ...

    def wallet_counts(self) -> Mapping[str, int]:
        """Status → number."""
        ...

    def claim_wallets(self, limit: int) -> Sequence[bytes]:
        """Take due wallets out of the queue; they become ``syncing``."""
        ...

    def leased_to_others(self) -> int:
        """How many wallets other processes work on."""
        ...

    def promote_due(self, limit: int = 1_000, *, stale: bool = True) -> int:
        """Queue what is due; returns how many were."""
        ...

    def lease_wallets(self, addresses: Sequence[bytes]) -> Sequence[bytes]:
        """Those of the wallets that this process may work on now; they become ``syncing``."""
        ...

    def renew_leases(self) -> int:
        """This process is alive and goes on with what it claimed."""
        ...

    def release_worker(self) -> int:
        """Put back what this process claimed and did not finish."""
        ...

    def read_since(self, addresses: Iterable[bytes], since: int) -> set[bytes]:
        """Those of the wallets that were read to their proven end at or after this moment (Unix seconds)."""
        ...

    def mark_syncing(self, addresses: Sequence[bytes]) -> int:
        """These are being worked on."""
        ...

    def sighted(self, addresses: Iterable[bytes], at: int) -> int:
        """Something new was seen of these: who was read before that is queued."""
        ...

    def mark_completed_many(self, done: Iterable[Synced]) -> int:
        """These were read to the proven end."""
        ...

    def mark_empty(self, addresses: Iterable[bytes]) -> int:
        """These were read to the proven end, and nothing was there."""
        ...

    def mark_completed(self, address: bytes, *, trades_synced: int, last_trade_at: int = 0) -> bool:
        """Read to the proven end."""
        ...

    def mark_failed(self, address: bytes, error: str) -> object:
        """Failed; tried again later."""
        ...

    def release_syncing(self) -> int:
        """Put back what nobody works on any more."""
        ...

    def queue(self, addresses: Sequence[bytes] | None = None) -> int:
        """Queue all wallets, or these."""
        ...

    def next_due_at(self, *, stale: bool = True) -> int | None:
        """When the next wallet is due, Unix seconds; None = nobody waits."""
        ...

    def set_whale_scores(self, scores: Mapping[bytes, int]) -> int:
        """Tell the queue the whale scores (tenths) of these wallets."""
        ...

    def wallet(self, address: bytes) -> WalletRecord | None:
        """What is known of one wallet."""
        ...

    def changed_since(self, updated_at: int, address: bytes = b"", *, limit: int = 10_000) -> Sequence[WalletRecord]:
        """The next page of wallets that changed, behind this key, in its order."""
        ...

    def reset(self, address: bytes) -> bool:
        """Forget a wallet's cursors and queue it."""
        ...
