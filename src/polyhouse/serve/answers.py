"""Documents of the read functions for routes and pages: computed in threads of their own, kept while they are true.

What is kept stands beside the version of what it was made from (``serve.versions``). Before every answer the versions
are compared, so no answer is older than what was committed when the request came.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from polyhouse.errors import WarehouseUnavailableError
from polyhouse.reads import queue
from polyhouse.reads.builds import Marks
from polyhouse.reads.exact import encode
from polyhouse.reads.queries import answer
from polyhouse.reads.status import status_of, warehouse_figures
from polyhouse.serve.forms import Form
from polyhouse.serve.marks import Watch
from polyhouse.serve.versions import Versions
from polyhouse.wiring import Stores

T = TypeVar("T")
THREADS = (os.cpu_count() or 1) + 1
"""Documents that are made at the same time: more would only take turns on the same processors, and on the
interpreter's lock, for which those who answer from memory would wait as well.
"""
CHORES = 4
"""Threads for everything else that blocks: small questions to the state store, and whatever may take long (SQL)."""
MOST_BYTES = 64 << 20
MOST_SECONDS = 60.0
"""An answer that took longer is given up: nobody waits for ever, and no statement goes on without anybody."""
_MOST_ASKED = 20_000
_SMALLEST_GZIP = 1_024


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


@dataclass(frozen=True, slots=True)
class Body:
    """An answer in one of its forms. ``zipped`` is the same under gzip, None where that is not worth it.

    ``version`` and ``built_at`` as of ``Answer``.
    """

    media_type: str
    plain: bytes
    zipped: bytes | None
    version: str
    built_at: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was answered before, so that nobody needs to understand it again.

    Attributes:
        name: of the read function. arguments: checked.
        form: of the answer.
        key: names the answer among those that are kept.
        route: for the counters.
    """

    name: str
    arguments: Mapping[str, Any]
    form: Form
    key: str
    route: str


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
        threads: documents that are made at the same time.
        most_bytes: of kept documents and bodies, by the length of their text; the least used ones go first.
        most_seconds: of one answer, its wait for a thread included, and of each of its statements.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        threads: int = THREADS,
        most_bytes: int = MOST_BYTES,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self.stores = stores
        self._most_seconds = most_seconds
        stores.warehouse.engine.statement_seconds = most_seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._chores = ThreadPoolExecutor(CHORES, thread_name_prefix="chore")
        self._watch = Watch(stores.warehouse, self.run, self._renew_boards)
        self._versions = Versions(stores, self.run)
        self._asked: OrderedDict[Hashable, Asked] = OrderedDict()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._making: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._most_bytes = most_bytes
        self._bytes = 0

    async def get(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        """The document of a read function (``reads.queries.answer``), not older than this call.

        Raises:
            WarehouseUnavailableError: it was not made in time.
            PolyhouseError: whatever the read raises.
        """
        async with self._in_time():
            return await self._get(name, arguments)

    async def _get(self, name: str, arguments: Mapping[str, Any]) -> Answer:
        def make() -> tuple[Any, int]:
            document = self._answer(name, arguments)
            return document, len(encode(document))

        marks = await self._watch.marks()
        if name == "status":
            return Answer(await self._status(marks), "", 0)
        version = await self._versions.get(name, arguments, marks)
        key = f"{name} {_text(arguments)}"
        return Answer(await self.kept(key, version, lambda: self._in_turn(make)), version, marks.built_at)

    async def marks(self) -> Marks:
        """The marks of the store, not older than this call."""
        return await self._watch.marks()

    async def body(self, name: str, arguments: Mapping[str, Any], form: Form) -> Body:
        """The same as the bytes of an answer in one form, which are kept instead of the document. Not for ``status``,
        of which no version tells whether it is still true.

        Raises:
            WarehouseUnavailableError: it was not made in time.
            PolyhouseError: whatever the read raises.
        """
        async with self._in_time():
            return await self._body(name, arguments, form)

    async def _body(self, name: str, arguments: Mapping[str, Any], form: Form) -> Body:
        marks = await self._watch.marks()
        version = await self._versions.get(name, arguments, marks)

        def make() -> tuple[Any, int]:
            body = self._render(name, arguments, form, version, marks.built_at)
            return body, len(body.plain) + len(body.zipped or b"")

        found: Body = await self.kept(key_of(name, arguments, form), version, lambda: self._in_turn(make))
        return found

    def remember(self, question: Hashable, asked: Asked) -> None:
        """The next time somebody asks in these words, this is what is meant."""
        self._asked[question] = asked
        if len(self._asked) > _MOST_ASKED:
            self._asked.popitem(last=False)

    def known(self, question: Hashable) -> tuple[Asked, Body] | None:
        """What a question means that was asked before, and its answer, if that is kept and true; waits for nobody."""
        asked = self._asked.get(question)
        marks = self._watch.now()
        if asked is None or marks is None:
            return None
        kept = self._kept.get(asked.key)
        if kept is None or kept.version != self._versions.now(asked.name, asked.arguments, marks):
            return None
        self._kept.move_to_end(asked.key)
        return asked, kept.value

    async def kept(self, key: str, version: str, make: Callable[[], Awaitable[tuple[Any, int]]]) -> Any:
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
        """Run something that blocks in a thread, beside those who make documents."""
        return await asyncio.get_running_loop().run_in_executor(self._chores, function)

    def close(self) -> None:
        """End the threads; reads that are under way are waited for."""
        for pool in (self._chores, self._pool):  # a chore may begin a read
            pool.shutdown(wait=True, cancel_futures=True)
        self._versions.close()

    def _renew_boards(self) -> None:
        """Begin to read the boards of a new build. If that fails, whoever asks for one is told why."""
        from polyhouse.reads.leaderboard import renew_boards

        self._pool.submit(renew_boards, self.stores.warehouse)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._most_seconds):
                yield
        except TimeoutError:
            raise WarehouseUnavailableError(
                f"The answer was not made within {self._most_seconds:g} s and was given up.",
                hint="Ask for less, or later: the server has more to do than it can.",
            ) from None

    async def _in_turn(self, make: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, make)

    async def _status(self, marks: Marks) -> Mapping[str, Any]:
        def make() -> tuple[Any, int]:
            return warehouse_figures(self.stores.warehouse), 1_000

        version = self._versions.of_figures(marks)
        figures = await self.kept("status figures", version, lambda: self._in_turn(make))
        return status_of(await self.run(lambda: queue.facts(self.stores.state)), figures)

    def _render(self, name: str, arguments: Mapping[str, Any], form: Form, version: str, built_at: int) -> Body:
        plain = form.render(name, self._answer(name, arguments))
        zipped = gzip.compress(plain, 5, mtime=0) if len(plain) >= _SMALLEST_GZIP else None
        return Body(form.media_type, plain, zipped, version, built_at)

    def _answer(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return answer(name, arguments, self.stores.warehouse, self.stores.state)

    async def _make(self, key: str, version: str, make: Callable[[], Awaitable[tuple[Any, int]]]) -> Any:
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


def key_of(name: str, arguments: Mapping[str, Any], form: Form) -> str:
    """Names an answer among those that are kept."""
    return f"{form.media_type} {name} {_text(arguments)}"


def _text(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, default=str)
