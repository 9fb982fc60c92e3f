"""Runs the API in the process that owns the store, and tells other processes where it is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from polyhouse.collecting import seldom
from polyhouse.errors import ConfigError
from polyhouse.jobs.runner import JobRunner
from polyhouse.jobs.schedule import Schedule
from polyhouse.serve.answers import Answers
from polyhouse.serve.context import ServeContext
from polyhouse.serve.gauges import RequestCounter
from polyhouse.serve.hosts import answered_hosts
from polyhouse.settings import Settings
from polyhouse.wiring import Stores, notification_channels, notifier

_TOKEN_BYTES = 32
SWITCH_SECONDS = 0.0005
"""So long a thread may compute while others wait for the interpreter: five milliseconds, the interpreter's own choice,
would come on top of each step of an answer while documents and models are made.
"""
KEEP_ALIVE_SECONDS = 75
"""Longer than clients and proxies keep an idle connection: who closes first cuts off requests on their way."""


def serve(
    settings: Settings,
    stores: Stores,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    scheduled: bool = True,
    live: bool = False,
) -> int | None:
    """Answer requests until a signal comes; returns its number.

    Args:
        settings: for the token file's folder and the key that allows other interfaces than loopback.
        stores: open stores.
        host: interface; anything but loopback needs a key of the admin routes.
        port: 0 = any free one.
        ready: called with the URL when the port is open.
        scheduled: queue the jobs of the plans; without it only what the admin routes ask for is done.
        live: follow the live socket, beside the jobs.

    Raises:
        ConfigError: the address cannot be used, or is not loopback and no key is set; the schedule cannot be.
    """
    if not _is_loopback(host) and settings.admin_api_key is None and not stores.state.has_keys():
        raise ConfigError(
            f"serving on {host} lets other machines in",
            hint="set POLYHOUSE_ADMIN_API_KEY or `polyhouse keys create` first, or use --host 127.0.0.1",
        )
    token = secrets.token_hex(_TOKEN_BYTES)
    with _listen(host, port) as listener, _token_file(settings, token) as token_file:
        url = _local_url(listener)
        stores.warehouse.set_server_url(url, str(token_file))
        try:
            hosts = answered_hosts(settings.api_hosts, host, is_local=_is_loopback(host))
            with (
                _context(settings, stores, token, hosts, scheduled=scheduled, live=live) as context,
                seldom(),
                _working(context),
            ):
                return _loop(lambda: _run(context, listener, lambda: ready(url)))
        finally:
            stores.warehouse.set_server_url("")


@contextlib.contextmanager
def _context(
    settings: Settings, stores: Stores, token: str, hosts: frozenset[str], *, scheduled: bool, live: bool
) -> Iterator[ServeContext]:
    """Everything the routers need, with connections of its own for reading."""
    with stores.warehouse.reader() as warehouse:
        answers = Answers(Stores(warehouse, stores.state))
        try:
            jobs = JobRunner(settings, stores, is_live=live)
            yield ServeContext(settings, stores, jobs, answers, RequestCounter(), token, scheduled, hosts)
        finally:
            answers.close()


@contextlib.contextmanager
def _working(context: ServeContext) -> Iterator[None]:
    """Meanwhile work on jobs, queue those whose time has come, and tell people what is new."""
    settings = context.settings
    schedule = Schedule(settings.schedule, settings.schedule_jitter_seconds, context.stores.state, context.jobs.wake)
    channels = notification_channels(settings)
    watch = notifier(settings, context.stores, channels) if channels else None
    context.jobs.start()
    if context.is_scheduled:
        schedule.start()
    if watch:
        watch.start()
    try:
        yield
    finally:
        if watch:
            watch.stop()
        schedule.stop()
        context.jobs.stop()


def _loop(main: Callable[[], Coroutine[Any, Any, int | None]]) -> int | None:
    """Run a coroutine on the fastest event loop that there is, and answer ahead of threads that compute."""
    from uvicorn.loops.auto import auto_loop_factory

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            return runner.run(main())
    finally:
        sys.setswitchinterval(before)


async def _run(context: ServeContext, listener: socket.socket, ready: Callable[[], None]) -> int | None:
    import uvicorn

    from polyhouse.serve.app import create_app

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn would raise the signal again at the end and so skip the closing of the stores.
            yield

    config = uvicorn.Config(
        create_app(context), log_level="warning", access_log=False, proxy_headers=False,
        server_header=False, timeout_graceful_shutdown=5, timeout_keep_alive=KEEP_ALIVE_SECONDS, lifespan="off",
    )  # fmt: skip
    server = Server(config)
    received: list[int] = []

    def stop(number: int) -> None:
        server.force_exit = bool(received)
        server.should_exit = True
        context.jobs.ask_to_stop()
        received.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    ready()
    await server.serve(sockets=[listener])
    return received[0] if received else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another --port"
        ) from error
    with listener:
        # asyncio does this for the connections of listeners that it made itself; without it each answer waits 40 ms
        # for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _local_url(listener: socket.socket) -> str:
    """Where other processes of this machine reach it, also when it listens on all interfaces."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6:
        return f"http://[{'::1' if host == '::' else host}]:{port}"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound


@contextlib.contextmanager
def _token_file(settings: Settings, token: str) -> Iterator[Path]:
    """A file with the key, readable by its owner only, for as long as the server runs."""
    settings.home.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(settings.warehouse_url().encode()).hexdigest()[:12]
    path = settings.home / f"serve-{name}.token"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
