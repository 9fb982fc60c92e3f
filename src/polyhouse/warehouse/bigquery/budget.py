"""What a day's statements may read: kept with the dataset, so that every machine and every restart sees the same sum.

The sum is a label of a table: reading and writing it is free and wants no more rights than loading, and a write that
another one overtook is refused by BigQuery and made again. A statement's estimate is taken out before it runs, so a
process that dies leaves too little rather than too much.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from polyhouse.errors import BudgetSpentError, ConfigError
from polyhouse.warehouse.bigquery.location import GIB

LABEL = "polyhouse_read"
_TRIES = 8


class Labels(Protocol):
    """The labels of a table of the dataset."""

    def change_labels(self, change: Callable[[dict[str, str]], dict[str, str]], *, tries: int) -> dict[str, str]:
        """Apply ``change`` to the labels, again where another writer was faster; returns what they are now."""
        ...


class DailyBudget:
    """Bytes that the statements of one day (UTC) may read.

    Args:
        labels: of the dataset.
        query_bytes: what one statement may read.
        daily_bytes: what all of a day may read.
        clock: Unix seconds.
    """

    def __init__(self, labels: Labels, query_bytes: int, daily_bytes: int, clock: Callable[[], float]) -> None:
        self._labels = labels
        self._query_bytes = query_bytes
        self._daily_bytes = daily_bytes
        self._clock = clock

    def take(self, estimate: int) -> int:
        """Take a statement's estimate out of the day's budget and return the day's sum with it.

        Raises:
            ConfigError: the statement alone is above what one may read.
            BudgetSpentError: the day's budget does not suffice; nothing was taken.
        """
        if estimate > self._query_bytes:
            raise ConfigError(
                f"This statement would read {shown(estimate)} of BigQuery; one may read {shown(self._query_bytes)}."
                " It was not run.",
                hint="filter by timestamp and name fewer columns, or raise POLYHOUSE_BIGQUERY_QUERY_BYTES",
            )
        return self._add(estimate, is_bounded=True)

    def settle(self, estimate: int, billed: int) -> None:
        """Correct a statement's estimate by what was billed for it."""
        if billed != estimate:
            self._add(billed - estimate, is_bounded=False)

    def spent(self) -> int:
        """Bytes that were taken today."""
        return self._add(0, is_bounded=False)

    def _add(self, size: int, *, is_bounded: bool) -> int:
        day = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%d")

        def change(labels: dict[str, str]) -> dict[str, str]:
            spent = read(labels.get(LABEL, ""), day)
            if is_bounded and spent + size > self._daily_bytes:
                raise BudgetSpentError(
                    f"Today's BigQuery budget does not suffice: {shown(spent)} of {shown(self._daily_bytes)} are spent"
                    f" and this statement would read {shown(size)}. It was not run.",
                    hint="it begins anew at midnight UTC; POLYHOUSE_BIGQUERY_DAILY_BYTES raises it",
                )
            return labels | {LABEL: f"{day}_{max(spent + size, 0)}"} if size else labels

        return read(self._labels.change_labels(change, tries=_TRIES).get(LABEL, ""), day)


def read(label: str, day: str) -> int:
    """The bytes that a label says were read on ``day``; another day's label says none."""
    then, _, size = label.partition("_")
    return int(size) if then == day and size.isdigit() else 0


def shown(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / (1 << 20):.2f} MiB"
