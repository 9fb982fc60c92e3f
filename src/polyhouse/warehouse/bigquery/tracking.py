"""What the dataset was told: one line per row, kept in the local store, so that only differences are sent.

A line is (table, wallet, digest of the identity, digest of the content, day). A publication compares the rows of the
wallets that were built since with these lines. The digests decide what is sent; what a row *is* in BigQuery is decided
there, by its full identity.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

from polyhouse.warehouse.bigquery.client import columns_of
from polyhouse.warehouse.bigquery.schema import Table
from polyhouse.warehouse.lexer import split_statements

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.ports import Warehouse

SLICE_ROWS = 500_000
"""Ledger rows that are compared at a time; bounds memory."""
FILE_ROWS = 500_000
"""Rows of one load job."""
MOST_BYTES = 400 << 20
"""Of what is compared, or one load job, as BigQuery counts: wide rows come in smaller numbers."""

_TABLES = """
CREATE TABLE IF NOT EXISTS bigquery_published (
    name LowCardinality(String), wallet FixedString(20), key FixedString(16), content FixedString(16), day Date,
    version UInt64, is_deleted UInt8
) ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY (name, wallet, key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS bigquery_marks (name String, value String, version UInt64)
ENGINE = ReplacingMergeTree(version) ORDER BY name SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS bigquery_touched (wallet FixedString(20), as_of DateTime('UTC'))
ENGINE = MergeTree ORDER BY wallet;
"""
_TOUCHED = "wallet IN (SELECT wallet FROM bigquery_touched)"
_CHANGES = "bigquery_changes"
_BUILT = ("wallet_totals", "wallet_coverage", "positions", "ledger", "wallet_metrics_complete", "wallet_flags")
"""Tables of which a build writes rows of all its wallets."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a table differs from what the dataset was told.

    Attributes:
        new: rows with an identity that was not told.
        updated: rows told with another content.
        gone: rows told that are no more.
        unchanged: rows told as they are.
        rejected: rows with the identity of another one; they are not sent.
        days: of all of these but the unchanged ones.
        gone_days: of the rows that are no more.
        gone_wallets: whose they were.
    """

    new: int
    updated: int
    gone: int
    unchanged: int
    rejected: int
    days: list[date]
    gone_days: list[date]
    gone_wallets: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.new or self.updated or self.gone)


class Tracking:
    """The local side of a dataset.

    Attributes:
        local: the store that computes.
    """

    def __init__(self, local: Warehouse) -> None:
        self.local = local
        for statement in split_statements(_TABLES):
            local.command(statement)
        if not self.mark("store"):
            self.set_mark("store", secrets.token_hex(8))

    def mark(self, name: str) -> str:
        """A small fact; '' = never noted."""
        sql = "SELECT value FROM bigquery_marks FINAL WHERE name = {name:String}"
        rows = self.local.query(sql, {"name": name}).rows
        return str(rows[0][0]) if rows else ""

    def set_mark(self, name: str, value: str) -> None:
        """Note a small fact."""
        self.local.command(
            "INSERT INTO bigquery_marks SELECT {name:String}, {value:String},"
            " (SELECT max(version) FROM bigquery_marks) + 1",
            {"name": name, "value": value},
        )

    def forget(self) -> None:
        """The dataset was told nothing."""
        self.local.command("TRUNCATE TABLE bigquery_published")
        self.local.command(
            "INSERT INTO bigquery_marks SELECT name, '', version + 1 FROM bigquery_marks FINAL"
            " WHERE name NOT IN ('store', 'publications')"
        )

    def newest_build(self) -> int:
        """Number of the newest build; 0 = none."""
        return int(self.local.query("SELECT max(build) FROM builds").rows[0][0])

    def held(self) -> frozenset[str]:
        """Tables that the newest build did not show readers, because a check was broken."""
        rows = self.local.query(
            "SELECT held FROM publications WHERE kind IN ('all', 'touched') ORDER BY build DESC LIMIT 1"
        ).rows
        return frozenset(rows[0][0]) if rows else frozenset()

    def stage_touched(self, since: int) -> int:
        """List the wallets that were built after the build ``since``, with the end of their windows; their number."""
        self.local.command("TRUNCATE TABLE bigquery_touched")
        if self._number(f"SELECT count() FROM publications WHERE kind = 'rollback' AND build > {since}"):
            since = 0  # what readers see became older: every wallet may differ from what was told
        # Of a table that a check held back, wallets keep their old versions: any of these may be the one.
        built = " UNION ALL ".join(f"SELECT wallet, version FROM {table} WHERE version > {since}" for table in _BUILT)
        self.local.command(
            "INSERT INTO bigquery_touched SELECT t.wallet, b.as_of FROM"
            f" (SELECT wallet, max(version) AS newest FROM ({built}) GROUP BY wallet)"
            " AS t INNER JOIN builds AS b ON b.build = t.newest"
        )
        return self._number("SELECT count() FROM bigquery_touched")

    def told(self, table: str, days: Sequence[date] | None = None) -> int:
        """How many rows of a table the dataset was told, in all or on these days; changed ones may count twice."""
        inside = "" if days is None else f" AND day IN ({', '.join(repr(str(day)) for day in days) or 'NULL'})"
        return self._number(f"SELECT count() FROM bigquery_published WHERE name = '{table}'{inside}")

    def local_rows(self, table: str) -> int:
        """Rows of a model table of the local store."""
        return self._number(f"SELECT count() FROM {table} FINAL")

    def compare(self, table: Table, *, is_whole: bool) -> Changes:
        """Find what is to be sent, and keep it until ``note``.

        Args:
            table: whose rows.
            is_whole: send all rows, of all wallets, whatever was told.
        """
        self.local.command(f"DROP TABLE IF EXISTS {_CHANGES}")
        unchanged = 0
        for place, wallets in enumerate(self._slices(table, is_whole=is_whole)):
            sql = _difference(table, wallets, is_whole=is_whole)
            head = (
                f"INSERT INTO {_CHANGES} "
                if place
                else f"CREATE TABLE {_CHANGES} ENGINE = MergeTree ORDER BY tuple() AS "
            )
            self.local.command(head + sql)
            unchanged += self._number(
                f"SELECT count() FROM bigquery_published FINAL WHERE name = '{table.name}' AND {wallets}"
            )
        new, updated, gone, rejected = self.local.query(
            f"SELECT countIf(op = 'N'), countIf(op = 'U'), countIf(op = 'D'), sum(copies_ - 1) FROM {_CHANGES}"
        ).rows[0]
        return Changes(
            int(new), int(updated), int(gone), 0 if is_whole else unchanged - int(updated) - int(gone), int(rejected),
            self._days("1"), self._days("op = 'D'"),
            self._texts(f"SELECT DISTINCT lower(concat('0x', hex(wallet_))) FROM {_CHANGES} WHERE op = 'D' ORDER BY 1"),
        )  # fmt: skip

    def add_kept(self, table: Table) -> None:
        """Add the unchanged rows of wallets and days of which rows are gone: who is left tells who is gone."""
        gone = f"FROM {_CHANGES} WHERE op = 'D'"
        source = _rows(table, f"wallet IN (SELECT wallet_ {gone})")
        self.local.command(
            f"INSERT INTO {_CHANGES} SELECT {', '.join(table.columns)}, key_, content_, wallet_, day_, copies_,"
            f" 'K' AS op FROM ({source}) WHERE day_ IN (SELECT day_ {gone})"
            f" AND key_ NOT IN (SELECT key_ FROM {_CHANGES} WHERE op != 'D')"
        )

    def staged(self, table: Table) -> Iterator[pa.Table]:
        """The rows to send with their ``op``, as files of bounded size."""
        return self._files(table, (*table.columns, "op"), f"{_CHANGES} WHERE op != 'D'")

    def scratch(self, table: Table) -> Iterator[pa.Table]:
        """All local rows of a scratch table."""
        return self._files(table, tuple(table.columns), f"({table.source})")

    def note(self, table: Table, version: int) -> None:
        """Remember that the dataset has what was sent."""
        self.local.command(
            f"INSERT INTO bigquery_published SELECT '{table.name}', wallet_, key_, content_, day_, {version}, op = 'D'"
            f" FROM {_CHANGES} WHERE op != 'K'"
        )
        self.local.command(f"DROP TABLE {_CHANGES}")

    def _files(self, table: Table, names: Sequence[str], rows: str) -> Iterator[pa.Table]:
        import pyarrow as pa

        kept: list[pa.RecordBatch] = []
        count = sent = 0
        most = _at_once(table, FILE_ROWS)
        for batch in self.local.query_columns(f"SELECT {', '.join(names)} FROM {rows}"):
            kept.append(batch)
            count += batch.num_rows
            if count >= most:
                yield _file(kept, table)
                sent, count, kept = sent + 1, 0, []
        if kept:
            yield _file(kept, table)
        elif not sent:  # a table that was filled before has to be emptied
            yield columns_of({name: pa.array([], pa.null()) for name in names}, table)

    def _slices(self, table: Table, *, is_whole: bool) -> Iterator[str]:
        """Conditions on ``wallet`` that cut the comparison into pieces."""
        if not table.wallet:
            yield "1"
            return
        scope = "1" if is_whole or table.of_all else _TOUCHED
        rows = self._number(f"SELECT count() FROM {table.counted} WHERE {scope}")
        count = min(rows // _at_once(table, SLICE_ROWS) + 1, 256)
        for low, high in pairwise([place * 256 // count for place in range(count + 1)]):
            upper = "" if high == 256 else f" AND wallet < toFixedString(unhex('{high:02x}'), 20)"
            yield f"{scope} AND wallet >= toFixedString(unhex('{low:02x}'), 20){upper}"

    def _days(self, condition: str) -> list[date]:
        sql = f"SELECT DISTINCT toString(day_) FROM {_CHANGES} WHERE {condition} ORDER BY 1"
        return [date.fromisoformat(day) for day in self._texts(sql)]

    def _texts(self, sql: str) -> list[str]:
        return [str(row[0]) for row in self.local.query(sql).rows]

    def _number(self, sql: str) -> int:
        return int(self.local.query(sql).rows[0][0])


def _at_once(table: Table, most: int) -> int:
    """Rows of a table that may be in memory together."""
    return max(min(most, MOST_BYTES // table.width()), 1)


def _file(batches: Sequence[pa.RecordBatch], table: Table) -> pa.Table:
    import pyarrow as pa

    rows = pa.Table.from_batches(batches)
    return columns_of({name: rows.column(name) for name in rows.column_names}, table)


def _rows(table: Table, wallets: str) -> str:
    """The local rows with their digests, one for each identity."""
    wallet = f"toFixedString(unhex(substring({table.wallet}, 3)), 20)" if table.wallet else "toFixedString('', 20)"
    day = f"toDate({table.day}, 'UTC')" if table.day else "toDate(0)"
    source = table.source.replace("/*wallets*/", wallets)
    return (
        "SELECT *, count() OVER (PARTITION BY key_) AS copies_ FROM"
        f" (SELECT *, sipHash128({_digested(table.key)}) AS key_,"
        f" sipHash128({_digested(tuple(table.columns))}) AS content_, {wallet} AS wallet_, {day} AS day_, 1 AS is_here"
        f" FROM ({source})) ORDER BY key_, content_ LIMIT 1 BY key_"
    )


def _digested(names: Sequence[str]) -> str:
    """What is digested: every value as text, told apart from an unknown one."""
    return ", ".join(f"ifNull(toString({name}), '\\\\N')" for name in names)


def _difference(table: Table, wallets: str, *, is_whole: bool) -> str:
    names = ", ".join(f"n.{name} AS {name}" for name in table.columns)
    known = "multiIf(NOT p.is_known, 'N', n.content_ != p.content, 'U', 'K')" if not is_whole else "'N'"
    changed = "" if is_whole else " WHERE op != 'K' OR copies_ > 1"
    return (
        f"SELECT {names}, if(n.is_here, n.key_, p.key) AS key_, n.content_ AS content_,"
        " if(n.is_here, n.wallet_, p.wallet) AS wallet_, if(n.is_here, n.day_, p.day) AS day_,"
        f" greatest(n.copies_, 1) AS copies_, if(n.is_here, {known}, 'D') AS op FROM ({_rows(table, wallets)}) AS n"
        " FULL OUTER JOIN (SELECT wallet, key, content, day, 1 AS is_known FROM bigquery_published FINAL"
        f" WHERE name = '{table.name}' AND {wallets}) AS p ON n.key_ = p.key{changed}"
    )
