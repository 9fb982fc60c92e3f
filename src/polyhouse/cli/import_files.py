"""``polyhouse import``: files into the stores, one run per file; bad rows go to a reject file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from polyhouse.errors import BadInputError, PolyhouseError
from polyhouse.ports import PageCommit, Reject
from polyhouse.sync.unbuilt import IMPORT, close_killed, register_imported, remember_unbuilt, wallets_of_run
from polyhouse.tables import Columns
from polyhouse.wiring import Stores

if TYPE_CHECKING:
    from polyhouse.sources.files import ImportBatch
    from polyhouse.sources.files.chunks import OrderChunk, OrderFile
    from polyhouse.sync.progress import Reporter
    from polyhouse.warehouse.bulk_import import OrdersImport

STREAM = IMPORT
_WALLETS_AT_ONCE = 5_000
_EXAMPLES = 5
_QUARANTINED = 1_000
"""So many rejects of a file also stand in the state store; the reject file has all of them."""
_SLACK_SECONDS = 3_600
_SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")


@dataclass(slots=True)
class FileReport:
    """What became of one file. rows_read = new + repeated + rejected + ignored (fills of nothing)."""

    file: str
    run: int
    format: str = ""
    rows_read: int = 0
    rows_new: int = 0
    rows_repeated: int = 0
    rows_rejected: int = 0
    rows_ignored: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)
    wallets: set[bytes] = field(default_factory=set)
    reject_file: Path | None = None


class RejectFile:
    """Rejects of one file as JSON Lines (file, line, reason, message, raw), made with the first one.

    ``raw`` is the row: mended there, the file is imported like any other. Rows that are lines of text stand beside the
    header of their file (``columns``).
    """

    def __init__(self, folder: Path, report: FileReport) -> None:
        self.columns: Sequence[str] = ()
        self._path = folder / f"{report.run:06d}-{report.file}.jsonl"
        self._report = report
        self._stream: IO[str] | None = None

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write rejects and count them in the report."""
        for reject in rejects:
            if self._stream is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self._path.open("w", encoding="utf-8", errors="backslashreplace")
                self._report.reject_file = self._path
            line, _, message = reject.where.removeprefix(f"{self._report.file}:").partition(": ")
            document: dict[str, object] = {
                "file": self._report.file, "line": int(line) if line.isdigit() else None, "reason": reject.reason,
                "message": message, "raw": reject.raw,
            }  # fmt: skip
            if self.columns:
                document["columns"] = list(self.columns)
            self._stream.write(json.dumps(document, ensure_ascii=False) + "\n")
            self._report.rows_rejected += 1
            if len(self._report.examples) < _EXAMPLES:
                self._report.examples.append((reject.where, reject.reason))

    def close(self) -> None:
        """Make the file complete."""
        if self._stream is not None:
            self._stream.close()


def expand(given: Sequence[str]) -> list[Path]:
    """Files of names, folders (their data files, also in folders below) and patterns, each once, in order.

    Raises:
        BadInputError: a name or pattern that matches nothing.
    """
    found: dict[Path, None] = {}
    for text in given:
        path = Path(text)
        if path.is_dir():
            files = sorted(one for one in path.rglob("*") if one.is_file() and _is_data(one))
        elif path.exists():
            files = [path]
        else:
            root = Path(path.anchor) if path.is_absolute() else Path()
            pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else text
            has_pattern = any(character in text for character in "*?[")
            files = sorted(one for one in root.glob(pattern) if one.is_file()) if has_pattern else []
        if not files:
            raise BadInputError(f"{text}: there is no such file, or the folder has no data files in it")
        found.update(dict.fromkeys(files))
    return list(found)


