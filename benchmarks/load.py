"""The HTTP API under load, in a small form for ``make bench``; ``python -m benchmarks.api`` is the whole of it.

A server of its own on a small simulated Polymarket; first what an answer costs the server, then readers beside a sync
that goes on without a pause. Server, simulator and readers share the processors of the machine: latencies say as much
about the machine as about the server, processor time per answer does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from benchmarks.measure import in_fresh_process

_WALLETS, _READERS, _SECONDS = 40, 50, 8.0
_SCALE = 1.0
"""Of the published limits, by which the sync reads."""
_PAUSES = {True: 1.0, False: 10.0}
"""Mean seconds between pages of a reader: the same few pages, and new ones."""


def run() -> list[tuple[str, str, str]]:
    """Rows of the result table: what, latencies or processor time, errors and stale reads."""
    return in_fresh_process(_load)


def _load() -> list[tuple[str, str, str]]:
    from benchmarks import api
    from polyhouse.cli.simulation import simulated_polymarket

    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyhouse-load-")))
        upstream = stack.enter_context(simulated_polymarket(7, _WALLETS, _SCALE))
        urls = {"GAMMA_URL": upstream.gamma_url, "CLOB_URL": upstream.clob_url, "DATA_URL": upstream.data_url}
        url, process = stack.enter_context(api.server(home, urls | {"RATE_SCALE": str(_SCALE)}))
        (token_file,) = home.glob("serve-*.token")
        asyncio.run(api.fill(url))
        rows = [
            (f"API: {kind}", f"{spent:.2f} ms CPU an answer", "one client, no sync")
            for kind, spent in asyncio.run(api.costs(url, process)).items()
        ]
        for kept, pause in _PAUSES.items():
            found = in_fresh_process(
                api.run_pass, url, process.pid, token_file.read_text(), _READERS, _SECONDS, pause, kept
            )
            rows += [_row(found, kind) for kind in ("cached", "uncached", "status") if found[kind]["count"]]
    return rows


def _row(found: dict, kind: str) -> tuple[str, str, str]:
    times = found[kind]
    told = f"{times['count']} answers, {found['errors']} errors, {found['reads_too_old']} stale"
    return (
        f"API: {_READERS} readers of {found['pass']}, {kind}",
        f"p50 {times['p50_ms']:.0f} ms, p99 {times['p99_ms']:.0f} ms",
        f"{told}; beside {found['sync_jobs']} syncs",
    )


if __name__ == "__main__":
    for line in run():
        print("{:<58} {:<30} {}".format(*line))
