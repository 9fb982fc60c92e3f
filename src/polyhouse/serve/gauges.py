"""Prometheus text: stores, queue, jobs, limiters, builds and their checks, requests served (docs/operations.md)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from polyhouse.ports import Warehouse
from polyhouse.reads import queue

if TYPE_CHECKING:
    from polyhouse.models.publication import Publication
    from polyhouse.state import StateStore

_ROWS = (
    "SELECT table AS table_name, sum(rows) AS rows FROM system.parts"
    " WHERE active AND database = currentDatabase() AND NOT match(table, '__(next|previous)$')"
    " GROUP BY table ORDER BY table"
)
_REBUILD_NOTE, _LIVE_NOTE, _NOTIFY_NOTE = "chain.rebuild", "live.seen", "notify.marks"
_BREAKERS = ("closed", "half-open", "open")

Samples = Iterable[tuple[Mapping[str, str], float]]


class RequestCounter:
    """Requests by method, route and status; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def count(self, method: str, route: str, status: int) -> None:
        """One more request."""
        with self._lock:
            self._counts[method, route, status] += 1

    def items(self) -> list[tuple[tuple[str, str, int], int]]:
        """All counts, sorted."""
        with self._lock:
            return sorted(self._counts.items())


def exposition(warehouse: Warehouse, state: StateStore, counter: RequestCounter) -> str:
    """The metrics page, format 0.0.4."""
    lines = [*_of_stores(warehouse, state), *_of_queue(state), *_of_upstreams(state), *_of_builds(warehouse, state)]
    lines += _of_boards(warehouse)
    lines += _metric(
        "polyhouse_http_requests_total", "counter", "Requests served.",
        [({"method": m, "route": route, "status": str(code)}, n) for (m, route, code), n in counter.items()],
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def _of_stores(warehouse: Warehouse, state: StateStore) -> Iterator[str]:
    yield from _metric(
        "polyhouse_store_rows", "gauge", "Rows per table before deduplication.",
        [({"table": str(name)}, int(count)) for name, count in warehouse.query(_ROWS).rows],
    )  # fmt: skip
    yield from _metric(
        "polyhouse_checkpoints", "gauge", "Partitions by stream and status.",
        [({"stream": stream, "status": status}, n) for (stream, status), n in sorted(queue.checkpoints(state).items())],
    )  # fmt: skip
    last = state.last_run()
    if last is not None:
        yield from _metric(
            "polyhouse_last_run_timestamp_seconds", "gauge", "When the newest run ended, or began if it goes on.",
            [({"command": last.command, "status": last.status}, last.finished_at or last.started_at)],
        )  # fmt: skip
    yield from _metric(
        "polyhouse_quarantined_rows", "gauge", "Rows that could not be read, by reason.",
        [({"reason": reason}, count) for reason, count in sorted(state.quarantine_counts().items())],
    )  # fmt: skip


def _of_queue(state: StateStore) -> Iterator[str]:
    yield from _metric(
        "polyhouse_wallets", "gauge", "Wallets in the queue by status.",
        [({"status": name}, count) for name, count in sorted(state.wallet_counts().items())],
    )  # fmt: skip
    yield from _metric(
        "polyhouse_queue_wallets", "gauge", "Wallets that wait to be read, by class.",
        [({"class": name}, count) for name, count in sorted(state.queue_depth().items())],
    )  # fmt: skip
    due = state.next_due_at()
    if due is not None:
        text = "When the first wallet in line became, or becomes, due."
        yield from _metric("polyhouse_queue_next_due_timestamp_seconds", "gauge", text, [({}, due)])
    text = "Wallets held by workers that let their lease end."
    yield from _metric("polyhouse_lost_leases", "gauge", text, [({}, state.lost_leases())])
    jobs = Counter(job.status for job in state.jobs(limit=1_000))
    yield from _metric(
        "polyhouse_jobs", "gauge", "Jobs by status, of the newest thousand.",
        [({"status": status}, count) for status, count in sorted(jobs.items())],
    )  # fmt: skip
    notified = state.get_note(_NOTIFY_NOTE)
    if notified:
        text = "Messages that were not sent yet: throttled, or taken by no service."
        yield from _metric("polyhouse_notifications_waiting", "gauge", text, [({}, len(notified.get("waiting", ())))])
    live = state.get_note(_LIVE_NOTE)
    if live:
        text = "Up to when all trades of the live socket were followed up."
        yield from _metric("polyhouse_live_seen_timestamp_seconds", "gauge", text, [({}, int(live))])


def _of_upstreams(state: StateStore) -> Iterator[str]:
    """The clients of this process as they stand; without any, those of the last run."""
    from polyhouse.sources.http.client import open_clients

    clients = list(open_clients)
    rows: list[dict[str, Any]] = [
        {
            "name": route.name, "requests": route.requests, "errors": route.errors, "throttled": route.throttled,
            "limit": route.limit, "used": route.used,
        }
        for client in clients
        for route in client.snapshot()
    ] or list(state.get_note(queue.UPSTREAM_NOTE) or ())  # fmt: skip
    sums: dict[str, Counter[str]] = {}
    for row in rows:
        sums.setdefault(str(row["name"]), Counter()).update({name: int(row[name]) for name in row if name != "name"})
    for name, key, kind, text in (
        ("polyhouse_upstream_requests", "requests", "gauge", "Requests of the clients in use, retries included."),
        ("polyhouse_upstream_errors", "errors", "gauge", "Of them, those that ended in an error."),
        ("polyhouse_upstream_throttled", "throttled", "gauge", "Of them, those that were answered 429."),
        ("polyhouse_limiter_used", "used", "gauge", "Requests in the current window of a limiter."),
        ("polyhouse_limiter_limit", "limit", "gauge", "Requests that its window has room for, slow-downs included."),
    ):
        samples = [(dict(zip(("host", "route"), _halves(one), strict=True)), found[key]) for one, found in sums.items()]
        yield from _metric(name, kind, text, samples)
    yield from _metric(
        "polyhouse_breaker_state", "gauge", "1 for the state in which the circuit breaker of a host is.",
        [
            ({"host": client.name, "state": word}, int(client.breaker_state == word))
            for client in clients
            for word in _BREAKERS
        ],
    )  # fmt: skip


def _halves(name: str) -> tuple[str, str]:
    host, _, route = name.partition(".")
    return host, route


def _of_builds(warehouse: Warehouse, state: StateStore) -> Iterator[str]:
    from polyhouse.models.checks import newest_results
    from polyhouse.models.publication import publications

    waiting = state.get_note(_REBUILD_NOTE)
    text = "Wallets whose models lag behind their rows; -1 = all."
    yield from _metric(
        "polyhouse_unbuilt_wallets", "gauge", text, [({}, -1 if waiting == "all" else len(waiting or ()))]
    )
    newest = next((one for one in publications(warehouse, limit=10) if one.is_done), None)
    if newest is not None:
        yield from _of_build(newest)
    results = newest_results(warehouse)
    for name, value, text in (
        ("polyhouse_check_broken_rows", "broken", "Rows that break an invariant, as of its newest test."),
        ("polyhouse_check_duration_seconds", "seconds", "What that test took."),
        ("polyhouse_check_timestamp_seconds", "at", "When it was."),
    ):
        yield from _metric(name, "gauge", text, [({"check": one.name}, getattr(one, value)) for one in results])


def _of_build(newest: Publication) -> Iterator[str]:
    kind = {"kind": newest.kind}
    for name, value, text in (
        ("polyhouse_build_timestamp_seconds", newest.build // 1_000_000, "When the build that readers see began."),
        ("polyhouse_build_duration_seconds", newest.seconds, "What it took."),
        ("polyhouse_build_held_tables", len(newest.held), "Tables that were not published for a broken check."),
    ):
        yield from _metric(name, "gauge", text, [(kind, value)])
    yield from _metric(
        "polyhouse_model_step_duration_seconds", "gauge", "What each step of that build took.",
        [({"step": step}, seconds) for step, seconds in newest.steps.items()],
    )  # fmt: skip
    yield from _metric(
        "polyhouse_model_rows_written", "gauge", "Rows that it wrote, by table.",
        [({"table": table}, count) for table, count in newest.rows.items()],
    )  # fmt: skip


def _of_boards(warehouse: Warehouse) -> Iterator[str]:
    from polyhouse.reads.boards import boards_of

    shelf = boards_of(warehouse).shelf
    for name, kind, value, text in (
        ("polyhouse_boards_bytes", "gauge", shelf.held(), "What leaderboards keep in memory."),
        ("polyhouse_boards_bytes_most", "gauge", shelf.most_bytes, "The most that they keep."),
        ("polyhouse_boards_forgotten_total", "counter", shelf.forgotten, "What had to go to make room for others."),
    ):
        yield from _metric(name, kind, text, [({}, value)])


def _metric(name: str, kind: str, text: str, samples: Samples) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escape(content)}"' for label, content in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return lines


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
