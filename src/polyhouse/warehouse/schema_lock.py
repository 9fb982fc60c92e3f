"""One process at a time changes the schema of a server: a lock made of what every ClickHouse has.

Making a table that exists already fails, so of several processes that make ``schema_lock_5`` at once one succeeds. The
holder writes down that it lives; who finds that the holder has not done so for a while makes the next number. The
largest number is never dropped but by the holder of a larger one, so that numbers only grow and nobody comes back with
an old one.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from types import TracebackType
from typing import Self

from polyhouse.errors import PolyhouseError, WarehouseUnavailableError
from polyhouse.ports import Warehouse

LEASE_SECONDS = 60
"""A holder that did not give a sign of life for so long is dead."""
PATIENCE_SECONDS = 1_800
"""A living holder is waited for so long."""
_POLL_SECONDS = 0.2
_TABLE = re.compile(r"schema_lock_(\d+)")


class SchemaLock:
    """Hold the lock while the block runs.

    Args:
        warehouse: a server, and always the same one of a cluster.
        lease_seconds: see ``LEASE_SECONDS``.

    Raises:
        WarehouseUnavailableError: the server does not answer, or a living holder does not end.
    """

    def __init__(self, warehouse: Warehouse, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._warehouse = warehouse
        self._lease_seconds = lease_seconds
        self._number = 0
        self._ended = threading.Event()
        self._pulse = threading.Thread(target=self._beat, daemon=True, name="schema-lock")

    def __enter__(self) -> Self:
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._take():
            if time.monotonic() > end:
                raise WarehouseUnavailableError(
                    f"Another process has been changing the warehouse's schema for more than {PATIENCE_SECONDS} s."
                )
            time.sleep(_POLL_SECONDS)
        self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pulse.join()
        self._sign(is_done=True)

    def _take(self) -> bool:
        numbers = self._numbers()
        newest = max(numbers, default=0)
        if newest and self._is_held(newest):
            return False
        mine = newest + 1
        try:
            self._warehouse.command(
                f"CREATE TABLE schema_lock_{mine} (at DateTime('UTC'), holder String, is_done Bool) ENGINE = Memory"
            )
        except WarehouseUnavailableError:
            raise
        except PolyhouseError:
            if mine in self._numbers():
                return False
            raise
        self._number = mine
        self._sign(is_done=False)
        numbers = self._numbers()
        if max(numbers) != mine:
            self._warehouse.command(f"DROP TABLE IF EXISTS schema_lock_{mine}")
            return False
        for number in numbers - {mine}:
            self._warehouse.command(f"DROP TABLE IF EXISTS schema_lock_{number}")
        return True

    def _numbers(self) -> set[int]:
        rows = self._warehouse.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'schema_lock_')"
        ).rows
        return {int(found[1]) for (name,) in rows if (found := _TABLE.fullmatch(name))}

    def _is_held(self, number: int) -> bool:
        """Whether its holder lives and has not ended. The server's clock counts, so that ours may be wrong."""
        try:
            ((signs, age, is_done),) = self._warehouse.query(
                f"SELECT count(), toUnixTimestamp(now()) - toInt64(toUnixTimestamp(max(at))), max(is_done)"
                f" FROM schema_lock_{number}"
            ).rows
            if not signs:  # made a moment ago, or the server lost the rows of a holder with its memory
                ((age,),) = self._warehouse.query(
                    "SELECT toUnixTimestamp(now()) - toInt64(toUnixTimestamp(max(metadata_modification_time)))"
                    f" FROM system.tables WHERE database = currentDatabase() AND name = 'schema_lock_{number}'"
                ).rows
        except WarehouseUnavailableError:
            raise
        except PolyhouseError:
            return True  # a newer holder dropped it just now
        return not (signs and is_done) and int(age) < self._lease_seconds

    def _sign(self, *, is_done: bool) -> None:
        self._warehouse.command(
            f"INSERT INTO schema_lock_{self._number} SELECT now(), {{holder:String}}, {str(is_done).lower()}",
            {"holder": f"{socket.gethostname()} process {os.getpid()}"},
        )

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_seconds / 4):
            try:
                self._sign(is_done=False)
            except PolyhouseError:
                continue  # the next sign may come through; if none does, others take over
