"""Readers of the HTTP API while a sync writes: ``python -m benchmarks.api [--readers N] [--seconds S] [--scale X]``.

A server of its own on a simulated Polymarket, whose wallets are synced and built again without a pause. The load: each
of 200 readers asks for a page, reads it for a while, asks for the next one. Times between pages are random with the
given mean: one second where everybody asks for the same few pages (200 a second), ten seconds where every page is one
that nobody asked for before (20 a second). Pages are leaderboards, wallets and the status. Readers live in a process
of their own, the simulator in another one; all of them share the processors.

First, without load and without a sync: the processor time that an answer costs the server, asked by one client on one
connection (the figures to compare between machines). Then, per pass, latencies as readers saw them, for three kinds of
answers. *cached*: this version of the page had been answered before the request was sent; *uncached*: it had not,
because nobody had asked or a commit had changed it; *status*: always made anew. Also errors, the server's processor
time, and reads that were older than what was committed before they were sent (the build that they show is below one
that had been seen before).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
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
from benchmarks.measure import in_fresh_process
from polyhouse.cli.simulation import simulated_polymarket

KEY = {"X-API-Key": "benchmark"}
STATUS = "/api/status"
BOARD = "/api/leaderboard?min_units=0&min_gains_losses=0"


@dataclass
class Pass:
    """What readers saw."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: {"cached": [], "uncached": [], "status": []})
    errors: list[str] = field(default_factory=list)
    reads: list[tuple[float, int]] = field(default_factory=list)  # when it was sent, build that it showed
    commits: list[tuple[float, int]] = field(default_factory=list)  # when a build was known to be there
    known: dict[tuple[str, str], float] = field(default_factory=dict)  # page and version: when it was there first

    def note(self, page: str, tag: str, begun: float, ended: float) -> None:
        """One answer."""
        if page == STATUS:
            kind = "status"
        else:
            kind = "cached" if self.known.setdefault((page, tag), ended) <= begun else "uncached"
            self.reads.append((begun, int(tag.split("-")[1].split(".", maxsplit=1)[0], 16)))
        self.latencies[kind].append(ended - begun)

    def too_old(self) -> int:
        """Reads that showed less than what had been committed before they were sent."""
        return sum(
            1 for begun, build in self.reads if build < max((b for at, b in self.commits if at <= begun), default=0)
        )


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
        return [*boards, *(f"/api/wallets/{wallet}" for wallet in wallets[:4]), STATUS]
    boards = [f"/api/leaderboard?min_units=0&min_gains_losses={number}" for number in range(2_000)]
    people = [f"/api/wallets/{wallet}?window={window}" for window in ("1d", "7d", "30d", "90d") for wallet in wallets]
    return [
        page for group in zip(boards, itertools.cycle(people), itertools.repeat(STATUS), strict=False) for page in group
    ]


async def reader(
    session: aiohttp.ClientSession, asked: Iterator[str], pause: float, until: float, seen: Pass, dice: random.Random
) -> None:
    """One client: read for a while, ask for the next page."""
    while True:
        await asyncio.sleep(dice.expovariate(1 / pause))
        if time.monotonic() >= until:
            return
        page = next(asked)
        begun = time.monotonic()
        try:
            async with session.get(page) as answer:
                await answer.read()
                if answer.status != 200:
                    seen.errors.append(f"{page}: {answer.status}")
                    continue
        except (aiohttp.ClientError, TimeoutError) as error:
            seen.errors.append(f"{page}: {error!r}")
            continue
        seen.note(page, answer.headers.get("ETag", ""), begun, time.monotonic())


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


async def measured_pass(url: str, pid: int, token: str, readers: int, seconds: float, pause: float, *, kept: bool):
    """One pass; returns its row."""
    process = psutil.Process(pid)
    connector = aiohttp.TCPConnector(limit=readers + 20)
    async with aiohttp.ClientSession(url, connector=connector, headers={"Accept-Encoding": "gzip"}) as session:
        asked = itertools.cycle(await pages(session, kept=kept))
        seen, dice = Pass(), random.Random(1)
        until = time.monotonic() + seconds
        before = process.cpu_times()
        tasks = [reader(session, asked, pause, until, seen, dice) for _ in range(readers)]
        jobs, *_ = await asyncio.gather(writing(session, until), watch(session, token, until, seen), *tasks)
        after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return {
        "pass": "the same few pages" if kept else "new pages", "readers": readers, "mean_pause_seconds": pause,
        "errors": len(seen.errors), "first_errors": seen.errors[:3], "reads_too_old": seen.too_old(),
        "sync_jobs": jobs, "server_cpu_seconds": round(used, 1),
        **{kind: figures(times) for kind, times in seen.latencies.items()},
    }  # fmt: skip


def figures(times: list[float]) -> dict[str, float]:
    """How many, and percentiles in milliseconds."""
    ordered = sorted(times)
    found = {"count": len(ordered)}
    if ordered:
        found |= {
            f"p{share}_ms": round(ordered[min(len(ordered) * share // 100, len(ordered) - 1)] * 1e3, 1)
            for share in (50, 90, 99)
        } | {"max_ms": round(ordered[-1] * 1e3, 1)}
    return found


def run_pass(url: str, pid: int, token: str, readers: int, seconds: float, pause: float, kept: bool):
    """One pass in a process of its own."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measured_pass(url, pid, token, readers, seconds, pause, kept=kept))


async def fill(url: str) -> str:
    """Read the simulated universe."""
    async with aiohttp.ClientSession(url) as session:
        return await job(session, "/api/admin/ingest", {"action": "full"})


async def costs(url: str, process: psutil.Process) -> dict[str, float]:
    """Milliseconds of the server's processor time per answer, by kind."""
    found = {}
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=1)) as session:
        new = await pages(session, kept=False)
        kinds = {
            "kept leaderboard": [BOARD] * 2_000, "kept wallet": [new[1]] * 2_000, "status": [STATUS] * 100,
            "new leaderboard": new[3::3][:200], "new wallet": new[4::3][:100],
        }  # fmt: skip
        for kind, asked in kinds.items():
            async with session.get(asked[0]) as answer:  # from now on a page that is asked for again is kept
                await answer.read()
            before = process.cpu_times()
            for page in asked[1:]:
                async with session.get(page) as answer:
                    await answer.read()
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            found[kind] = round(used / (len(asked) - 1) * 1e3, 2)
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="benchmarks.api")
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between the same few pages")
    parser.add_argument("--new-pause", type=float, default=10.0, help="mean seconds between new pages")
    parser.add_argument("--wallets", type=int, default=40)
    parser.add_argument("--scale", type=float, default=1.0, help="of the published limits, by which the sync reads")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polyhouse-api-")))
        upstream = stack.enter_context(simulated_polymarket(7, asked.wallets, asked.scale))
        urls = {"GAMMA_URL": upstream.gamma_url, "CLOB_URL": upstream.clob_url, "DATA_URL": upstream.data_url}
        url, process = stack.enter_context(server(home, urls | {"RATE_SCALE": str(asked.scale)}))
        (token_file,) = home.glob("serve-*.token")
        token = token_file.read_text()
        print(f"filled: {asyncio.run(fill(url))}", flush=True)
        print(f"milliseconds of CPU an answer: {json.dumps(asyncio.run(costs(url, process)))}", flush=True)
        for kept, pause in ((True, asked.pause), (False, asked.new_pause)):
            row = in_fresh_process(run_pass, url, process.pid, token, asked.readers, asked.seconds, pause, kept)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
