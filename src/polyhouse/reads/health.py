"""How the copying goes: runs, rows over time, how old each source is, what failed. What the queue is at: ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polyhouse.ports import Warehouse
from polyhouse.reads.exact import moment
from polyhouse.reads.queue import checkpoints

if TYPE_CHECKING:
    from polyhouse.state import StateStore

RUNS = 15
FAILURES = 20
REJECTS = 20
HOURS = 72


def health(warehouse: Warehouse, state: StateStore) -> dict[str, Any]:
    """The sync-health document.

    ``sources``: per source of ledger rows how many there are, the newest one, and when a run last wrote any.
    ``streams``: per stream its partitions by status, pages and rows, and the newest page. ``hours``: rows written in
    each of the last ``HOURS`` hours in which something was written. ``runs``: the newest ``RUNS``. ``failures``: the
    wallets that failed last, ``failed`` how many there are; ``rejected``: rows that could not be read, newest first.
    """
    failures = _failures(warehouse)
    return {
        "sources": _sources(warehouse, state),
        "streams": _streams(warehouse, state),
        "hours": _hours(warehouse),
        "runs": [_run(run) for run in state.runs(limit=RUNS)],
        "failed": int(warehouse.query("SELECT count() FROM failed_wallets").rows[0][0]),
        "failures": failures,
        "rejected": [
            {
                "stream": row.stream, "partition": row.partition, "reason": row.reason, "count": row.count,
                "last_seen_at": moment(row.last_seen),
            }
            for row in state.quarantined(limit=REJECTS)
        ],
    }  # fmt: skip


def read_workers(state: StateStore) -> list[dict[str, Any]]:
    """Who holds how many wallets at the moment, by name."""
    return [{"worker": name, "wallets": held} for name, held in sorted(state.lease_holders().items())]


def _sources(warehouse: Warehouse, state: StateStore) -> list[dict[str, Any]]:
    rows = warehouse.query(
        "SELECT toString(source) AS word, count(), toUnixTimestamp(max(ts)), max(run) FROM observations"
        " GROUP BY word ORDER BY word"
    ).rows
    runs = {int(run): state.run(int(run)) for _, _, _, run in rows}
    return [
        {
            "source": word, "rows": int(number), "newest_row_at": moment(newest),
            "written_at": moment(wrote.finished_at or wrote.started_at) if (wrote := runs[int(run)]) else None,
        }
        for word, number, newest, run in rows
    ]  # fmt: skip


def _streams(warehouse: Warehouse, state: StateStore) -> list[dict[str, Any]]:
    written = {
        str(row[0]): row[1:]
        for row in warehouse.query(
            "SELECT stream, count(), sum(rows), sum(rejected), toUnixTimestamp(max(written_at))"
            " FROM sync_pages GROUP BY stream"
        ).rows
    }
    partitions: dict[str, dict[str, int]] = {}
    for (stream, status), number in checkpoints(state).items():
        partitions.setdefault(stream, {})[status] = number
    found = []
    for stream in sorted({*written, *partitions}):
        pages, rows, rejected, newest = written.get(stream, (0, 0, 0, 0))
        found.append(
            {
                "stream": stream, "partitions": partitions.get(stream, {}), "pages": int(pages), "rows": int(rows),
                "rejected": int(rejected), "last_page_at": moment(newest),
            }
        )  # fmt: skip
    return found


def _hours(warehouse: Warehouse) -> list[dict[str, Any]]:
    rows = warehouse.query(
        "SELECT toUnixTimestamp(toStartOfHour(written_at)) AS hour, sum(rows), count() FROM sync_pages"
        f" WHERE written_at >= (SELECT max(written_at) FROM sync_pages) - INTERVAL {HOURS} HOUR"
        " GROUP BY hour ORDER BY hour"
    ).rows
    return [{"at": int(hour), "rows": int(written), "pages": int(pages)} for hour, written, pages in rows]


def _run(run: Any) -> dict[str, Any]:
    ended = run.finished_at or None
    return {
        "run_id": run.id,
        "command": run.command,
        "status": run.status,
        "started_at": moment(run.started_at),
        "seconds": ended - run.started_at if ended else None,
        "wallets": run.counts.get("wallets_completed"),
        "rows": run.counts.get("rows"),
        "rejected": run.counts.get("rejected"),
        "error": run.error or None,
    }


def _failures(warehouse: Warehouse) -> list[dict[str, Any]]:
    rows = warehouse.query(
        "SELECT wallet_address, is_given_up, error_count, last_error, toUnixTimestamp(last_attempt_at),"
        f" toUnixTimestamp(next_attempt_at) FROM failed_wallets ORDER BY last_attempt_at DESC LIMIT {FAILURES}"
    ).rows
    return [
        {
            "wallet": wallet, "is_given_up": bool(given_up), "attempts": int(attempts), "error": error,
            "last_attempt_at": moment(last), "next_attempt_at": moment(following),
        }
        for wallet, given_up, attempts, error, last, following in rows
    ]  # fmt: skip
