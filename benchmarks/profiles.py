"""Where the time of each hot path goes: ``python -m benchmarks.profiles``.

Every 5 ms a thread of its own looks at what all threads do; the processor time since the last look is shared out among
those that do something. A sample counts for the innermost function of ours on the stack that does not only pass a
statement on, with the library it called. The share is of this process alone; statements run in threads of the engine
and count for the function that asked.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import polyhouse
from benchmarks.measure import in_fresh_process

_PAUSE = 0.005
_SHOWN = 5
_OURS = str(Path(polyhouse.__file__).parent)
_WAITING = {
    ("selectors.py", "select"), ("threading.py", "wait"), ("threading.py", "_wait_for_tstate_lock"),
    ("queue.py", "get"), ("thread.py", "_worker"), ("connection.py", "wait"), ("popen_fork.py", "poll"),
}  # fmt: skip
_PASSED_OVER = {
    "", "warehouse.store", "warehouse.engine", "warehouse.streaming", "warehouse.patience", "warehouse.memory",
    "state.database", "state.patience", "models.build",
}  # fmt: skip
"""Modules that pass statements on: what counts is who asked. Libraries have no name."""
_LIMITS = {
    "REST ingest": "Python per page and per row: about 70 rows a page share one request, one checkpoint, one task",
    "rebuild": "numbers written: 87 a fill, at 20-35 ns each, before any computing",
    "wallet document": "planning of one statement of three parts: what builds left ready, rows and end of the feeds",
    "leaderboard page": "ranking columns in memory; the first page after a build reads them once",
    "import of a dump": "the engine parses, hashes and stores; Python only sends the statements",
    "chain decode": "cutting hex into words: bytes of a log, not calls",
}  # fmt: skip
"""What keeps each path from being faster."""


class Sampler:
    """Adds up processor seconds by function of ours."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        before = time.process_time()
        while not self._done.wait(_PAUSE):
            now = time.process_time()
            threads = sys._current_frames()  # noqa: SLF001 - a documented function of the library
            own = self._thread.ident
            busy = [frame for thread, frame in threads.items() if thread != own and not _waits(frame)]
            for frame in busy:
                self.seconds[_name(frame)] += (now - before) / len(busy)
            before = now


def _waits(frame: FrameType) -> bool:
    return (Path(frame.f_code.co_filename).name, frame.f_code.co_name) in _WAITING


def _name(frame: FrameType) -> str:
    """``module.function`` of the innermost function of ours, and the library that it is in."""
    library = _library(frame)
    inner: FrameType | None = frame
    while inner is not None and _module(inner) in _PASSED_OVER:
        if inner.f_code.co_name == "<module>":
            return "(imports)"
        inner = inner.f_back
    if inner is None:
        return f"({library or 'interpreter'})"
    name = inner.f_code.co_qualname
    if name == "<module>":
        return "(imports)"
    return f"{_module(inner)}.{name.replace('.<locals>', '')}" + (f" → {library}" if library else "")


def _module(frame: FrameType) -> str:
    """Name of a module of ours, without the package; '' for others."""
    path = frame.f_code.co_filename
    return path.removeprefix(_OURS).strip("/").removesuffix(".py").replace("/", ".") if path.startswith(_OURS) else ""


def _library(frame: FrameType) -> str:
    path = frame.f_code.co_filename
    if path.startswith(_OURS):
        return ""
    return path.rpartition("site-packages/")[2].split("/")[0] if "site-packages/" in path else Path(path).stem


def run() -> Iterator[tuple[str, str, str]]:
    """Rows of the result table: hot path and function, share of its processor time, what limits the path."""
    for path, job in _PATHS.items():
        seconds = in_fresh_process(job)
        total = sum(seconds.values())
        yield f"profile: {path}", f"{total:.1f} s CPU sampled", f"limit: {_LIMITS[path]}"
        for name, spent in Counter(seconds).most_common(_SHOWN):
            yield f"  {name}", f"{spent / total:.0%}", ""


def _ingest() -> Counter[str]:
    from benchmarks.ingest import prepared, sync

    with prepared(800) as (settings, stores, addresses, _url), Sampler() as sampler:
        asyncio.run(sync(settings, stores, addresses))
    return sampler.seconds


def _rebuild() -> Counter[str]:
    from benchmarks.rebuild import fill
    from polyhouse.models.runner import build
    from polyhouse.warehouse import open_warehouse

    with tempfile.TemporaryDirectory() as folder:
        store = f"chdb://{folder}/warehouse"
        in_fresh_process(fill, store, 300_000)
        with open_warehouse(store) as warehouse:
            build(warehouse)
            with Sampler() as sampler:
                build(warehouse)
    return sampler.seconds


@contextmanager
def _reading() -> Iterator[tuple[object, object]]:
    from benchmarks.reads_store import reads_store

    with tempfile.TemporaryDirectory() as folder, reads_store(Path(folder), 200_000) as found:
        yield found


def _wallet() -> Counter[str]:
    from benchmarks.reads import _documents

    with _reading() as (warehouse, wallets):
        _documents(warehouse, wallets, 5)
        with Sampler() as sampler:
            _documents(warehouse, wallets, 100)
    return sampler.seconds


def _leaderboard() -> Counter[str]:
    import random

    from benchmarks.reads import _questions
    from polyhouse.reads.leaderboard import leaderboard

    with _reading() as (warehouse, _):
        for query in _questions(random.Random(1), 200):
            leaderboard(warehouse, query)
        with Sampler() as sampler:
            for query in _questions(random.Random(1), 200):
                leaderboard(warehouse, query)
    return sampler.seconds


def _dump() -> Counter[str]:
    from benchmarks.import_dump import _import, write_dump

    with tempfile.TemporaryDirectory() as folder:
        in_fresh_process(write_dump, Path(folder), 300_000)
        with Sampler() as sampler:
            _import(Path(folder), "all.csv")
    return sampler.seconds


def _chain() -> Counter[str]:
    from benchmarks.decode import _decode

    with Sampler() as sampler:
        _decode(60_000)
    return Counter({name: spent for name, spent in sampler.seconds.items() if not name.startswith("(")})


_PATHS = {
    "REST ingest": _ingest, "rebuild": _rebuild, "wallet document": _wallet, "leaderboard page": _leaderboard,
    "import of a dump": _dump, "chain decode": _chain,
}  # fmt: skip


if __name__ == "__main__":
    for line in run():
        print("{:<84} {:<22} {}".format(*line), flush=True)
