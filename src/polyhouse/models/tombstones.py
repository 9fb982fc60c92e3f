"""Rows that say of a key that it is gone: of rows of older builds that a build did not write again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from polyhouse.warehouse.streaming import BULK

if TYPE_CHECKING:
    from polyhouse.models.build import Build


class Burials:
    """Where a build has to look for rows that are gone.

    Args:
        run: the build.
    """

    def __init__(self, run: Build) -> None:
        self._run = run
        self._pending: list[tuple[str, str]] = []

    def note(self, table: str, condition: str) -> None:
        """Look at the wallets of a condition in a published table that is keyed by wallet."""
        self._pending.append((table, condition))

    def write(self, apart: Collection[str]) -> None:
        """Write tombstones, but for tables that stand apart from the rows of older builds.

        A tombstone is a key: nobody reads what else stood there. Mostly there is none, which one statement tells.
        """
        version = self._run.version
        due = [one for one in self._pending if one[0] not in apart]
        self._pending = [one for one in self._pending if one[0] in apart]
        gone = [
            f"FROM {self._run.place_of(table)} FINAL WHERE {condition} AND version < {version}"
            for table, condition in due
        ]
        for number in self._found(gone):
            table = due[number][0]
            self._run.warehouse.command(
                f"INSERT INTO {self._run.place_of(table)} ({self._key(table)}, version, is_deleted)"
                f" SELECT {self._key(table)}, {version}, 1 {gone[number]}"
            )

    def _found(self, rows: Sequence[str]) -> list[int]:
        """Which of these have any row."""
        if not rows:
            return []
        looks = (f"SELECT {number} FROM (SELECT 1 {one} LIMIT 1)" for number, one in enumerate(rows))
        # Threads that share the rows of few wallets cost more than they save.
        sql = f"{' UNION ALL '.join(looks)} {BULK}, max_threads = 1"
        return [int(number) for (number,) in self._run.warehouse.query(sql).rows]

    def _key(self, table: str) -> str:
        return self._run.stored.key(table)
