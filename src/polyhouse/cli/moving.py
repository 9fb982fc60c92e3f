"""Commands that move stores: backup, restore, copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from polyhouse.cli.base import Run, command, next_steps, say
from polyhouse.cli.output import emit_facts, emit_json

if TYPE_CHECKING:
    from polyhouse.move.manifest import Manifest

_FOLDER = click.Path(file_okay=False, path_type=Path)
_BACKUP = click.Path(exists=True, file_okay=False, path_type=Path)


@command(
    "backup",
    examples=(
        "polyhouse backup /backups/monday",
        "polyhouse backup /backups/tuesday --base /backups/monday",
        "polyhouse backup /backups/monday --disk backups",
    ),
)
@click.argument("destination", type=_FOLDER)
@click.option(
    "--base", type=_BACKUP, metavar="DIR", help="An earlier backup: what it has already takes no space again."
)
@click.option(
    "--disk", default="", metavar="NAME", help="The server's disk for backups; needed for a server's warehouse."
)
def backup(run: Run, destination: Path, base: Path | None, disk: str) -> None:
    """A copy of warehouse and state store in a folder, which appears when it is complete.

    An embedded store must not be open elsewhere. A server's warehouse is backed up by the server, beside its work.
    """
    from polyhouse.move.backup import back_up
    from polyhouse.move.manifest import file_errors

    settings = run.settings
    with file_errors(str(destination)):
        manifest = back_up(settings.engine_url(), settings.state_url(), destination.absolute(), base=base, disk=disk)
    _tell(run, manifest, destination, ())
    for what in manifest.not_included:
        say(f"not included: {what}")


@command(
    "restore",
    examples=(
        "polyhouse restore /backups/monday",
        "polyhouse restore /backups/monday --force",
        "polyhouse --home /srv/copy restore /backups/monday",
    ),
)
@click.argument("source", type=_BACKUP)
@click.option("--force", is_flag=True, help="Also over stores that were worked with after the backup was made.")
def restore(run: Run, source: Path, force: bool) -> None:
    """Put both stores back to what a backup says. It is checked whole before anything is replaced.

    Embedded stores that were there are kept beside, under a name with `.before-`, until you delete them.
    """
    from polyhouse.move.manifest import file_errors
    from polyhouse.move.restore import restore as put_back

    settings = run.settings
    with file_errors(str(source)):
        done = put_back(source.absolute(), settings.engine_url(), settings.state_url(), force=force)
    _tell(run, done.manifest, source, done.kept)
    for path in done.kept:
        say(f"what was there before is in {path}; delete it when you are content")
    next_steps(run, "polyhouse status", "polyhouse check")


@command(
    "copy",
    examples=(
        "polyhouse copy --to clickhouse://user@host:8123/polymarket",
        "polyhouse copy --to clickhouse://user@host:8123/polymarket --state-to postgresql://user@host/app",
        "polyhouse copy --from clickhouse://user@host:8123/polymarket --to chdb:///data/copy --table observations",
    ),
)
@click.option("--to", "target", required=True, metavar="URL", help="Warehouse to copy into; it should be empty.")
@click.option("--from", "source", metavar="URL", help="Warehouse to copy from; by default the one of the settings.")
@click.option("--state-to", metavar="URL", help="Copy the state store too, to this one.")
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; repeatable.")
def copy(run: Run, target: str, source: str | None, state_to: str | None, tables: tuple[str, ...]) -> None:
    """Copy one warehouse into another, of any kind, and prove every range of keys equal by counts and checksums.

    The same command goes on where it stopped. Models are not copied: a build makes them anew in the target.
    """
    from polyhouse.move.between import copy_stores

    settings = run.settings
    done = copy_stores(settings, source or settings.warehouse_url(), target, state_to or "", say, tables)
    if run.json:
        emit_json({
            "tables": {
                name: {"rows": table.rows, "ranges_copied": table.copied, "ranges_equal_before": table.skipped}
                for name, table in done.items()
            }
        })  # fmt: skip
    say(f"copied: {sum(table.rows for table in done.values()):,} rows, equal on both sides")
    next_steps(run, "polyhouse --warehouse URL metrics --full", "polyhouse --warehouse URL check")


def _tell(run: Run, manifest: Manifest, folder: Path, kept: tuple[str, ...]) -> None:
    from polyhouse.reads.exact import moment

    rows, size = sum(manifest.tables.values()), sum(file.size for file in manifest.files)
    facts = {
        "backup": str(folder), "made_at": moment(manifest.made_at), "kind": manifest.kind, "engine": manifest.engine,
        "rows": rows, "state_rows": sum(manifest.state.values()), "files": len(manifest.files), "bytes": size,
        "base": manifest.base or None,
    }  # fmt: skip
    if run.json:
        emit_json(facts | {"tables": manifest.tables, "kept": list(kept), "not_included": manifest.not_included})
        return
    emit_facts(run, [(name.replace("_", " "), value) for name, value in facts.items() if value is not None])
