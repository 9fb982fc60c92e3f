"""What documents say about the state store: the wallet queue, the last run, checkpoints, upstream counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyhouse.domain.ids import format_address, parse_address
from polyhouse.ports import Warehouse
from polyhouse.reads.exact import decode, encode, moment
from polyhouse.reads.status import QueueFacts, status_without_warehouse, warehouse_figures

if TYPE_CHECKING:
    from polyhouse.state import StateStore

UPSTREAM_NOTE = "upstreams"
"""Key of the note with the counters of the last run's HTTP clients; of a server's, since it began."""

_FIRST = 5


FIGURES_NOTE = "status.figures"
"""Key of the note with what the warehouse last contributed to the status document."""


def remember_figures(warehouse: Warehouse, state: StateStore) -> None:
    """Keep the figures of the warehouse where other processes can read them while this one holds it open."""
    state.set_note(FIGURES_NOTE, encode(warehouse_figures(warehouse)).decode())


def status_in_use(state: StateStore) -> dict[str, Any]:
    """The status document for a process that cannot open the warehouse because another one has it."""
    known = state.get_note(FIGURES_NOTE)
    return status_without_warehouse(facts(state), decode(known.encode()) if known else None)


def sync_entry(state: StateStore, address: str) -> dict[str, Any] | None:
    """The ``sync`` part of the wallet document, None for a wallet that was never registered.

    Raises:
        BadInputError: a malformed address.
    """
    record = state.wallet(parse_address(address))
    if record is None:
        return None
    return {
        "status": record.status,
        "last_synced_at": moment(record.last_synced_at),
        "last_trade_at": moment(record.last_trade_at),
        "trades_synced": record.trades_synced,
        "attempts": record.attempts,
        "last_error": record.last_error or None,
    }


def facts(state: StateStore) -> QueueFacts:
    """What the status document needs."""
    last = state.last_run()
    run = None if last is None else {
        "run_id": last.id,
        "command": last.command,
        "status": last.status,
        "started_at": moment(last.started_at),
        "finished_at": moment(last.finished_at),
        "counts": dict(last.counts),
        "error": last.error or None,
    }  # fmt: skip
    return QueueFacts(
        wallets=state.wallet_counts(),
        last_run=run,
        quarantine=state.quarantine_counts(),
        upstreams=state.get_note(UPSTREAM_NOTE) or (),
        queue=_queue(state),
    )


def _queue(state: StateStore) -> dict[str, Any]:
    """Who waits, by class (``state.priority``); the first in line and why they stand there; when the next is due."""
    from polyhouse.state import priority

    depth = state.queue_depth()
    due = state.next_due_at()
    return {
        "waiting": {**depth, "all": sum(depth.values())},
        "next_due_at": None if due is None else moment(due),
        "first": [
            {
                "wallet": format_address(record.address),
                "class": priority.wallet_class(record.whale_score, record.last_synced_at),
                "reason": priority.reason(record),
            }
            for record in state.queue_head(_FIRST)
        ],
    }


def checkpoints(state: StateStore) -> dict[tuple[str, str], int]:
    """(stream, status) → partitions."""
    return {
        (stream, status): count
        for stream, statuses in state.checkpoint_counts().items()
        for status, count in statuses.items()
    }
