# ruff: noqa: A005 - run as `python -m benchmarks.queue`, never imported as `queue`
"""The wallet queue at size: registering, claiming, promoting with a million wallets, on SQLite and on PostgreSQL.

``python -m benchmarks.queue [--wallets N] [--engine sqlite|postgresql]``. The PostgreSQL server is a fresh one of the
machine's own; durability is on for both engines, as in production.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from polyhouse.state import StateStore, Synced, open_state

_START = 1_800_000_000
_ROUNDS = {20: 300, 200: 100}
TARGET_MS = 20


class Clock:
    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> float:
        return self.now


def run(engine: str, wallets: int) -> Iterator[tuple[str, str, str]]:
    """(what, engine and size, figure) per measurement."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield from _measure(f"sqlite:///{folder}/state.db", engine, wallets)
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from postgres_server import running_server

    with running_server(durable=True) as server:
        yield from _measure(server.url(), engine, wallets)


def _measure(url: str, engine: str, wallets: int) -> Iterator[tuple[str, str, str]]:
    clock, case = Clock(), f"{engine}, {wallets:,} wallets"
    with open_state(url, now=clock) as state:
        seconds = _seconds(lambda: state.register_wallets(_addresses(wallets), "benchmark"))
        yield "register", case, f"{seconds:.1f} s, {wallets / seconds:,.0f} wallets/s"
        clock.now += 60
        claimed: list[bytes] = []
        for size, rounds in _ROUNDS.items():
            times = [_seconds(lambda size=size: claimed.extend(state.claim_wallets(size))) for _ in range(rounds)]
            yield f"claim {size}", case, _spread(times)
        half = len(claimed) // 2  # these are completed, the others are lost with their worker
        groups = [claimed[start : start + 200] for start in range(0, half, 200)]
        times = [_seconds(lambda group=group: _complete(state, group)) for group in groups]
        yield "complete 200", case, _spread(times)
        times = [_seconds(lambda group=group: state.set_whale_scores(dict.fromkeys(group, 74))) for group in groups]
        yield "score 200", case, _spread(times)
        clock.now += 7 * 3600
        times = [_seconds(lambda: state.promote_due(200)) for _ in range(half // 200)]
        yield "promote 200 stale and 200 lost", case, _spread(times)
        for size in _ROUNDS:
            times = [_seconds(lambda size=size: state.claim_wallets(size)) for _ in range(50)]
            yield f"claim {size} after promotion", case, _spread(times)
        yield "next due", case, _spread([_seconds(state.next_due_at) for _ in range(20)])
        yield "counts by status", case, _spread([_seconds(state.wallet_counts) for _ in range(3)])
        yield "page of 10,000 changes", case, _spread([_seconds(lambda: state.changed_since(0)) for _ in range(3)])


def _complete(state: StateStore, group: list[bytes]) -> None:
    state.mark_completed_many([Synced(one, trades_synced=1) for one in group])


def _addresses(count: int):
    rng = random.Random(1)
    return (rng.randbytes(20) for _ in range(count))


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _spread(seconds: list[float]) -> str:
    ordered = sorted(1_000 * one for one in seconds)
    last = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {statistics.median(ordered):.1f} ms, p99 {last:.1f} ms ({len(ordered)} times)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.queue")
    parser.add_argument("--wallets", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    options = parser.parse_args()
    print(f"target: a batch is chosen in less than {TARGET_MS} ms")
    for engine in options.engine or ["sqlite", "postgresql"]:
        for row in run(engine, options.wallets):
            print("{:<36} {:<34} {}".format(*row), flush=True)


if __name__ == "__main__":
    main()
