"""What follows every reading: the models of the wallets it touched."""

from __future__ import annotations

from collections.abc import Collection

from polyhouse.models.build import BuildReport
from polyhouse.models.runner import build
from polyhouse.ports import Warehouse
from polyhouse.sync.progress import Reporter
from polyhouse.sync.reorg import rebuilt, wallets_to_rebuild
from polyhouse.sync.store import RunState
from polyhouse.sync.turns import building

MOST_TOUCHED = 100_000
"""Above so many wallets a full build is cheaper than naming them."""


def rebuild_touched(
    warehouse: Warehouse, state: RunState, wallets: Collection[bytes] | None, reporter: Reporter
) -> BuildReport:
    """Recompute these wallets, those that a re-organisation took rows from, and the holders of tokens whose resolution
    changed; None = everything.
    """
    with building(state):
        noted = wallets_to_rebuild(state)
        wallets = None if wallets is None or noted is None else {*wallets, *noted}
        total = None if wallets is None or len(wallets) > MOST_TOUCHED else len(wallets)
        reporter.phase("metrics", total, "wallets")
        report = build(warehouse, None if total is None else sorted(wallets or ()))
        rebuilt(state, noted)
    reporter.advance(total or 0)
    reporter.finish()
    return report
