"""Readers of the HTTP API while a sync writes: ``python -m benchmarks.api [--readers N] [--seconds S] [--pause S]``.

A server of its own on a simulated Polymarket. Each reader asks for a page, waits, asks for another one: leaderboards,
wallets and the status. Two passes: pages that everybody asks for (kept answers), and pages that nobody asked for before
(every request another question). Reported per pass: errors, latencies as the readers saw them, processor time of the
server per request (the figure to compare between machines), and reads that were older than what was committed before
they began (a read is too old if its build is below one that had been seen before the read was sent).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

import polyhouse
from polyhouse.cli.simulation import simulated_polymarket

KEY = {"X-API-Key": "benchmark"}
RATE_SCALE = 20.0


@dataclass
class Pass:
    """What readers saw."""

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reads: list[tuple[float, int]] = field(default_factory=list)  # when it was sent, build that it showed
    commits: list[tuple[float, int]] = field(default_factory=list)  # when a build was known to be there


@contextlib.contextmanager
def server(home: Path, upstream: dict[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """A running server: its URL and its process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLYHOUSE_")}
    ours = {"HOME": str(home), "ADMIN_API_KEY": KEY["X-API-Key"], "API_RATE_PER_MINUTE": "0", **upstream}
    environment = kept | {f"POLYHOUSE_{name}": value for name, value in ours.items()}
    environment["PYTHONPATH"] = str(Path(polyhouse.__file__).parents[1])
    log = home / "serve.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "polyhouse", "serve", "--port", "0", "--no-schedule"]
        process = subprocess.Popen(command, env=environment, cwd=home, stderr=output)
        try:
            while not (found := [line for line in log.read_text().splitlines() if line.startswith("serving ")]):
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            yield found[0].split()[1], psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(timeout=120)


async def job(session: aiohttp.ClientSession, path: str, body: object = None) -> str:
    """Start a job and wait for its end."""
    async with session.post(path, json=body, headers=KEY) as answer:
        number = (await answer.json())["id"]
    while True:
        async with session.get(f"/api/admin/jobs/{number}", headers=KEY) as answer:
            status = (await answer.json())["status"]
        if status not in {"queued", "running"}:
            return str(status)
        await asyncio.sleep(0.2)


async def pages(session: aiohttp.ClientSession, *, kept: bool) -> list[str]:
    """Pages that everybody asks for, or questions that nobody asked before."""
    async with session.get("/api/leaderboard?min_units=0&min_gains_losses=0&limit=1000") as answer:
        wallets = [row["wallet"] for row in (await answer.json())["rows"]]
    if kept:
        boards = [
            f"/api/leaderboard?sort={sort}&window={window}"
            for sort in ("omega", "pnl")
            for window in ("30d", "lifetime")
        ]
        return [*boards, *(f"/api/wallets/{wallet}" for wallet in wallets[:4]), "/api/status"]
    boards = [f"/api/leaderboard?min_units=0&min_gains_losses={number}" for number in range(2_000)]
    people = [f"/api/wallets/{wallet}?window={window}" for window in ("1d", "7d", "30d", "90d") for wallet in wallets]
    return [page for pair in zip(boards, itertools.cycle(people), strict=False) for page in pair]


async def reader(session: aiohttp.ClientSession, asked: Iterator[str], pause: float, until: float, seen: Pass) -> None:
    """One client: ask, look at the answer, wait."""
    await asyncio.sleep(pause * (id(asyncio.current_task()) % 997) / 997)
    while time.monotonic() < until:
        page = next(asked)
        begun = time.monotonic()
        try:
            async with session.get(page) as answer:
                await answer.read()
                if answer.status != 200:
                    seen.errors.append(f"{page}: {answer.status}")
                tag = answer.headers.get("ETag", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.errors.append(f"{page}: {error!r}")
            continue
        seen.latencies.append(time.monotonic() - begun)
        if tag and not page.startswith("/api/status"):
            seen.reads.append((begun, int(tag.split("-")[1].split(".")[0], 16)))
        await asyncio.sleep(pause)


async def watch(session: aiohttp.ClientSession, token: str, until: float, seen: Pass) -> None:
    """Which build is published, asked past every kept answer."""
    body = {"command": "sql", "arguments": {"statement": "SELECT max(build) AS b FROM builds"}}
    while time.monotonic() < until:
        async with session.post("/internal/query", json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
            document = await answer.json()
        seen.commits.append((time.monotonic(), int(document["rows"][0][0])))
        await asyncio.sleep(0.2)


async def writing(session: aiohttp.ClientSession, until: float) -> int:
    """Sync without a pause: every wallet from its beginning, models after each."""
    jobs = 0
    while time.monotonic() < until:
        await job(session, "/api/admin/schedule/everything/run")
        jobs += 1
    return jobs


def too_old(seen: Pass) -> int:
    """Reads that showed less than what had been committed before they were sent."""
    return sum(1 for begun, build in seen.reads if build < max((b for at, b in seen.commits if at <= begun), default=0))


async def measure(url: str, process: psutil.Process, token: str, readers: int, seconds: float, pause: float) -> None:
    """Fill the store, then both passes."""
    connector = aiohttp.TCPConnector(limit=readers + 20)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        print(f"filled: {await job(session, '/api/admin/ingest', {'action': 'full'})}", flush=True)
        for name, kept in (("kept", True), ("new", False)):
            asked = itertools.cycle(await pages(session, kept=kept))
            seen = Pass()
            until = time.monotonic() + seconds
            before = process.cpu_times()
            tasks = [reader(session, asked, pause, until, seen) for _ in range(readers)]
            jobs, *_ = await asyncio.gather(writing(session, until), watch(session, token, until, seen), *tasks)
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            times = sorted(seen.latencies)
            print(
                json.dumps({
                    "pass": name, "readers": readers, "requests": len(times), "errors": len(seen.errors),
                    "first_errors": seen.errors[:3], "p50_ms": round(times[len(times) // 2] * 1e3, 1),
                    "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 1), "max_ms": round(times[-1] * 1e3, 1),
                    "server_cpu_seconds": round(used, 1), "sync_jobs": jobs, "reads_too_old": too_old(seen),
                }),
                flush=True,
            )  # fmt: skip


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=1.0)
    parser.add_argument("--wallets", type=int, default=40)
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyhouse-api-")))
        upstream = stack.enter_context(simulated_polymarket(7, asked.wallets, RATE_SCALE))
        urls = {"GAMMA_URL": upstream.gamma_url, "CLOB_URL": upstream.clob_url, "DATA_URL": upstream.data_url}
        url, process = stack.enter_context(server(home, urls | {"RATE_SCALE": str(RATE_SCALE)}))
        (token_file,) = home.glob("serve-*.token")
        token = token_file.read_text()
        asyncio.run(measure(url, process, token, asked.readers, asked.seconds, asked.pause))


if __name__ == "__main__":
    main()
