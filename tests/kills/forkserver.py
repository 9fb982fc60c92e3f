"""Starts the product's commands as children that have its modules imported already, and kills them on time.

A command costs a second of imports before its first statement; a child forked here begins with it. The embedded engine
is not imported: its threads would not survive the fork. One JSON document a line on standard input, one answer a line:

``{"args": [...], "env": {...}, "log": "file", "failpoint": "K8:3", "kill_after": seconds, "stop_after": seconds}``
runs a command; ``"count": "file"`` beside it counts how often it reaches each kill point.
``{"call": "function", "with": {...}, …}`` calls a function of ``storelook`` instead. The answer is
``{"code": exit code or negative signal, "seconds": …, "cpu": …}``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

WARM = (
    "aiohttp", "alembic.command", "clickhouse_connect", "numba", "numpy", "pandas", "psycopg", "pyarrow.compute",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "polyhouse.cli.admin", "polyhouse.cli.app",
    "polyhouse.cli.build", "polyhouse.cli.chain", "polyhouse.cli.importing", "polyhouse.cli.jobs",
    "polyhouse.cli.moving", "polyhouse.cli.publishing", "polyhouse.cli.sync", "polyhouse.models.runner",
    "polyhouse.move.backup", "polyhouse.move.restore", "polyhouse.publishing", "polyhouse.sources.http",
    "polyhouse.state", "polyhouse.sync.chain", "polyhouse.sync.engine", "polyhouse.wiring",
)  # fmt: skip


class Counting(str):
    """Stands for the chosen kill point and is none: counts the names that are compared with it."""

    __slots__ = ()
    seen: ClassVar[Counter[str]] = Counter()
    __hash__ = str.__hash__

    def __ne__(self, other: object) -> bool:
        Counting.seen[str(other)] += 1
        return True


def warm_up() -> None:
    """Import everything that commands import, but for what begins threads that matter."""
    import importlib

    for name in WARM:
        importlib.import_module(name)


def run_child(order: dict[str, Any]) -> int:
    """What the child does; returns its exit code."""
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order.get("env", {}))
    if "call" in order:
        import storelook

        return int(getattr(storelook, order["call"])(**order["with"]) or 0)
    if order.get("claims"):
        import storelook

        if storelook.claims_without_data(os.environ["POLYHOUSE_HOME"]):
            return storelook.CLAIMS_TOO_MUCH
    from polyhouse import failpoints
    from polyhouse.cli.app import run_command_line

    failpoints.arm(order.get("failpoint", ""))
    if "count" in order:
        failpoints._target = Counting()
    code = run_command_line(order["args"])
    if "count" in order:
        Path(order["count"]).write_text(json.dumps(Counting.seen))
    return code


def watch(pid: int, order: dict[str, Any]) -> None:
    """Send the signals of the order at their moments, until the child has ended."""
    begun = time.monotonic()
    moments = [("stop_after", signal.SIGTERM), ("kill_after", signal.SIGKILL)]
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        for name, number in moments:
            if order.get(name) is None:
                continue
            rest = begun + order[name] - time.monotonic()
            if poll.poll(max(rest, 0) * 1_000):
                return
            signal.pidfd_send_signal(handle, number)
        poll.poll()
    finally:
        os.close(handle)


def serve() -> None:
    """Answer orders until standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = run_child(order)
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:  # noqa: BLE001 - a child must never come back into the loop
                import traceback

                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)
        watch(pid, order)
        _, status, used = os.wait4(pid, 0)
        answer = {
            "code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - started,
            "cpu": used.ru_utime + used.ru_stime,
        }  # fmt: skip
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # One thread of NumPy's own is one more that a fork loses.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    warm_up()
    serve()
