"""Counts what a run does with the rows it fetches: inserted, updated, unchanged.

A batch is compared with the store just before it is written; afterwards the engine merges versions of a row away, and
nobody could tell any more. Two kinds of rows are counted without asking: rows of a ledger or feed that was never read
before are new (asking would double the work of a first load), rows that the source itself found repeated are unchanged.
Batches that are written a second time after a kill are counted by the run that writes them again, as what they are by
then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from polyhouse.errors import PolyhouseError
from polyhouse.ports import Comparison
from polyhouse.sync.manifest import Delivery, merge_tables, row_count
from polyhouse.tables import Columns

REPEATED_NOTE = "repeated_rows"
"""Note of a page: rows that the source found to be as they were, and did not hand over."""

_LEDGER = "observations"
_FETCHED = {"markets": "markets_fetched", "events": "events_fetched"}
_FILLS = frozenset({"BUY", "SELL"})
_log = logging.getLogger("polyhouse.sync.census")


class Census:
    """Counts batches.

    Args:
        compare: ``Warehouse.compare``.

    Attributes:
        counts: ``rows_inserted``, ``rows_updated``, ``rows_unchanged`` over all tables; the same for the ledger alone
            (``ledger_…``); ``trades_fetched``, ``markets_fetched``, ``events_fetched``.
    """

    def __init__(self, compare: Callable[[str, Columns], Comparison]) -> None:
        self._compare = compare
        self.counts: Counter[str] = Counter()

    def measure(self, deliveries: Sequence[Delivery]) -> Counter[str]:
        """The counts of one batch, to be added once it is committed. Runs in the writer's thread, before it writes."""
        try:
            return self._count(deliveries)
        except PolyhouseError as error:
            # Counting must not stop the work; a run that could not count says so.
            _log.warning("a batch was not counted: %s", error)
            return Counter(batches_uncounted=1)

    def _count(self, deliveries: Sequence[Delivery]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for table, columns in merge_tables([one for one in deliveries if not one.is_first_read]).items():
            self._add(counts, table, columns)
        for table, columns in merge_tables([one for one in deliveries if one.is_first_read]).items():
            if table == _LEDGER:
                counts += Counter(rows_inserted=row_count(columns), ledger_inserted=row_count(columns))
            else:
                self._add(counts, table, columns)
        for delivery in deliveries:
            repeated = delivery.page.notes.get(REPEATED_NOTE, 0)
            counts += Counter(rows_unchanged=repeated, ledger_unchanged=repeated)
            for table, columns in delivery.page.tables.items():
                if table == _LEDGER:
                    counts["trades_fetched"] += sum(kind in _FILLS for kind in columns.get("kind", ()))
                elif table in _FETCHED:
                    counts[_FETCHED[table]] += row_count(columns)
        return counts

    def _add(self, counts: Counter[str], table: str, columns: Columns) -> None:
        found = self._compare(table, columns)
        for scope in ("rows", "ledger") if table == _LEDGER else ("rows",):
            counts[f"{scope}_inserted"] += found.inserted
            counts[f"{scope}_updated"] += found.updated
            counts[f"{scope}_unchanged"] += found.unchanged
