"""Counts what a run does with the rows it fetches: inserted, updated, unchanged.

A batch is compared with the store just before it is written; afterwards the engine merges versions of a row away, and
nobody could tell any more. Two kinds of rows are counted without comparing them one by one: ledger rows of a partition
that is read for the first time are new if none of its wallets has rows of that source from another run (a first load
would be slowed down by looking each of them up), rows that the source itself found repeated are unchanged.
Batches that are written a second time after a kill are counted by the run that writes them again, as what they are by
then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from polyhouse.errors import PolyhouseError
from polyhouse.ports import Warehouse
from polyhouse.sync.manifest import Delivery, merge_tables, row_count
from polyhouse.tables import Columns

REPEATED_NOTE = "repeated_rows"
"""Note of a page: rows that the source found to be as they were, and did not hand over."""

_LEDGER = "observations"
_FETCHED = {"markets": "markets_fetched", "events": "events_fetched"}
_FILLS = frozenset({"BUY", "SELL"})
_log = logging.getLogger("polyhouse.sync.census")


class Census:
    """Counts the batches of one run.

    Args:
        warehouse: what is written to.
        run: number of the run.

    Attributes:
        counts: ``rows_inserted``, ``rows_updated``, ``rows_unchanged`` over all tables; the same for the ledger alone
            (``ledger_…``); ``trades_fetched``, ``markets_fetched``, ``events_fetched``.
    """

    def __init__(self, warehouse: Warehouse, run: int) -> None:
        self._warehouse = warehouse
        self._run = run
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
        new = self._of_unread_wallets([one for one in deliveries if one.is_first_read])
        for table, columns in merge_tables([one for one in deliveries if id(one) not in new]).items():
            self._add(counts, table, columns)
        unread = [one for one in deliveries if id(one) in new]
        for table, columns in merge_tables(unread, without={_LEDGER}).items():
            self._add(counts, table, columns)
        inserted = sum(row_count(one.page.tables.get(_LEDGER, {})) for one in unread)
        counts += Counter(rows_inserted=inserted, ledger_inserted=inserted)
        for delivery in deliveries:
            repeated = delivery.page.notes.get(REPEATED_NOTE, 0)
            counts += Counter(rows_unchanged=repeated, ledger_unchanged=repeated)
            for table, columns in delivery.page.tables.items():
                if table == _LEDGER:
                    counts["trades_fetched"] += sum(map(columns.get("kind", ()).count, _FILLS))
                elif table in _FETCHED:
                    counts[_FETCHED[table]] += row_count(columns)
        return counts

    def _of_unread_wallets(self, deliveries: Sequence[Delivery]) -> set[int]:
        """``id`` of the pages whose wallets have no ledger rows of the page's source from another run."""
        wanted: dict[str, set[bytes]] = {}
        for delivery in deliveries:
            columns = delivery.page.tables.get(_LEDGER, {})
            for wallet, source in set(zip(columns.get("wallet", ()), columns.get("source", ()), strict=True)):
                wanted.setdefault(source, set()).add(wallet)
        read: set[bytes] = set()
        for source, wallets in wanted.items():
            rows = self._warehouse.query(
                """
                SELECT DISTINCT wallet FROM observations
                WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))
                  AND source = {source:String} AND run != {run:UInt64} SETTINGS max_threads = 1
                """,
                {"wallets": [wallet.hex() for wallet in wallets], "source": source, "run": self._run},
            ).rows
            read.update(bytes(row[0]) for row in rows)
        return {
            id(delivery)
            for delivery in deliveries
            if read.isdisjoint(delivery.page.tables.get(_LEDGER, {}).get("wallet", ()))
        }

    def _add(self, counts: Counter[str], table: str, columns: Columns) -> None:
        found = self._warehouse.compare(table, columns)
        for scope in ("rows", "ledger") if table == _LEDGER else ("rows",):
            counts[f"{scope}_inserted"] += found.inserted
            counts[f"{scope}_updated"] += found.updated
            counts[f"{scope}_unchanged"] += found.unchanged
