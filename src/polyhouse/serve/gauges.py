"""Prometheus text: rows in the stores, checkpoints, wallets, requests served."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from polyhouse.ports import Warehouse
from polyhouse.reads import queue

if TYPE_CHECKING:
    from polyhouse.state import StateStore

_ROWS = (
    "SELECT table AS table_name, sum(rows) AS rows FROM system.parts"
    " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
)


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
    rows = warehouse.query(_ROWS).rows
    lines = _metric(
        "polyhouse_store_rows", "gauge", "Rows per table before deduplication.",
        [({"table": str(name)}, int(count)) for name, count in rows],
    )  # fmt: skip
    lines += _metric(
        "polyhouse_wallets", "gauge", "Wallets in the queue by status.",
        [({"status": name}, count) for name, count in sorted(queue.facts(state).wallets.items())],
    )  # fmt: skip
    lines += _metric(
        "polyhouse_checkpoints", "gauge", "Partitions by stream and status.",
        [({"stream": stream, "status": status}, n) for (stream, status), n in sorted(queue.checkpoints(state).items())],
    )  # fmt: skip
    lines += _metric(
        "polyhouse_http_requests_total", "counter", "Requests served.",
        [({"method": m, "route": route, "status": str(code)}, n) for (m, route, code), n in counter.items()],
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, text: str, samples: Iterable[tuple[Mapping[str, str], int]]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escape(content)}"' for label, content in labels.items())
        lines.append(f"{name}{{{inside}}} {value}")
    return lines


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
