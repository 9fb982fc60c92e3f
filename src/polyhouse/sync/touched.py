"""What follows every reading: the models of the wallets it touched."""

from __future__ import annotations

import time
from collections.abc import Collection

from polyhouse.errors import InvariantBrokenError
from polyhouse.failpoints import reach
from polyhouse.feed import publish
from polyhouse.models.build import BuildReport
from polyhouse.models.publication import Publication, rollback, seen_build
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sync.progress import Reporter
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.sync.store import RunState
from polyhouse.sync.turns import building
from polyhouse.sync.unbuilt import forget_unbuilt, remember_unbuilt
from polyhouse.sync.unchanged import is_unchanged, made_of, note_made_of

MOST_TOUCHED = 100_000
"""Above so many wallets a full build is cheaper than naming them."""


def rebuild_touched(
    warehouse: Warehouse, state: RunState, wallets: Collection[bytes] | None, reporter: Reporter
) -> BuildReport:
    """``rebuild``, with its progress shown."""
    total = None if wallets is None or len(wallets) > MOST_TOUCHED else len(wallets)
    reporter.phase("metrics", total, "wallets")
    report, _ = rebuild(warehouse, state, wallets)
    reporter.advance(total or 0)
    reporter.finish()
    return report


def rebuild_alone(warehouse: Warehouse, state: RunState, wallets: Collection[bytes]) -> BuildReport:
    """Recompute these wallets and nobody whom somebody else will: what a job that goes on has touched so far is built
    at its end.
    """
    with building(state):
        report = build(warehouse, sorted(wallets))
        if not report.held:
            forget_unbuilt(state, wallets)
        publish(warehouse, state, None if report.wallets is None else sorted(wallets), now=int(time.time()))
    _refuse_broken(report)
    return report


def rebuild(
    warehouse: Warehouse, state: RunState, wallets: Collection[bytes] | None, *, anew: bool = False
) -> tuple[BuildReport, list[bytes] | None]:
    """Recompute these wallets, those that a re-organisation took rows from, and the holders of tokens whose resolution
    changed; None = everything. What is new by it goes into the feed. ``anew``: as of ``models.runner.build``. If nobody
    is to be recomputed and nothing changed since the last build, there is none.

    Returns:
        The report, and the wallets that were named; None if all were built.

    Raises:
        InvariantBrokenError: what was built contradicts itself. The tables in question stay as they were, the others
            are published, and the wallets wait for the next build.
    """
    with building(state):
        noted = wallets_to_rebuild(state)
        named = None if wallets is None or noted is None else sorted({*wallets, *noted})
        if named is not None and len(named) > MOST_TOUCHED:
            named = None
        reach("M1")
        if named == [] and is_unchanged(warehouse, state):
            return seen_build(warehouse), named
        sources = made_of(warehouse)
        report = build(warehouse, named, anew=anew)
        reach("K17")
        if report.wallets is None:
            named = None
        if report.held:
            remember_unbuilt(state, named)
        else:
            rebuilt(state, noted)
        publish(warehouse, state, named, now=int(time.time()))
        note_made_of(warehouse, state, "" if report.broken or report.held else sources)
    _refuse_broken(report)
    return report, named


def roll_back(warehouse: Warehouse, state: RunState) -> Publication:
    """Show readers the models from before the newest build of all wallets again, or take that back.

    Wallets of whom rows arrived since those models were made are built by the next build, whoever it names.

    Raises:
        BadInputError: no earlier build is kept.
    """
    with building(state):
        done, rows_to = rollback(warehouse)
        newer = warehouse.query(
            "SELECT DISTINCT wallet FROM observations WHERE _block_number > {upto:UInt64}", {"upto": rows_to}
        ).rows
        remember_unbuilt(state, {bytes(wallet) for (wallet,) in newer})
        publish(warehouse, state, None, now=int(time.time()))
    return done


def _refuse_broken(report: BuildReport) -> None:
    if report.broken:
        stay = f"; not published: {', '.join(report.held)}" if report.held else ""
        raise InvariantBrokenError(
            f"{len(report.broken)} checks of the build are broken{stay}. {' · '.join(report.broken)}",
            hint="polyhouse check --history; docs/checks.md says what each one means and what to do",
        )
