"""The application of a server on an open store, asked without a network: any client address, any header, any byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from polyhouse.serve.app import create_app
from polyhouse.serve.context import ServeContext
from polyhouse.serve.runner import _context
from polyhouse.settings import load
from polyhouse.wiring import Stores, open_stores

MASTER = "a-master-key-for-tests"
TOKEN = "a-token-for-tests"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Inside:
    """An application and the loop that it runs in."""

    def __init__(self, app: FastAPI, context: ServeContext, stores: Stores, loop: asyncio.Runner) -> None:
        self.app = app
        self.context = context
        self.stores = stores
        self._loop = loop

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *,
        client: str = "198.51.100.7", host: str | None = "localhost",
    ) -> Reply:  # fmt: skip
        """One request; bytes of the path and headers travel as they are."""
        raw_path, _, query = path.partition("?")
        given = {"host": host, **(headers or {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": raw_path, "raw_path": raw_path.encode("utf-8", "surrogateescape"), "root_path": "",
            "query_string": query.encode("utf-8", "surrogateescape"), "client": (client, 40_000),
            "server": ("localhost", 8_000), "state": {},
            "headers": [(name.lower().encode(), value.encode("utf-8", "surrogateescape"))
                        for name, value in given.items() if value is not None],
        }  # fmt: skip
        return self._loop.run(asyncio.wait_for(self._asked(scope, body), 60))

    async def _asked(self, scope: dict[str, Any], body: bytes) -> Reply:
        parts: list[bytes] = []
        start: dict[str, Any] = {}
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.sleep(3_600)
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        try:
            await self.app(scope, receive, send)
        except Exception:  # noqa: BLE001 - see below
            # The framework answers and then lets the server log what happened.
            assert start.get("status") == 500
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Reply(start["status"], headers, b"".join(parts))


@contextmanager
def running_inside(home: Any, **flags: Any) -> Iterator[Inside]:
    """A migrated, empty store and the application on it; jobs are queued and nobody works on them."""
    settings = load({"home": home, "admin_api_key": MASTER, "api_rate_per_minute": 0, **flags}).settings
    with asyncio.Runner() as loop, open_stores(settings) as stores:
        hosts = frozenset({"localhost", "127.0.0.1", "::1"})
        with _context(settings, stores, TOKEN, hosts, scheduled=False, live=False) as context:
            yield Inside(create_app(context), context, stores, loop)
