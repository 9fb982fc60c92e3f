"""Brings a dataset up to date with the local store: load jobs into staging tables, then one MERGE a table.

What is sent is what differs (``tracking``). A publication that is cut leaves a mark, and the next one sends that table
whole; every step may be done twice. Trades, movements, markets, events and the record of runs follow every time;
positions, units and totals, which need whole tables, as often as ``Limits.models_seconds`` says, and metrics, scores,
flags, specialists and categories as often as ``Limits.metrics_seconds`` says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from polyhouse.errors import StoreInUseError
from polyhouse.warehouse.bigquery.accounting import merge_bytes, model_bytes
from polyhouse.warehouse.bigquery.client import BigQuery
from polyhouse.warehouse.bigquery.computed import COMPUTED, READS, TOUCHED, VALUES, VIEWS, model_sql, view_sql
from polyhouse.warehouse.bigquery.merge import computed_source, merge_sql
from polyhouse.warehouse.bigquery.results import result_tables
from polyhouse.warehouse.bigquery.schema import FOLLOWED, POSITIONS, Table
from polyhouse.warehouse.bigquery.tracking import Changes, Tracking

OWNER = "polyhouse_store"
"""Label of ``daily_sync_checkpoint``: the local store that the dataset follows."""
COUNT = "polyhouse_publications"
"""Label beside it: how many publications sent something. A local store that counts otherwise was restored from a backup
or lost its end, and does not know what the dataset was told."""
LITERAL_WALLETS = 5_000
"""Wallets that a statement names one by one at most."""
_SENDING, _SENT = "sending", "sent"
_MODELS = frozenset({"positions", "units", "wallet_totals"})
_log = logging.getLogger("polyhouse.bigquery")


@dataclass(frozen=True, slots=True)
class Published:
    """What happened to one table.

    Attributes:
        table: its name.
        inserted: rows.
        updated: rows; of ``units`` and ``wallet_totals`` all that BigQuery wrote or removed.
        removed: rows.
        unchanged: rows that were compared and are there as they are.
        rejected: rows with the identity of another one, which were not sent.
        loads: load jobs.
        bytes_read: what the statements on it were charged with.
        planned: what its rows amount to, without the least that BigQuery bills.
        is_incremental: only identities were read, in the partitions of what arrived.
    """

    table: str
    inserted: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    loads: int = 0
    bytes_read: int = 0
    planned: int = 0
    is_incremental: bool = False


@dataclass(slots=True)
class Publication:
    """What a publication did, table by table.

    Attributes:
        tables: what happened to each.
        with_models: whether positions, units and totals followed.
        with_results: whether metrics, scores, flags, specialists and categories did.
    """

    tables: list[Published] = field(default_factory=list)
    with_models: bool = False
    with_results: bool = False

    @property
    def bytes_read(self) -> int:
        """What all statements were charged with."""
        return sum(one.bytes_read for one in self.tables)


class Publisher:
    """Brings one dataset up to date.

    Args:
        tracking: the local side.
        remote: the dataset.
        next_version: a number above all that it gave before.
        clock: Unix seconds.
    """

    def __init__(
        self,
        tracking: Tracking,
        remote: BigQuery,
        next_version: Callable[[], int],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tracking = tracking
        self._remote = remote
        self._next_version = next_version
        self._clock = clock

    def publish(self) -> Publication:
        """Bring the dataset up to date.

        Raises:
            StoreInUseError: the dataset follows another local store.
            BudgetSpentError: the day's budget does not suffice; what was done stays, the rest goes with the next call.
            WarehouseUnavailableError: BigQuery does not answer, or a quota is used up.
        """
        self._claim()
        done = Publication()
        tracking = self._tracking
        newest = tracking.newest_build()
        tracking.stage_touched(self._mark("rows"))
        for table in FOLLOWED:
            done.tables.append(self._follow(table))
        tracking.set_mark("rows", str(newest))
        limits = self._remote.limits
        is_shown = not tracking.held() & _MODELS  # else BigQuery would compute what the loader holds back
        if newest > self._mark("models") and is_shown and self._is_due("models", limits.models_seconds):
            self._follow_models(done, newest)
        if newest > self._mark("results") and self._is_due("results", limits.metrics_seconds):
            self._follow_results(done, newest)
        if any(one.loads for one in done.tables):
            self._count(self._mark("publications") + 1)
        for one in done.tables:
            _log.info(
                "%s: %d inserted, %d updated, %d removed, %d unchanged, %d rejected, %.1f MiB read",
                one.table, one.inserted, one.updated, one.removed, one.unchanged, one.rejected, one.bytes_read / 2**20,
            )  # fmt: skip
        return done

    def _claim(self) -> None:
        """Only one local store may be followed: two would remove each other's rows. A dataset that follows nobody (it
        is new, was made anew, or its label was removed) and one that is ahead of this store are told everything."""
        ours, count, is_known = self._tracking.mark("store"), self._mark("publications"), True

        def claim(labels: dict[str, str]) -> dict[str, str]:
            nonlocal is_known
            is_known = labels.get(COUNT) == str(count) if OWNER in labels else False
            return {OWNER: ours} | labels

        owner = self._remote.change_labels(claim, tries=4)[OWNER]
        if owner != ours:
            raise StoreInUseError(
                f"The dataset {self._remote.name} follows another local store ({owner}, this one is {ours}).",
                hint=f"publish from there; to follow this one, remove label {OWNER} of the table daily_sync_checkpoint",
            )
        if not is_known:
            self._tracking.forget()
            self._count(count)

    def _count(self, count: int) -> None:
        """Say here and there how many publications sent something."""
        self._tracking.set_mark("publications", str(count))
        self._remote.change_labels(lambda labels: labels | {COUNT: str(count)}, tries=4)

    def _mark(self, name: str) -> int:
        return int(self._tracking.mark(name) or 0)

    def _is_due(self, what: str, seconds: int) -> bool:
        return seconds >= 0 and self._clock() >= self._mark(f"{what}_at") + seconds

    def _follows(self, what: str, newest: int) -> None:
        """What goes by a clock of its own has come up to a build."""
        self._tracking.set_mark(what, str(newest))
        self._tracking.set_mark(f"{what}_at", str(int(self._clock())))

    def _follow(self, table: Table) -> Published:
        """Send what differs of one table."""
        tracking, state = self._tracking, f"table {table.name}"
        is_whole = tracking.mark(state) != _SENT
        changes = tracking.compare(table, is_whole=is_whole)
        if changes.gone and not is_whole and (not table.wallet or len(changes.gone_wallets) > LITERAL_WALLETS):
            is_whole, changes = True, tracking.compare(table, is_whole=True)
        if changes.rejected:
            _log.warning("%s: %d rows have the identity of another row and are not sent", table.name, changes.rejected)
        self._remote.ensure(table)
        if changes.is_empty:
            tracking.note(table, self._next_version())
            return Published(table.name, unchanged=changes.unchanged, rejected=changes.rejected)
        if changes.gone and not is_whole:
            tracking.add_kept(table)
        staging = self._remote.ensure(table, staging=True)
        staged, loads = self._remote.load(staging, tracking.staged(table))
        only_new = not (is_whole or changes.updated or changes.gone)
        sql, tables = self._statement(table, staging, changes, is_whole=is_whole, only_new=only_new)
        there = tracking.told(table.name, changes.days if table.day and not is_whole else None)
        planned = merge_bytes(table, there, staged, only_new=only_new)
        result = self._remote.run(
            sql, tables=tables, planned=planned, on_start=lambda: tracking.set_mark(state, _SENDING)
        )
        tracking.note(table, self._next_version())
        if is_whole or result.rows == changes.new + changes.updated + changes.gone:
            tracking.set_mark(state, _SENT)
        else:
            _log.warning(
                "%s: %d rows changed in BigQuery, not %d; the next publication sends all rows", table.name, result.rows,
                changes.new + changes.updated + changes.gone,
            )  # fmt: skip
        counts = _whole_counts(staged, result.rows) if is_whole else _counts(changes)
        return Published(
            table.name, **counts, rejected=changes.rejected, loads=loads, bytes_read=result.billed, planned=planned,
            is_incremental=only_new,
        )  # fmt: skip

    def _statement(
        self, table: Table, staging: str, changes: Changes, *, is_whole: bool, only_new: bool
    ) -> tuple[str, int]:
        """The MERGE, and how many tables it names."""
        if changes.gone and not is_whole:
            names = ", ".join(f"'{wallet}'" for wallet in changes.gone_wallets)
            source = computed_source(
                table, f"SELECT * FROM {staging}", f"{table.wallet} IN ({names})", changes.gone_days
            )
            return merge_sql(table, source, days=changes.days), 3
        return merge_sql(table, staging, days=changes.days, only_new=only_new, is_whole=is_whole), 2

    def _follow_models(self, done: Publication, newest: int) -> None:
        """Positions from the loader; units and totals by BigQuery's own SQL, for the wallets that were built since."""
        tracking = self._tracking
        wallets = tracking.stage_touched(self._mark("models"))
        done.tables.append(self._follow(POSITIONS))
        for scratch in (TOUCHED, VALUES):
            self._remote.load(self._remote.ensure(scratch), tracking.scratch(scratch))
        for table in COMPUTED:
            self._remote.ensure(table)
            source = computed_source(
                table, model_sql(table.name), f"{table.wallet} IN (SELECT wallet FROM {TOUCHED.name})"
            )
            planned = model_bytes(table, self._rows(table), wallets)
            result = self._remote.run(
                merge_sql(table, source, days=None), tables=len(READS[table.name]) + 3, planned=planned
            )
            done.tables.append(Published(table.name, updated=result.rows, bytes_read=result.billed, planned=planned))
        for name in VIEWS:
            self._remote.ensure_view(name, view_sql(name, str(self._remote.name)))
        self._follows("models", newest)
        done.with_models = True

    def _follow_results(self, done: Publication, newest: int) -> None:
        """What only the loader computes, as its readers see it."""
        self._tracking.stage_touched(self._mark("results"))
        for table in result_tables(self._tracking.local):
            self._fit(table)
            done.tables.append(self._follow(table))
        self._follows("results", newest)
        done.with_results = True

    def _fit(self, table: Table) -> None:
        """Bring the dataset's columns to the local ones of today; rows with other columns are all sent again."""
        tracking, noted = self._tracking, f"columns {table.name}"
        today = " ".join(f"{name}:{kind}" for name, kind in table.columns.items())
        before = tracking.mark(noted)
        if before != today:
            tracking.set_mark(f"table {table.name}", _SENDING)
            self._remote.fit(table, [column.partition(":")[0] for column in before.split()])
            tracking.set_mark(noted, today)

    def _rows(self, table: Table) -> dict[str, int]:
        """Rows of a model and of the tables that it reads."""
        names = [table.name, *(other.name for other, _ in READS[table.name])]
        computed = {one.name for one in COMPUTED}
        return {
            name: self._tracking.local_rows(name) if name in computed else self._tracking.told(name) for name in names
        }


def _counts(changes: Changes) -> dict[str, int]:
    return {
        "inserted": changes.new, "updated": changes.updated, "removed": changes.gone, "unchanged": changes.unchanged,
    }  # fmt: skip


def _whole_counts(staged: int, affected: int) -> dict[str, int]:
    """Where everything was sent, BigQuery alone knows what it had already."""
    changed = min(affected, staged)
    return {"inserted": changed, "removed": affected - changed, "unchanged": staged - changed}
