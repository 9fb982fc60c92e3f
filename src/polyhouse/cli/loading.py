"""What commands do with the stores besides syncing: recompute touched wallets, import files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from polyhouse.errors import PolyhouseError
from polyhouse.ports import PageCommit, Reject
from polyhouse.wiring import Stores

if TYPE_CHECKING:
    from polyhouse.models.runner import BuildReport
    from polyhouse.sources.files import ImportBatch
    from polyhouse.sync.progress import Reporter

STREAM = "import"
_WALLETS_AT_ONCE = 5_000
_EXAMPLES = 5
MOST_TOUCHED = 100_000
"""Above so many wallets a full build is cheaper than naming them."""


def rebuild_touched(stores: Stores, wallets: Collection[bytes] | None, reporter: Reporter) -> BuildReport:
    """Recompute these wallets, those that a re-organisation took rows from, and the holders of tokens whose resolution
    changed; None = everything.
    """
    from polyhouse.models.runner import build
    from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild

    noted = wallets_to_rebuild(stores.state)
    wallets = None if wallets is None or noted is None else {*wallets, *noted}
    total = None if wallets is None or len(wallets) > MOST_TOUCHED else len(wallets)
    reporter.phase("metrics", total, "wallets")
    report = build(stores.warehouse, None if total is None else sorted(wallets or ()))
    rebuilt(stores.state)
    reporter.advance(total or 0)
    reporter.finish()
    return report


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


def import_files(
    stores: Stores, files: Sequence[Path], *, file_format: str | None, reporter: Reporter
) -> list[FileReport]:
    """Read files into the warehouse, one run per file.

    Raises:
        BadInputError: a file that cannot be read; what came before that place is stored.
        WarehouseUnavailableError: the warehouse did not take a batch; the same command goes on.
    """
    reporter.phase("import", len(files), "files")
    reports = []
    for path in files:
        run = stores.state.start_run("import", {"file": path.name})
        report = FileReport(path.name, run)
        try:
            _import_file(stores, path, file_format, report)
        except PolyhouseError as error:
            stores.state.finish_run(run, "failed", _counts(report), str(error))
            raise
        stores.state.finish_run(run, "partial" if report.rows_rejected else "ok", _counts(report))
        reporter.advance(1, rows=report.rows_read, new=report.rows_new, rejected=report.rows_rejected)
        reports.append(report)
    reporter.finish()
    return reports


def _import_file(stores: Stores, path: Path, file_format: str | None, report: FileReport) -> None:
    from polyhouse.sources.files import detect, read

    chosen = file_format or detect(path).value
    report.format = chosen
    for number, batch in enumerate(read(path, chosen)):
        new = _write(stores, batch, report, f"{STREAM}:{path.name}:{number}")
        report.rows_read += batch.rows_read
        report.rows_rejected += len(batch.rejects)
        report.rows_ignored += batch.ignored
        report.rows_new += new
        report.rows_repeated += batch.rows_read - len(batch.rejects) - batch.ignored - new
        room = _EXAMPLES - len(report.examples)
        report.examples += [(reject.where, reject.reason) for reject in batch.rejects[:room]]
        accepted = batch.rows_read - len(batch.rejects)
        _commit(stores, path, report, rows=accepted, rejects=batch.rejects, is_last=False)
    _commit(stores, path, report, rows=0, rejects=(), is_last=True)


def _write(stores: Stores, batch: ImportBatch, report: FileReport, token: str) -> int:
    """Write one batch and return how many of its observations are new by their natural key."""
    observations = batch.tables.get("observations")
    wallets = sorted(set(observations["wallet"])) if observations else []
    had = _stored(stores, wallets)
    for table, columns in batch.tables.items():
        stores.warehouse.write(table, columns, run=report.run, token=f"{token}:{table}")
    stores.state.register_wallets(wallets, "file")
    report.wallets.update(wallets)
    return _stored(stores, wallets) - had


def _stored(stores: Stores, wallets: Sequence[bytes]) -> int:
    """Observations of these wallets, each natural key once."""
    total = 0
    for start in range(0, len(wallets), _WALLETS_AT_ONCE):
        some = [wallet.hex() for wallet in wallets[start : start + _WALLETS_AT_ONCE]]
        rows = stores.warehouse.query(
            "SELECT count() FROM observations FINAL"
            " WHERE wallet IN (SELECT toFixedString(unhex(arrayJoin({wallets:Array(String)})), 20))",
            {"wallets": some},
        ).rows
        total += int(rows[0][0])
    return total


def _commit(
    stores: Stores, path: Path, report: FileReport, *, rows: int, rejects: Sequence[Reject], is_last: bool
) -> None:
    position = {"rows": report.rows_read}
    commit = PageCommit(STREAM, path.name, position, is_last=is_last, rows=rows, rejected=rejects)
    stores.state.commit_pages(report.run, [commit])


def _counts(report: FileReport) -> dict[str, int]:
    return {
        "rows_read": report.rows_read,
        "rows_new": report.rows_new,
        "rows_repeated": report.rows_repeated,
        "rows_rejected": report.rows_rejected,
    }
