"""Rows of files into the warehouse, below every live row: bulk orderFilled rows by SQL, others by ``write_file_rows``.

Precedence. A file is older than the feed that it was saved from, and it knows less: no place inside a second, labels
that came later. So imported rows carry versions that no live row can have (live ones are microseconds of the clock),
and a live row with the same natural key is read, whichever came first. Among imported observations the one that tells
more wins (``TOLD``), so that the order of imports does not matter either; of other tables the later import wins.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from polyhouse.errors import PolyhouseError, RetryableError
from polyhouse.tables import BY_NAME, OBSERVATIONS, Columns
from polyhouse.warehouse.batches import to_arrow
from polyhouse.warehouse.bulk_keys import RowNumbers
from polyhouse.warehouse.bulk_sql import REASONS, ROWS_TABLE, parse_sql

if TYPE_CHECKING:
    import pyarrow as pa

    from polyhouse.warehouse.store import ClickHouseWarehouse

TOLD = (
    "1 + (condition != '') + 2 * (outcome != 999) + 4 * (role != '') + 8 * (order_hash != toFixedString('', 32))"
    " + 16 * (pos > 0)"
)
"""Version of an imported observation: 1 to 32, by what it tells beyond its key."""

_IGNORED = REASONS.index("zero_fill")
# Measured on 264 MB of CSV: small engine blocks cost 15 % more, a merge of equal keys at insert doubles its price.
_SETTINGS = "max_threads = 1, max_block_size = 65409, preferred_block_size_bytes = 100000000, optimize_on_insert = 0"
_KEY = "sipHash64(CAST(kind, 'String'), '', shares, cash, toInt64(0), '', ordinal)"
"""``observations.row_key`` of these rows, whose block, price and label are empty; it is given, since the engine takes
0.3 µs a row longer for the general case."""
_HELD_PIECES = 64
"""The parts of so many pieces wait for the end of the file to be merged: each merge before it handles rows that a later
one handles again, at 2 µs a row, and takes memory beside the insert. Readers bear so many parts well."""
_CSV = (
    "input_format_csv_trim_whitespaces = 0, input_format_csv_detect_header = 0, format_csv_allow_single_quotes = 0,"
    " input_format_allow_errors_num = 0"
)


def write_file_rows(warehouse: ClickHouseWarehouse, table: str, columns: Columns, *, run: int) -> int:
    """Write rows that came from a file; see the module for what they give way to. Returns their number.

    Raises:
        BadInputError: a value that its column cannot hold.
        WarehouseUnavailableError: the engine did not acknowledge.
    """
    import pyarrow as pa

    declared = BY_NAME[table]
    batch = to_arrow(declared, columns, run=run)
    if table == OBSERVATIONS.name:
        versions = _told(columns, batch.num_rows)
    else:
        versions = [time.time_ns() // 1_000_000] * batch.num_rows
    column = pa.array(versions, pa.uint64())
    warehouse.insert_arrow(table, batch.append_column(pa.field("version", pa.uint64(), nullable=False), column))
    return int(batch.num_rows)


def _told(columns: Columns, rows: int) -> list[int]:
    """``TOLD`` for rows in columns."""
    nothing: Mapping[str, Any] = OBSERVATIONS.defaults
    telling = (("condition", 1), ("outcome", 2), ("role", 4), ("order_hash", 8), ("pos", 16))
    versions = [1] * rows
    for name, worth in telling:
        for row, value in enumerate(columns.get(name, ())):
            if value != nothing[name]:
                versions[row] += worth
    return versions


@dataclass(slots=True)
class ChunkReport:
    """What became of one chunk. rows = new + repeated + ignored + rejected.

    ``new``: natural keys that the store did not have; ``bad``: (line, reason word) of refused rows, in file order;
    ``wallets``: of all rows that were written.
    """

    rows: int = 0
    new: int = 0
    repeated: int = 0
    ignored: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    wallets: list[bytes] = field(default_factory=list)


class OrdersImport:
    """One orderFilled file on its way through the engine. Use as a context manager.

    Args:
        warehouse: the open warehouse.
        header: names of the file's columns.
        layout: our column → its place in the header.
        run: id of the run.
        now: latest Unix second that a row may have.
    """

    def __init__(
        self, warehouse: ClickHouseWarehouse, header: Sequence[str], layout: Mapping[str, int], *, run: int, now: int
    ) -> None:
        self._warehouse = warehouse
        self._run = run
        self._now = now
        self._fields = [f"f{place}" for place in range(len(header))]
        self._columns = {name: f"f{place}" for name, place in layout.items()}
        self._names = {name: header[place] for name, place in layout.items()}
        self._numbers = RowNumbers()
        self._held = False
        self._pieces = 0
        self._file: IO[bytes] | None = None
        self._raw, self._rows, self._marks, self._known = (
            f"import_{name}_{run}" for name in ("raw", "rows", "marks", "known")
        )

    def __enter__(self) -> Self:
        self._drop()
        raw = ", ".join(f"{name} String" for name in self._fields)
        command = self._warehouse.command
        command(f"CREATE TABLE {self._raw} (given_line UInt64 DEFAULT 0, {raw}) ENGINE = Memory")
        command(ROWS_TABLE.format(rows=self._rows))
        command(f"CREATE TABLE {self._marks} (line UInt64, ordinal UInt16, again Bool) ENGINE = Memory")
        command(
            f"CREATE TABLE {self._known} (wallet FixedString(20), token FixedString(32), ts UInt32,"
            " tx FixedString(32), source LowCardinality(String), row_key UInt64, known_version UInt64) ENGINE = Memory"
        )
        return self

    def _hold_merges(self, hold: bool) -> None:
        """Let the engine merge parts of observations, or not. A server does it by itself and for others too."""
        if hold != self._held and self._warehouse.is_embedded:
            self._warehouse.command(f"SYSTEM {'STOP' if hold else 'START'} MERGES observations")
            self._held = hold

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._numbers.close()
        if self._file is not None:
            self._file.close()
        self._drop()

    def stage_csv(self, data: bytes | bytearray, lines: int) -> bool:
        """Let the engine read lines of comma-separated text; False if it cannot read each of them as one row."""
        if not self._warehouse.is_embedded:
            return False
        structure = ", ".join(f"{name} String" for name in self._fields)
        try:
            self._warehouse.command(
                f"INSERT INTO {self._raw} ({', '.join(self._fields)}) SELECT * FROM file('{self._write_piece(data)}',"
                f" 'CSV', '{structure}') SETTINGS {_SETTINGS}, {_CSV}"
            )
        except RetryableError:
            raise
        except PolyhouseError:
            staged = -1
        else:
            staged = int(self._warehouse.query(f"SELECT count() FROM {self._raw}").rows[0][0])
        if staged == lines:
            return True
        self._warehouse.command(f"TRUNCATE TABLE {self._raw}")
        return False

    def _write_piece(self, data: bytes | bytearray) -> str:
        """Put a piece on disk for the engine, over the one before (its pages are there already); the path."""
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(suffix=".csv")  # noqa: SIM115 - closed with the import
        self._file.seek(0)
        self._file.write(data)
        self._file.truncate()
        self._file.flush()
        return self._file.name

    def stage_rows(self, lines: Sequence[int], columns: Sequence[Any]) -> None:
        """Stage rows given as one list (or Arrow array) of texts per column of the header, with their lines."""
        import pyarrow as pa

        arrays = [pa.array(lines, pa.uint64()), *(pa.array(values, pa.string()) for values in columns)]
        self._warehouse.insert_arrow(self._raw, pa.table(arrays, names=["given_line", *self._fields]))

    def load(self, first_line: int, *, checked: bool) -> ChunkReport:
        """Judge the staged rows, store the good ones that the store does not have, and forget them all.

        Args:
            first_line: line of the first staged row, where rows were staged without lines.
            checked: see ``parse_sql``.
        """
        command = self._warehouse.command
        report = self._parse(first_line, checked=checked)
        if checked and report.bad:
            # The x that a broken id lacks may stand inside another one: only if all rows are good, each x is in place.
            command(f"TRUNCATE TABLE {self._rows}")
            report = self._parse(first_line, checked=False)
        command(f"TRUNCATE TABLE {self._raw}")
        digest, marked = self._mark(report)
        if digest:
            self._store(report, digest, marked=marked)
        for table in (self._rows, self._marks, self._known):
            command(f"TRUNCATE TABLE {table}")
        return report

    def _parse(self, first_line: int, *, checked: bool) -> ChunkReport:
        sql = parse_sql(self._raw, self._columns, self._names, checked=checked)
        values = {"first": first_line, "limit": self._now}
        self._warehouse.command(f"INSERT INTO {self._rows} {sql} SETTINGS {_SETTINGS}", values)
        rows, ignored, bad = self._warehouse.query(
            f"SELECT count(), countIf(reason = {_IGNORED}), countIf(reason NOT IN (0, {_IGNORED})) FROM {self._rows}"
        ).rows[0]
        report = ChunkReport(rows=int(rows), ignored=int(ignored))
        if bad:
            found = self._warehouse.query(
                f"SELECT line, reason FROM {self._rows} WHERE reason NOT IN (0, {_IGNORED}) ORDER BY line"
            )
            report.bad = [(int(line), REASONS[int(reason)]) for line, reason in found.rows]
        return report

    def _mark(self, report: ChunkReport) -> tuple[str, bool]:
        """Write the ordinals of repeated rows; (digest of all good rows or "", whether there are marks)."""
        import numpy as np

        batches = list(
            self._warehouse.query_columns(
                f"SELECT line, content, log FROM {self._rows} WHERE reason = 0 SETTINGS max_threads = 1"
            )
        )
        if not batches:
            return "", False
        # The buffers themselves: pyarrow's own way to numpy imports pandas, a second of CPU.
        line, content, log = (
            np.concatenate([np.frombuffer(one.buffers()[1], np.uint64, len(one), 8 * one.offset) for one in columns])
            for columns in zip(*(batch.columns for batch in batches), strict=True)
        )
        ordinals, again = self._numbers.number(content, log)
        report.repeated = len(again)
        if ordinals or again:
            self._insert_marks(
                [*line[list(ordinals)].tolist(), *line[again].tolist()],
                [*ordinals.values(), *(0 for _ in again)],
                [*(False for _ in ordinals), *(True for _ in again)],
            )
        return hashlib.sha256(content.tobytes() + line.tobytes()).hexdigest(), bool(ordinals or again)

    def _insert_marks(self, lines: list[int], ordinals: list[int], again: list[bool]) -> None:
        import pyarrow as pa

        columns: dict[str, pa.Array] = {
            "line": pa.array(lines, pa.uint64()),
            "ordinal": pa.array(ordinals, pa.uint16()),
            "again": pa.array(again, pa.bool_()),
        }
        self._warehouse.insert_arrow(self._marks, pa.table(columns))

    def _store(self, report: ChunkReport, digest: str, *, marked: bool) -> None:
        command, query = self._warehouse.command, self._warehouse.query
        rows = f"(SELECT *, toUInt16(0) AS ordinal FROM {self._rows} WHERE reason = 0)"
        if marked:
            rows = (
                f"(SELECT r.*, m.ordinal AS ordinal FROM {self._rows} AS r LEFT JOIN {self._marks} AS m"
                " ON r.line = m.line WHERE r.reason = 0 AND NOT m.again)"
            )
        times, known = self._find_known(rows)
        candidates = f"SELECT *, toUInt64(0) AS known_version FROM {rows}"
        if known:
            candidates = (
                f"SELECT k.*, o.known_version AS known_version FROM (SELECT *, {_KEY} AS row_key FROM {rows}) AS k"
                f" LEFT JOIN {self._known} AS o ON k.wallet = o.wallet AND k.token = o.token AND k.ts = o.ts"
                " AND k.tx = o.tx AND k.source = o.source AND k.row_key = o.row_key"
            )
        good, new = query(f"SELECT count(), countIf(known_version = 0) FROM ({candidates})").rows[0]
        report.new = int(new)
        report.repeated += int(good) - int(new)
        token = hashlib.sha256(f"orders\0{self._run}\0{digest}".encode()).hexdigest()
        self._hold_merges(self._pieces < _HELD_PIECES)
        command(self._insert_sql(candidates, token))
        self._pieces += 1
        written = f"observations PREWHERE {times} AND run = {self._run}" if known else rows
        wallets = query(f"SELECT DISTINCT wallet FROM {written}").rows
        report.wallets = [bytes(wallet) for (wallet,) in wallets]

    def _find_known(self, rows: str) -> tuple[str, int]:
        """Stage the keys of these rows that earlier runs stored; (their times as a condition, their number).

        Inside one file the ordinals keep keys apart, so rows of this run need no look. Times and hashes are read first
        and let almost nothing through; the wide key is read only for what is left.
        """
        query = self._warehouse.query
        first, last = query(f"SELECT min(ts), max(ts) FROM {self._rows} WHERE reason = 0").rows[0]
        times = f"ts >= toDateTime({first}, 'UTC') AND ts <= toDateTime({last}, 'UTC')"
        others = f"source IN ('dump', 'subgraph') AND run != {self._run}"
        if not query(f"SELECT count() FROM observations PREWHERE {times} WHERE {others}").rows[0][0]:
            return times, 0
        self._warehouse.command(
            f"INSERT INTO {self._known} SELECT wallet, token, toUnixTimestamp(ts), tx, toString(source), row_key,"
            f" max(version) FROM observations PREWHERE {times} AND row_key IN (SELECT {_KEY} FROM {rows})"
            f" WHERE {others} GROUP BY wallet, token, ts, tx, source, row_key"
        )
        return times, int(query(f"SELECT count() FROM {self._known}").rows[0][0])

    def _insert_sql(self, candidates: str, token: str) -> str:
        return (
            "INSERT INTO observations (wallet, token, condition, tx, source, kind, ts, pos, ordinal, shares, cash,"
            " shares_gross, usdc_gross, fee_net, fee_asset, fee_usdc, role, counterparty, order_hash, outcome, run,"
            " version, row_key) SELECT wallet, token, label.1 AS condition, tx, source, kind, toDateTime(ts, 'UTC'),"
            " pos, ordinal, shares, cash, shares_gross, usdc_gross, fee_net,"
            " multiIf(fee_net = 0, '', in_shares, 'shares', 'usdc'),"
            " if(in_shares, if(shares_gross = 0, 0, toInt64(intDiv(toInt128(fee_net) * usdc_gross, shares_gross))),"
            " fee_net),"
            " if(taker_row, 'TAKER', 'MAKER') AS role, counterparty, order_hash,"
            f" if(condition = '', 999, toUInt16(label.2)) AS outcome, {self._run} AS run, {TOLD} AS version,"
            f" {_KEY} AS row_key FROM ({candidates}) AS c LEFT ANY JOIN"
            " (SELECT token, (condition, outcome) AS label FROM tokens FINAL WHERE token IN"
            f" (SELECT token FROM {self._rows})) AS t ON c.token = t.token"
            f" WHERE version > known_version"
            f" SETTINGS {_SETTINGS}, insert_allow_materialized_columns = 1, insert_deduplication_token = '{token}'"
        )

    def _drop(self) -> None:
        for table in (self._raw, self._rows, self._marks, self._known):
            self._warehouse.command(f"DROP TABLE IF EXISTS {table}")


def labels(warehouse: ClickHouseWarehouse, tokens: Sequence[bytes]) -> dict[bytes, tuple[bytes, int]]:
    """Token → (condition, outcome index) of those of ``tokens`` that the store knows."""
    found: dict[bytes, tuple[bytes, int]] = {}
    rest = iter(dict.fromkeys(tokens))
    while some := list(islice(rest, 5_000)):
        rows = warehouse.query(
            "SELECT token, condition, outcome FROM tokens FINAL"
            " WHERE token IN (SELECT toFixedString(unhex(arrayJoin({t:Array(String)})), 32))",
            {"t": [token.hex() for token in some]},
        ).rows
        found |= {bytes(token): (bytes(condition), int(outcome)) for token, condition, outcome in rows}
    return found
