"""Documents of the read functions for routes and pages: computed in threads of their own, kept while they are true.

A document is kept together with the marks of what it was made from (the newest build, the newest batch of the
catalogue of markets, the wallet's entry in the queue). Before every answer the marks are read anew, once for all who
ask at the same time, so no answer is older than what was committed when the request came.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from polyhouse.reads import queue
from polyhouse.reads.builds import Marks, read_marks
from polyhouse.reads.queries import answer
from polyhouse.serve.coalesce import Fresh
from polyhouse.wiring import Stores

T = TypeVar("T")
THREADS = 8
MOST_BYTES = 64 << 20
_FRESH = frozenset({"status", "sql"})
"""Documents of which no mark tells whether they are still true; they are made for every question."""
_BY_BUILD = frozenset({"leaderboard"})
"""Documents that depend on the newest build alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A document and what it was made from.

    Attributes:
        document: as the read function returned it; shared between requests, so nobody changes it.
        version: tells two states of the same document apart; "" for documents that are made for every question.
        built_at: end of the newest build, Unix seconds; 0 = none yet.
    """

    document: Mapping[str, Any]
    version: str
    built_at: int


@dataclass(slots=True)
class _Kept:
    version: str
    value: Any
    size: int


class Answers:
    """Answers of one server.

    Attributes:
        stores: what is read.

    Args:
        stores: open stores. Their warehouse must have connections of its own for reading, or a long write would make
            readers wait.
        threads: reads at the same time.
        most_bytes: of kept documents and bodies, by the length of their text; the least used ones go first.
    """

    def __init__(self, stores: Stores, *, threads: int = THREADS, most_bytes: int = MOST_BYTES) -> None:
        self.stores = stores
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._marks = Fresh(lambda: self._in_thread(lambda: read_marks(stores.warehouse)))
        self._fresh: dict[str, Fresh[Mapping[str, Any]]] = {}
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._making: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._most_bytes = most_bytes
        self._bytes = 0

    async def get(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """The document of a read function (``reads.queries.answer``), not older than this call.

        Raises:
            PolyhouseError: whatever the read raises.
        """
        if name in _FRESH:
            return Answer(await self._computed(name, arguments), "", 0)
        marks = await self._marks()
        version = await self._version(name, arguments, marks)

        async def make() -> tuple[Any, int]:
            document = await self._in_thread(lambda: self._answer(name, arguments))
            return document, len(json.dumps(document, default=str))

        document = await self.kept(_key(name, arguments), version, make)
        return Answer(document, version, marks.built_at)

    async def kept(self, key: str, version: str, make: Callable[[], Any]) -> Any:
        """What ``make`` returned for this key and version: made once, also when several ask at the same time.

        Args:
            key: names the thing.
            version: of what it is made from.
            make: coroutine function that returns the value and its size in bytes.
        """
        found = self._kept.get(key)
        if found is not None and found.version == version:
            self._kept.move_to_end(key)
            return found.value
        task = self._making.get((key, version))
        if task is None:
            task = asyncio.create_task(self._make(key, version, make))
            self._making[key, version] = task
            task.add_done_callback(lambda done: self._made(key, version, done))
        return await asyncio.shield(task)

    async def run(self, function: Callable[[], T]) -> T:
        """Run something that blocks in a thread of the readers."""
        return await self._in_thread(function)

    def close(self) -> None:
        """End the threads; reads that are under way are waited for."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _version(self, name: str, arguments: Mapping[str, Any], marks: Marks) -> str:
        if name in _BY_BUILD:
            return f"{marks.build:x}"
        version = f"{marks.build:x}.{marks.catalogue:x}"
        if name != "wallet":
            return version
        entry = await self._in_thread(lambda: queue.sync_entry(self.stores.state, str(arguments.get("address", ""))))
        return f"{version}.{_digest(entry)}"

    async def _computed(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if arguments:
            return await self._in_thread(lambda: self._answer(name, arguments))
        fresh = self._fresh.get(name)
        if fresh is None:
            fresh = self._fresh[name] = Fresh(lambda: self._in_thread(lambda: self._answer(name, {})))
        return await fresh()

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return answer(name, arguments, self.stores.warehouse, self.stores.state)

    async def _make(self, key: str, version: str, make: Callable[[], Any]) -> Any:
        value, size = await make()
        self._forget(key)
        self._kept[key] = _Kept(version, value, size)
        self._bytes += size
        while self._bytes > self._most_bytes and self._kept:
            self._forget(next(iter(self._kept)))
        return value

    def _forget(self, key: str) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= gone.size

    def _made(self, key: str, version: str, task: asyncio.Task[Any]) -> None:
        self._making.pop((key, version), None)
        if not task.cancelled():
            task.exception()  # a caller that went away leaves an error that nobody else looks at

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)


def _key(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name} {json.dumps(dict(arguments), sort_keys=True, default=str)}"


def _digest(value: Any) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]
