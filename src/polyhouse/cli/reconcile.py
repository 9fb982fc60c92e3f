"""The reconcile command: our numbers against the published ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import reporter_for
from polyhouse.errors import BadInputError

if TYPE_CHECKING:
    from polyhouse.reconcile import Comparison
    from polyhouse.settings import Settings
    from polyhouse.wiring import Stores

_SHOWN = 20


@command(
    "reconcile",
    examples=(
        "polyhouse reconcile 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse reconcile --sample 500",
        "polyhouse reconcile --benchmark benchmark_wallets.csv --json",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--sample", "size", type=click.IntRange(1), metavar="N", help="N wallets, the same in every run.")
@click.option(
    "--benchmark", "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with the figures of a CSV file (wallet, metric, value).",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Ask nobody: use the published numbers that are stored.")
def reconcile(run: Run, addresses: tuple[str, ...], size: int | None, file: Path | None, offline: bool) -> int:
    """Our gross PnL and positions against Polymarket's own; without arguments: all published numbers in the store."""
    from polyhouse.domain.ids import parse_address
    from polyhouse.wiring import open_stores

    if sum((bool(addresses), size is not None, file is not None)) > 1:
        raise click.UsageError("choose one of ADDRESS…, --sample, --benchmark")
    wallets = [parse_address(address) for address in addresses]
    with open_stores(run.settings) as stores:
        number = stores.state.start_run("reconcile", {"addresses": len(wallets), "sample": size})
        failed: dict[bytes, str] = {}
        left_out: Counter[str] = Counter()
        try:
            if file is not None:
                rows, left_out = _against_file(stores, file)
            else:
                rows, failed = _against_upstream(run, stores, wallets, size, number, offline=offline)
        except BaseException:
            stores.state.finish_run(number, "failed")
            raise
        _keep(stores, rows, number)
        stores.state.finish_run(number, "partial" if failed else "ok", {"compared": len(rows), "failed": len(failed)})
    _report(run, rows, failed, left_out, kind="benchmark" if file is not None else "gross_of_fees")
    return 1 if failed else 0


def _against_file(stores: Stores, file: Path) -> tuple[list[Comparison], Counter[str]]:
    from polyhouse.reconcile import benchmark

    result = benchmark(stores.warehouse, file)
    return result.comparisons, result.left_out


def _against_upstream(
    run: Run, stores: Stores, wallets: Sequence[bytes], size: int | None, number: int, *, offline: bool
) -> tuple[list[Comparison], dict[bytes, str]]:
    from polyhouse.reconcile import compare, sample

    chosen: Sequence[bytes] | None = sample(stores.warehouse, size) if size else wallets or None
    if size and not chosen:
        raise BadInputError("no wallet of the store has traded", hint="polyhouse run")
    failed: dict[bytes, str] = {}
    if chosen is not None and not offline:
        failed = asyncio.run(_read(run, run.settings, stores, chosen, number))
    return [row for row in compare(stores.warehouse, chosen) if row.wallet not in failed], failed


async def _read(
    run: Run, settings: Settings, stores: Stores, wallets: Sequence[bytes], number: int
) -> dict[bytes, str]:
    from polyhouse.reconcile import read_published
    from polyhouse.wiring import published_streams

    reporter = reporter_for(run)
    reporter.phase("published numbers", len(wallets), "wallets")
    try:
        async with published_streams(settings) as streams:
            return await read_published(stores.warehouse, streams, wallets, run=number, advance=reporter.advance)
    finally:
        reporter.finish()


def _keep(stores: Stores, rows: Sequence[Comparison], number: int) -> None:
    from polyhouse.reads.builds import newest_build_time
    from polyhouse.reconcile import store

    store(stores.warehouse, rows, run=number, as_of=newest_build_time(stores.warehouse) or None)


def _report(
    run: Run, rows: Sequence[Comparison], failed: dict[bytes, str], left_out: Counter[str], *, kind: str
) -> None:
    from polyhouse.domain.ids import format_address
    from polyhouse.reads.exact import moment, money
    from polyhouse.reconcile import headline

    head = headline(rows, kind)
    document: dict[str, Any] = {
        "kind": kind, "compared": head.compared,
        **{name: head.share(name) for name in head.bounds()},
        "causes": dict(head.causes.most_common()),
        "left_out": dict(left_out),
        "failed": {format_address(wallet): reason for wallet, reason in failed.items()},
        "rows": [
            {
                "wallet": format_address(row.wallet), "kind": row.kind, "detail": row.detail, "ours": money(row.ours),
                "theirs": money(row.theirs), "difference": money(row.difference), "cause": row.cause,
                "theirs_at": moment(row.theirs_ts),
            }
            for row in rows
        ],
    }  # fmt: skip
    if run.json:
        emit_json(document)
    else:
        _print(run, document)
    for wallet, reason in document["failed"].items():
        say(f"  {wallet}: {reason}")


def _print(run: Run, document: dict[str, Any]) -> None:
    if not document["compared"]:
        say("nothing to compare: no published number of these wallets is stored")
    for name, text in (
        ("within_0.01", "0.01 $"), ("within_1", "1 $"), ("within_10", "10 $"), ("within_0.1_percent", "0.1 %"),
    ):  # fmt: skip
        if document[name] is not None:
            say(f"within {text:>6}: {document[name] * 100:.1f} % of {document['compared']:,} wallets")
    if document["causes"]:
        say("causes: " + ", ".join(f"{cause} {count:,}" for cause, count in document["causes"].items()))
    for reason, count in document["left_out"].items():
        say(f"left out: {count:,} rows ({reason})")
    names = ("wallet", "kind", "ours", "theirs", "difference", "cause")
    differing = sorted(
        (row for row in document["rows"] if row["cause"] != "equal"), key=lambda row: -abs(row["difference"])
    )
    table = [[row[name] for name in names] for row in differing[:_SHOWN]]
    if table:
        money_names = {"ours", "theirs", "difference"}
        emit_table(run, [Column(name, right=name in money_names) for name in names], table)
    if len(differing) > _SHOWN:
        say(f"{len(differing) - _SHOWN:,} more: polyhouse sql 'SELECT * FROM vw_reconciliation'")