def _is_data(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith(_SUFFIXES) and not path.name.startswith(".")


def import_files(
    stores: Stores, files: Sequence[Path], *, file_format: str | None, rejects: Path, reporter: Reporter
) -> list[FileReport]:
    """Read files into the warehouse, one run per file.

    Args:
        stores: where rows go.
        files: see ``expand``.
        file_format: what they hold; None = found out.
        rejects: folder for the reject files.
        reporter: progress.

    Raises:
        BadInputError: a file that cannot be read; what came before that place is stored.
        WarehouseUnavailableError: the warehouse did not take a batch; the same command goes on.
    """
    close_killed(stores.warehouse, stores.state, command=IMPORT)
    reporter.phase("import", len(files), "files")
    reports = []
    for path in files:
        run = stores.state.start_run(IMPORT, {"file": path.name})
        report = FileReport(path.name, run)
        work = _FileImport(stores, path, report, rejects, reporter)
        try:
            work.execute(file_format)
        except PolyhouseError as error:
            with suppress(PolyhouseError):  # then the run is without an end, and the next one does it
                register_imported(stores.warehouse, stores.state, run)
                remember_unbuilt(stores.state, wallets_of_run(stores.warehouse, run))
                stores.state.finish_run(run, "failed", _counts(report), str(error))
            raise
        finally:
            work.close()
        remember_unbuilt(stores.state, report.wallets)
        stores.state.finish_run(run, "partial" if report.rows_rejected else "ok", _counts(report))
        reporter.advance(1)
        reports.append(report)
    reporter.finish()
    return reports


class _FileImport:
    """One file on its way into the stores."""

    def __init__(self, stores: Stores, path: Path, report: FileReport, rejects: Path, reporter: Reporter) -> None:
        self._stores = stores
        self._path = path
        self._report = report
        self._rejects = RejectFile(rejects, report)
        self._reporter = reporter
        self._now = int(time.time())

    def execute(self, file_format: str | None) -> None:
        """Read it all."""
        from polyhouse.sources.files import Format, detect, read
        from polyhouse.sources.files.chunks import order_file

        found = order_file(self._path) if file_format in {None, Format.ORDERS.value} else None
        if found is not None:
            self._report.format = Format.ORDERS.value
            self._read_orders(found)
        else:
            self._report.format = file_format or detect(self._path).value
            if self._report.format == Format.LOGS.value:
                self._read_logs()
            else:
                for batch in read(self._path, self._report.format, now=self._now):
                    self._take(batch)
        self._commit(rows=0, rejects=(), is_last=True)

    def close(self) -> None:
        """Close the reject file."""
        self._rejects.close()

    def _read_orders(self, found: OrderFile) -> None:
        from polyhouse.warehouse.bulk_import import OrdersImport

        limit = self._now + _SLACK_SECONDS
        self._rejects.columns = found.header
        with OrdersImport(
            self._stores.warehouse, found.header, found.layout, run=self._report.run, now=limit
        ) as importer:
            for chunk in found.chunks():
                self._load(importer, chunk, len(found.header))

    def _load(self, importer: OrdersImport, chunk: OrderChunk, columns: int) -> None:
        from polyhouse.sources.files.records import reject

        rejects: list[Reject] = []
        by_engine = chunk.plain and importer.stage_csv(chunk.data, chunk.lines)
        if not by_engine:
            rows = chunk.rows(self._path, columns)
            importer.stage_rows(rows.lines, rows.columns)
            rejects = rows.rejects
        found = importer.load(chunk.first_line, checked=by_engine and chunk.checked)
        refused = zip(found.bad, chunk.texts([line for line, _ in found.bad]), strict=True)
        rejects = sorted(
            [*rejects, *(reject(reason, self._path, line, text) for (line, reason), text in refused)],
            key=lambda one: int(one.where.removeprefix(f"{self._path.name}:").partition(":")[0]),
        )
        unknown = set(found.wallets) - self._report.wallets
        self._stores.state.register_wallets(unknown, "file")
        self._report.wallets |= unknown
        self._count(read=found.rows + len(rejects) - len(found.bad), new=found.new, ignored=found.ignored)
        self._report.rows_repeated += found.repeated
        self._refuse(found.rows - len(found.bad), rejects)

    def _take(self, batch: ImportBatch) -> None:
        """One batch of the row by row reader."""
        new = self._write(batch.tables)
        accepted = batch.rows_read - len(batch.rejects)
        self._count(read=batch.rows_read, new=new, ignored=batch.ignored)
        self._report.rows_repeated += accepted - batch.ignored - new
        self._refuse(accepted, batch.rejects)

    def _read_logs(self) -> None:
        """Decoded logs: the chain rules need all logs of a transaction, so such a file is read as a whole."""
        from polyhouse.cli.import_logs import log_tables

        tables, read, rejects = log_tables(self._path)
        new = self._write(tables)
        ignored = read - len(rejects) - _rows(tables.get("observations", {}))
        self._count(read=read, new=new, ignored=max(0, ignored))
        self._report.rows_repeated += read - len(rejects) - max(0, ignored) - new
        self._refuse(read - len(rejects), rejects)

    def _write(self, tables: Mapping[str, Columns]) -> int:
        """Write one batch and return how many of its rows are new by their natural key."""
        from polyhouse.warehouse.bulk_import import labels, write_file_rows

        measured = next((name for name in ("observations", *_PUBLISHED) if name in tables), "")
        wallets = sorted(set(tables[measured]["wallet"])) if measured else []
        had = self._stored(measured, wallets)
        observations = tables.get("observations")
        if observations and set(observations["condition"]) == {b""}:
            known = labels(self._stores.warehouse, observations["token"])
            placed = [known.get(token, (b"", 999)) for token in observations["token"]]
            observations["condition"] = [condition for condition, _ in placed]
            observations["outcome"] = [outcome for _, outcome in placed]
        for table, columns in tables.items():
            write_file_rows(self._stores.warehouse, table, columns, run=self._report.run)
        if measured == "observations":
            self._stores.state.register_wallets(wallets, "file")
            self._report.wallets.update(wallets)
        return self._stored(measured, wallets) - had

    def _stored(self, table: str, wallets: Sequence[bytes]) -> int:
        """Rows of these wallets, each natural key once."""
        total = 0
        for start in range(0, len(wallets), _WALLETS_AT_ONCE):
            some = [wallet.hex() for wallet in wallets[start : start + _WALLETS_AT_ONCE]]
            rows = self._stores.warehouse.query(
                f"SELECT count() FROM {table} FINAL"
                " WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))",
                {"wallets": some},
            ).rows
            total += int(rows[0][0])
        return total

    def _count(self, *, read: int, new: int, ignored: int) -> None:
        self._report.rows_read += read
        self._report.rows_new += new
        self._report.rows_ignored += ignored
        self._reporter.advance(0, rows=read, new=new)

    def _refuse(self, accepted: int, rejects: Sequence[Reject]) -> None:
        room = max(0, _QUARANTINED - self._report.rows_rejected)
        self._rejects.add(rejects)
        self._commit(rows=accepted, rejects=rejects[:room], is_last=False)

    def _commit(self, *, rows: int, rejects: Sequence[Reject], is_last: bool) -> None:
        # Without a position: a file is read from its beginning each time.
        commit = PageCommit(STREAM, self._path.name, {}, is_last=is_last, rows=rows, rejected=rejects)
        self._stores.state.commit_pages(self._report.run, [commit])


_PUBLISHED = ("reported_positions", "published_positions")


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values()), []))


def _counts(report: FileReport) -> dict[str, int]:
    return {
        "rows_read": report.rows_read,
        "rows_new": report.rows_new,
        "rows_repeated": report.rows_repeated,
        "rows_rejected": report.rows_rejected,
    }
