"""Everything ``polyhouse check`` tests: models, blocks of the chain, the stores against each other, how fresh it is."""

from __future__ import annotations

import time

from polyhouse.domain.ids import format_address
from polyhouse.models.checks import CheckResult, run_checks
from polyhouse.ports import Warehouse
from polyhouse.sync.coverage import run_coverage_checks
from polyhouse.sync.served import upstream_is_in_step
from polyhouse.sync.store import RunState
from polyhouse.sync.verify import ahead_of_rows, unregistered

STALE_SECONDS = 24 * 3_600
"""A source that is read again and again is late after a day."""
_READ_AGAIN = "('chain', 'activity', 'trades')"
_EXAMPLES = 5


def all_checks(warehouse: Warehouse, state: RunState) -> list[CheckResult]:
    """Test all invariants of both stores; changes nothing."""
    return [
        *run_checks(warehouse),
        *run_coverage_checks(warehouse),
        checkpoints_have_rows(warehouse, state),
        wallets_are_registered(warehouse, state),
        sources_are_fresh(warehouse, state, int(time.time())),
        upstream_is_in_step(state),
    ]


def checkpoints_have_rows(warehouse: Warehouse, state: RunState) -> CheckResult:
    """A checkpoint implies data: the page that it stands behind is in the warehouse's manifest."""
    started = time.monotonic()
    meaning = "no checkpoint is ahead of the rows that the warehouse holds"
    found = [f"{one.stream} {one.partition}" for one in ahead_of_rows(warehouse, state)]
    shown = tuple(found[:_EXAMPLES])
    detail = meaning
    if found:
        detail = f"violated: {meaning}; e.g. {', '.join(shown)}; the next sync sets them back and reads them again"
    return CheckResult(
        "checkpoints_have_rows", not found, len(found), detail, shown, seconds=time.monotonic() - started
    )


def wallets_are_registered(warehouse: Warehouse, state: RunState) -> CheckResult:
    """Whoever has rows is in the registry, and so in the queue."""
    started = time.monotonic()
    meaning = "every wallet with rows is registered"
    found = unregistered(warehouse, state)
    shown = tuple(map(format_address, found[:_EXAMPLES]))
    detail = meaning
    if found:
        detail = f"violated: {meaning}; e.g. {', '.join(shown)}; polyhouse check --heal registers them"
    return CheckResult(
        "wallets_are_registered", not found, len(found), detail, shown, seconds=time.monotonic() - started
    )


def sources_are_fresh(warehouse: Warehouse, state: RunState, now: int) -> CheckResult:
    """Each source that is followed was read within a day.

    Args:
        warehouse: holds the rows and the runs that wrote them.
        state: holds the runs.
        now: Unix seconds.
    """
    started = time.monotonic()
    meaning = "every source that is followed was written to within a day"
    rows = warehouse.query(
        "SELECT toString(source) AS word, max(run) FROM observations"
        f" WHERE toString(source) IN {_READ_AGAIN} GROUP BY word ORDER BY word"
    ).rows
    known = {run.id: run for run in state.runs(limit=1_000)}
    late = []
    for word, run in rows:
        wrote = known.get(int(run))
        if wrote is not None and now - wrote.started_at > STALE_SECONDS:
            late.append(f"{word} ({(now - wrote.started_at) // 3_600} h)")
    detail = f"violated: {meaning}; {', '.join(late)}; polyhouse run" if late else meaning
    return CheckResult(
        "sources_are_fresh", not late, len(late), detail, tuple(late), seconds=time.monotonic() - started
    )
