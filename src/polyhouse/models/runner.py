"""Builds the model tables from the observations: all of them, or only the rows of the wallets that changed.

One ``.sql`` file per table; the same files serve both cases. Both write beside the published tables, which are
exchanged at the end (``models.publication``), so readers see the old build or the new one. A partial build begins with
the rows of the build before, and adds newer versions of the touched wallets' rows and tombstones for rows that no
longer exist.

What a step needs of a build is ``models.build``; each step is a module of ``models.steps``. This module orders them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from polyhouse.models import metric_tables, wallet_documents
from polyhouse.models.build import BY_WALLET, CATALOGUE, OF_ALL, TOKEN_MAP, Build, BuildReport
from polyhouse.models.checks import check_build, held_by, joined_results, keep_results
from polyhouse.models.pairs import FOLD_ROWS, fold_slice
from polyhouse.models.peers import Peers
from polyhouse.models.publication import finish_publication, publish_build
from polyhouse.models.steps.boards_step import build_category_stats, keep_history
from polyhouse.models.steps.coverage_step import build_coverage
from polyhouse.models.steps.days_step import build_days
from polyhouse.models.steps.flags_step import build_flags
from polyhouse.models.steps.ledger_step import KEPT, LedgerReach, keep_ledger, store_reach
from polyhouse.models.steps.metrics_step import build_metrics
from polyhouse.models.steps.polymarket_step import build_polymarket, is_missing
from polyhouse.models.steps.positions_step import build_positions
from polyhouse.models.steps.price_history_step import keep_prices
from polyhouse.models.steps.scores_step import build_scores
from polyhouse.models.steps.specialists_step import build_specialists
from polyhouse.models.steps.token_map_step import build_token_map
from polyhouse.models.steps.touched_step import forget_touched, stage_touched
from polyhouse.models.steps.trades_step import build_trades
from polyhouse.models.token_facts import load_tokens
from polyhouse.ports import Warehouse

_SELECTED = ("ledger", "unmapped", "wallet_scores_v1", "wallet_flags")
"""Tables keyed by wallet that the engine fills by itself; of the others a build counts what it writes."""


def build(warehouse: Warehouse, wallets: Sequence[bytes] | None = None, *, anew: bool = False) -> BuildReport:
    """Rebuild every model table, or only the rows of ``wallets``.

    A partial build also takes the holders of tokens whose resolution or mark changed. It needs a previous full build;
    without one it becomes a full build.

    Args:
        warehouse: the open warehouse.
        wallets: 20-byte addresses; None = all.
        anew: in a build of all wallets, make what is kept from build to build anew too (the ledger).
    """
    metric_tables.prepare_metric_tables(warehouse)
    openers = warehouse.shards()
    if not openers:
        return build_shard(warehouse, wallets, anew=anew, peers=Peers())
    from polyhouse.models.shards import build_shards

    parts = None if wallets is None else warehouse.divided(wallets)
    # To start a process costs more than a few wallets do.
    in_processes, wishes = wallets is None, warehouse.build_wishes
    return build_shards(openers, parts, anew=anew, is_cluster=True, in_processes=in_processes, wishes=wishes)


def build_shard(warehouse: Warehouse, wallets: Sequence[bytes] | None, *, anew: bool, peers: Peers) -> BuildReport:
    """What ``build`` does, for the wallets of one engine.

    Args:
        warehouse: the engine; its metric tables have the columns of today.
        wallets: see ``build``.
        anew: see ``build``.
        peers: the builds of the other engines, which do the same at the same time.

    Returns:
        What was built, on all of them.
    """
    started = time.monotonic()
    finish_publication(warehouse, is_alone=peers.is_alone)
    first = not warehouse.query("SELECT count() FROM builds").rows[0][0] or is_missing(warehouse)
    run = Build(warehouse, None if any(peers.share("first", first)) else wallets, anew=anew, peers=peers)
    with warehouse.bulk():
        reach = _run_steps(run)
    touched = None if run.wallets is None else len(run.wallets)
    own = BuildReport(run.version, run.as_of, touched, time.monotonic() - started, _written(run))
    report = joined_reports(peers.share("everything is written", own))
    wishes = warehouse.build_wishes
    with run.step("checks"):
        results = joined_results(peers.share("checks", check_build(run))) if wishes.checks != "off" else []
    broken = tuple(f"{result.name}: {result.detail}" for result in results if result.guards and not result.ok)
    run.join_rows()
    held = wallet_documents.without(run, held_by(results) if wishes.checks == "stop" else frozenset())
    report = replace(report, broken=broken, held=tuple(sorted(held)), seconds=time.monotonic() - started)
    report = replace(report, steps=run.step_seconds)
    publish_build(run, report, held, keeps_previous=wishes.keeps_previous)
    keep_results(warehouse, results, occasion="build", report=report)
    if "ledger" not in held:
        store_reach(run, reach)
    keep_history(run)
    run.forget_staged()
    forget_touched(run)
    return report


def joined_reports(reports: Sequence[BuildReport]) -> BuildReport:
    """What shards built, as one: wallets and rows add up."""
    first = reports[0]
    rows = {table: sum(report.rows[table] for report in reports) for table in first.rows}
    wallets = None if first.wallets is None else sum(report.wallets or 0 for report in reports)
    return replace(first, wallets=wallets, seconds=max(report.seconds for report in reports), rows=rows)


def _run_steps(run: Build) -> LedgerReach | None:
    with run.step("price history"):
        keep_prices(run)
    with run.step("token map"):
        build_token_map(run)
        stage_touched(run)
    if run.full:
        run.write_beside(*(table for table in BY_WALLET if table not in KEPT), *OF_ALL)
        run.write_beside(*KEPT, with_rows=True)
    else:
        run.write_beside(*OF_ALL)
        run.write_beside(*BY_WALLET, apart=True)
    with run.step("ledger"):
        reach = keep_ledger(run)
    with run.step("trades"):
        tokens = load_tokens(run.warehouse, run.place_of(TOKEN_MAP))
        marks = build_trades(run, tokens)
    for wallets in run.slices(most=FOLD_ROWS):
        with run.step("fold"):
            pairs = fold_slice(run, wallets, tokens)
        with run.step("positions"):
            valued = build_positions(run, wallets, pairs)
            build_coverage(run, wallets, pairs, valued)
            build_polymarket(run, wallets, pairs)
        with run.step("days"):
            build_days(run, wallets, pairs, marks)
        run.bury_gone()
    with run.step("scores"):
        build_scores(run)
    with run.step("metrics"):
        measured_all = build_metrics(run)
    with run.step("flags"):
        build_flags(run)
    with run.step("specialists"):
        build_specialists(run)
        build_category_stats(run)
    with run.step("documents"):
        wallet_documents.write_facts(run)
    if measured_all:
        run.write_beside(CATALOGUE)
        metric_tables.store_catalogue(run.warehouse, run.place_of(CATALOGUE), run.version)
    run.forget_staged()
    return reach


def _written(run: Build) -> dict[str, int]:
    """Rows of the chosen wallets that the build wrote, in each table that is keyed by wallet."""
    # A condition on wallets spares the rows of all others; tables that began empty have no others.
    mine = f"version = {run.version} AND NOT is_deleted AND {run.chosen}"
    counts = (f"SELECT '{table}', count() FROM {run.place_of(table)} WHERE {mine}" for table in _SELECTED)
    found = {table: int(count) for table, count in run.warehouse.query(" UNION ALL ".join(counts)).rows}
    return {table: found.get(table, run.rows_written.get(table, 0)) for table in BY_WALLET}
