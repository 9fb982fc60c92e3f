"""The reconcile command: our numbers against the published ones."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyhouse.cli.base import Run, command, say
from polyhouse.cli.output import Column, emit_json, emit_table
from polyhouse.cli.progress import reporter_for
from polyhouse.errors import BadInputError

if TYPE_CHECKING:
    from polyhouse.reconcile import Comparison, Headline, Reconciliation
    from polyhouse.settings import Settings
    from polyhouse.wiring import Stores

_SHOWN = 20
_WHOLE = ("gross_of_fees", "gross_of_fees_series", "subgraph_realized", "v1_pnl_total", "benchmark")


@dataclass(slots=True)
class _Outcome:
    """What one call compared, what could not be read, and what was left out by reason."""

    kind: str
    found: Reconciliation
    failed: dict[bytes, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


@command(
    "reconcile",
    examples=(
        "polyhouse reconcile 0x6af75d4e4aaf700450efbac3708cce1665810ff1",
        "polyhouse reconcile --sample 500",
        "polyhouse reconcile --benchmark benchmark_wallets.csv --json",
        "polyhouse reconcile --parity",
    ),
)
@click.argument("addresses", nargs=-1)
@click.option("--sample", "size", type=click.IntRange(1), metavar="N", help="N wallets, the same in every run.")
@click.option(
    "--benchmark", "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with the figures of a CSV file (wallet, metric, value).",
)  # fmt: skip
@click.option(
    "--parity", is_flag=True,
    help="Fold the stored logs by the pnl-subgraph's rules and compare with its imported userPositions.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Ask nobody: use the published numbers that are stored.")
def reconcile(
    run: Run, addresses: tuple[str, ...], size: int | None, file: Path | None, parity: bool, offline: bool
) -> int:
    """Our gross PnL and positions against Polymarket's own; without arguments: all published numbers in the store."""
    from polyhouse.domain.ids import parse_address
    from polyhouse.wiring import open_stores

    if sum((bool(addresses), size is not None, file is not None)) > 1 or (parity and (size or file)):
        raise click.UsageError("choose one of ADDRESS…, --sample, --benchmark; --parity takes addresses only")
    wallets = [parse_address(address) for address in addresses]
    with open_stores(run.settings) as stores:
        number = stores.state.start_run("reconcile", {"addresses": len(wallets), "sample": size, "parity": parity})
        try:
            if parity:
                outcome = _parity(stores, wallets)
            elif file is not None:
                outcome = _against_file(stores, file)
            else:
                outcome = _against_upstream(run, stores, wallets, size, number, offline=offline)
        except BaseException:
            stores.state.finish_run(number, "failed")
            raise
        rows, failed = outcome.found.rows, outcome.failed
        _keep(stores, rows, number)
        stores.state.finish_run(number, "partial" if failed else "ok", {"compared": len(rows), "failed": len(failed)})
    _report(run, outcome)
    return 1 if failed else 0


def _against_file(stores: Stores, file: Path) -> _Outcome:
    from polyhouse.reconcile import benchmark

    result = benchmark(stores.warehouse, file)
    return _Outcome("benchmark", result.found, left_out=result.left_out)


def _parity(stores: Stores, wallets: Sequence[bytes]) -> _Outcome:
    from polyhouse.reconcile import compare_parity, published_users
    from polyhouse.sync.parity import stored_parity

    users = list(dict.fromkeys(wallets)) or published_users(stores.warehouse)
    ours = stored_parity(stores.warehouse, users)
    book = ours.book
    found = compare_parity(
        stores.warehouse, users, book.positions, book.last_ts, unlabelled=book.passed_over, is_whole=ours.is_whole
    )
    return _Outcome("parity_realized", found)


def _against_upstream(
    run: Run, stores: Stores, wallets: Sequence[bytes], size: int | None, number: int, *, offline: bool
) -> _Outcome:
    from polyhouse.reconcile import compare, sample

    chosen: Sequence[bytes] | None = sample(stores.warehouse, size) if size else wallets or None
    if size and not chosen:
        raise BadInputError("no wallet of the store has traded", hint="polyhouse run")
    failed: dict[bytes, str] = {}
    left_out: Counter[str] = Counter()
    if chosen is not None and not offline:
        failed = asyncio.run(_read(run, run.settings, stores, chosen, number, left_out))
        chosen = [wallet for wallet in chosen if wallet not in failed]
    return _Outcome("gross_of_fees", compare(stores.warehouse, chosen), failed, left_out)


async def _read(
    run: Run,
    settings: Settings,
    stores: Stores,
    wallets: Sequence[bytes],
    number: int,
    left_out: Counter[str],
) -> dict[bytes, str]:
    from polyhouse.reconcile import read_published
    from polyhouse.wiring import published_streams

    def is_gone(stream: str) -> None:
        left_out[f"{stream}_is_gone"] += 1

    reporter = reporter_for(run)
    reporter.phase("published numbers", len(wallets), "wallets")
    try:
        async with published_streams(settings) as streams:
            return await read_published(
                stores.warehouse, streams, wallets, run=number, advance=reporter.advance, is_gone=is_gone
            )
    finally:
        reporter.finish()


def _keep(stores: Stores, rows: Sequence[Comparison], number: int) -> None:
    from polyhouse.reads.builds import newest_build_time
    from polyhouse.reconcile import store

    store(stores.warehouse, rows, run=number, as_of=newest_build_time(stores.warehouse) or None)


def _head_document(head: Headline) -> dict[str, Any]:
    return {
        "compared": head.compared,
        **{name: head.share(name) for name in head.bounds()},
        "causes": dict(head.causes.most_common()),
    }


def _report(run: Run, outcome: _Outcome) -> None:
    from polyhouse.domain.ids import format_address
    from polyhouse.reads.exact import moment, money

    heads = outcome.found.headlines
    document: dict[str, Any] = {
        "kind": outcome.kind,
        **_head_document(heads[outcome.kind]),
        "positions": {kind: _head_document(head) for kind, head in sorted(heads.items()) if kind not in _WHOLE},
        "left_out": dict(outcome.left_out),
        "failed": {format_address(wallet): reason for wallet, reason in outcome.failed.items()},
        "rows": [
            {
                "wallet": format_address(row.wallet), "kind": row.kind, "detail": row.detail, "ours": money(row.ours),
                "theirs": money(row.theirs), "difference": money(row.difference), "cause": row.cause,
                "theirs_at": moment(row.theirs_ts),
            }
            for row in outcome.found.rows
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
    what = "wallets" if document["kind"] in _WHOLE else "positions"
    for name, text in (
        ("within_0.01", "0.01 $"), ("within_1", "1 $"), ("within_10", "10 $"), ("within_0.1_percent", "0.1 %"),
    ):  # fmt: skip
        if document[name] is not None:
            say(f"within {text:>6}: {document[name] * 100:.1f} % of {document['compared']:,} {what}")
    if document["causes"]:
        say("causes: " + _counts(document["causes"]))
    for kind, head in document["positions"].items():
        say(f"{kind}: {head['causes'].get('equal', 0):,} of {head['compared']:,} equal; {_counts(head['causes'])}")
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


def _counts(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{cause} {count:,}" for cause, count in causes.items())
